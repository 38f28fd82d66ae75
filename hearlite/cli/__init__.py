"""The command line. Each command parses, calls one function of hearlite.api or of a stage, and prints; heavy imports
are inside it.
"""
