"""Quantization: a run folder's float network in, an int8 network beside it out.

`hearlite.quantize(...)` calls hearlite.api.quantize.
"""

from hearlite.callable_module import make_callable

make_callable(__name__)
