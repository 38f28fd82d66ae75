"""One question each, asked of recordings or of simulation. May import every room but android and experiments."""
