"""Time, memory and bytes on this machine. May import tasks, stats and schema."""
