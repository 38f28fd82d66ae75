"""Ready models: those that come with hearlite, a folder each beside this file, and those that users install.

`registry` finds a model by its name, `source` reads one from a file, an archive or an address, and `install` checks it
and puts it in its place.
"""
