"""The command line.

Each command parses its arguments, calls one function of hearlite.api or of a stage, and prints the result. Heavy
imports are inside the commands, so that --help is quick.
"""
