"""Export: a run folder in, one self-contained .tflite with its manifest, model card and notice out.

`hearlite.export(...)` calls hearlite.api.export.
"""

from hearlite.callable_module import make_callable

make_callable(__name__)
