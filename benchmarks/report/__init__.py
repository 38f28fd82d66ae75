"""What people read, made from results.json alone. May import tasks, stats and schema."""
