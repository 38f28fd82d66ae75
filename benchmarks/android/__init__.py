"""Benchmark exported files over adb on an Android device, real or emulated.

May import the sibling folders tasks, stats, schema, report, cost and arm.
"""
