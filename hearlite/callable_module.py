"""Make packages callable: `hearlite.distill` is a package, `hearlite.distill(...)` a call of the API."""

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
    """Make the imported module `name` callable: a call goes to the function of that name in hearlite.api.

    Type checkers see only that function (hearlite/__init__.py).
    """
    sys.modules[name].__class__ = _CallableModule
