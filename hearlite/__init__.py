"""hearlite: distill, quantize, export and benchmark small health-acoustic embedders.

A research tool, never a diagnostic.
"""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout the stages (distill, quantize, export, benchmarks) lie beside this folder; an installed wheel has them
# inside it. Appending the checkout's root lets `hearlite.distill` be imported from a bare clone too.
_root = Path(__file__).resolve().parent.parent
if (_root / "distill" / "__init__.py").is_file():
    __path__.append(str(_root))
