"""Set up the folder of packages, wheels and compiled runners in which ARM code is emulated.

Imports no other folder of benchmarks; arm and android import it.
"""
