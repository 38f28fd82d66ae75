"""Distillation: recordings and a teacher in, a run folder with a trained student out.

`hearlite.distill(...)` calls hearlite.api.distill.
"""

from hearlite.callable_module import make_callable

make_callable(__name__)
