"""Time, memory and bytes on this machine. May import tasks, stats, schema and report."""
