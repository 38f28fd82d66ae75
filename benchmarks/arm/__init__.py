"""What exported files cost on ARM cores, without an ARM: counted instructions, estimated cycles and parity, in an
emulator that needs no root.

May import tasks, stats, schema, report and cost.
"""
