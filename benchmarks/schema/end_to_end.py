"""The shapes of the results.json of a walk from a run to a phone."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.schema.device import DeviceBench
from hearlite.benchmarks.schema.results import Versions

SCHEMA = "hearlite-walk/1"


@dataclass(frozen=True)
class OnJvm:
    """The Kotlin core with LiteRT's desktop library, against Python: every window of every test sound."""

    windows: int
    largest_difference: float  # of any value of any embedding
    largest_score_difference: float | None  # null without a head


@dataclass(frozen=True)
class OnPage:
    """The demo's page in headless Chromium, against Python: the same windows. A window that is not equal has crossed an int8 rounding edge."""

    windows: int
    equal: int  # to the bit
    largest_relative_difference: float  # of an embedding, of its length
    requests_elsewhere: int  # to any other address than the page's own
    complaints: int  # on the console


@dataclass(frozen=True)
class Walked:
    """One exported file on its way."""

    name: str
    sha256: str
    bytes: int
    head: tuple[str, ...]  # labels
    android_folder: tuple[str, ...]  # what an app developer gets
    jvm: OnJvm
    phone: DeviceBench
    page: OnPage


@dataclass(frozen=True)
class Walk:
    """The whole of results.json."""

    commands: tuple[str, ...]  # without folders of this machine
    created: str  # UTC, ISO 8601
    machine: str
    core: str  # that the phone imitates
    versions: Versions
    jvm_tests: int  # that passed
    files: tuple[Walked, ...]
    schema: str = SCHEMA
