"""Benchmark exported files on emulated ARM cores: instructions, estimated cycles and parity.

May import the sibling folders tasks, stats, schema, report and cost.
"""
