"""Read tables that describe recordings: a manifest, and metadata joined to it, become rows with subjects and splits."""
