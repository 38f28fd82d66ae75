"""What results.json holds: its types, and the only code that reads and writes it. May import tasks and stats."""
