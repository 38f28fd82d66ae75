"""The folder of packages, wheels and compiled runners in which ARM code is emulated, made without root.

Imported by arm alone.
"""
