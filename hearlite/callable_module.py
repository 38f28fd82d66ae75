"""Packages that can be called: `hearlite.distill` is the package of a stage and, as `hearlite.distill(...)`, the
function of the public API.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

API = "hearlite.api"


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(import_module(API), self.__name__.rpartition(".")[2])(*args, **options)


def make_callable(name: str) -> None:
    """Let a call of the imported module `name` call the API's function of that name, which is what type checkers see
    (hearlite/__init__.py).
    """
    sys.modules[name].__class__ = _CallableModule
