"""Names that help texts and options know without importing their modules are those of the modules."""

from __future__ import annotations

import typing

from hearlite import names
from hearlite.benchmarks.cost.reference_models import SHAPES
from hearlite.benchmarks.schema.results import CLASSIFIERS
from hearlite.export.package import PLATFORMS
from hearlite.spec import STUDENTS
from hearlite.tflite.interpreter import Runtime


def test_names_are_those_of_the_modules() -> None:
    assert tuple(STUDENTS) == names.SIZES
    assert tuple(CLASSIFIERS) == names.CLASSIFIERS
    assert tuple(PLATFORMS) == names.PLATFORMS
    assert typing.get_args(Runtime) == names.RUNTIMES
    assert tuple(SHAPES) == names.REFERENCE_SHAPES
