"""hearlite: distill, quantize, export and benchmark small health-acoustic embedders.

A research tool, never a diagnostic.
"""

__version__ = "0.1.0"
