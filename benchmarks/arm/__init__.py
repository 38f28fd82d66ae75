"""What exported files cost on ARM cores, without an ARM: instructions, estimated cycles and parity.

In an emulator that needs no root. May import tasks, stats, schema, report and cost.

May import tasks, stats, schema, report and cost.
"""
