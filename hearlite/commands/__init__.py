"""The commands of `hearlite`, by what they are about. Each parses, calls one function of a stage, and prints; heavy imports are inside it."""
