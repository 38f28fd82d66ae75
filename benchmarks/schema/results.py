"""The shapes of results.json, one dataclass per JSON object. Nothing here measures, reads or writes."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import hearlite
from hearlite.benchmarks.schema.cost import Cost, Latency
from hearlite.benchmarks.schema.provenance import commit
from hearlite.benchmarks.stats.estimates import Counts, Estimate, HeadTransfer, Paired, Score
from hearlite.benchmarks.tasks.binary import LeftOut
from hearlite.embedders.base import EmbedderInfo
from hearlite.gate import GateResult
from hearlite.spec import PRECISION_NAMES

SCHEMA = "hearlite-results/3"
OLDER_SCHEMA = "hearlite-results/2"  # of version 0.1, read by upgrade.py
COST_SCHEMA = "hearlite-cost/2"  # of a results.json without quality
OLDER_COST_SCHEMA = "hearlite-cost/1"
KINDS = (
    "teacher",
    *PRECISION_NAMES,
    "peer",
    "baseline",
)  # a peer is someone else's embedder; a baseline has to be beaten by all of them
CLASSIFIERS = {  # by the name that a user types
    "logistic": "logistic regression",
    "svm": "linear SVM",
    "forest": "random forest",
    "boosting": "gradient boosting",
    "mlp": "multi-layer perceptron",
}


@dataclass(frozen=True)
class Leaking:
    """A model by a paper's clip-wise split, which LEAKS: the same subjects train and test.

    Never show it without the gap.
    """

    model: str
    auroc: Estimate  # LEAKING
    gap: Estimate  # LEAKING AUROC less the leak-free one

    @property
    def flatters(self) -> bool:
        """Whether the gap shows: its interval lies above 0."""
        return self.gap.low is not None and self.gap.low > 0


@dataclass(frozen=True)
class TaskResult:
    """All models on one task."""

    name: str
    column: str
    positive: str
    train: Counts
    test: Counts
    dropped_replicates: int  # bootstrap replicates that drew one class only
    scores: tuple[Score, ...]
    comparisons: tuple[Paired, ...] = ()  # every model to the reference, every quantized file to its own float32 one
    leaking: tuple[Leaking, ...] = ()  # empty unless the paper's protocol was asked for
    head_transfer: tuple[HeadTransfer, ...] = ()  # of files whose embeddings are known in the teacher's coordinates


@dataclass(frozen=True)
class ProbeResults:
    """What `run_probes` returns; `summary` has one row per model, means over the tasks."""

    tasks: tuple[TaskResult, ...]
    summary: tuple[Score, ...]
    comparisons: tuple[Paired, ...]
    reference: str
    replicates: int
    margin: float
    probe: str
    leaking: tuple[Leaking, ...]
    seed: int
    notes: tuple[str, ...]
    head_transfer: tuple[HeadTransfer, ...] = ()  # means over the tasks


@dataclass(frozen=True)
class ModelInfo:
    """A model under test. Null: not known or meaningless for it."""

    name: str
    kind: str  # one of KINDS
    file: str = ""
    bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None  # multiply-accumulates for one clip
    dim: int | None = None
    sha256: str = ""  # of the file
    quantization: GateResult | None = None  # what the file's manifest says that quantization cost
    recipe: str = ""  # "" for float32
    size: str = ""  # of a student: tiny, small or base
    gate_passed: bool | None = None  # of a student; False: kept with --allow-failed-gate
    trained_on: str = ""  # name of the dataset that a student was distilled on
    # Whether that holds subjects of the dataset of this benchmark or, where that was compared, any of its recordings.
    trained_on_dataset: bool | None = None
    heard_by: str = ""  # how that is known: "recordings", compared by their sound, or subjects' "names"


@dataclass(frozen=True)
class CopiesInTest:
    """Test recordings that training has heard, found by their sound."""

    where: str  # "training": the dataset's own training and validation subjects; else a model, which was made from them
    exact: int  # equal ones, kept because the user allowed them
    near: int  # nearly equal ones: another codec or level, or a part
    examples: tuple[str, ...]


@dataclass(frozen=True)
class DatasetInfo:
    """The recordings that a benchmark used."""

    name: str
    sha256: str
    clips: int
    train_subjects: int
    val_subjects: int
    test_subjects: int  # or, with cross-validation, those that are scored
    synthetic: bool
    framing: str = "context"  # of events shorter than a clip; "zero-pad" leaks their duration


@dataclass(frozen=True)
class Seed:
    """A random seed by name."""

    name: str
    value: int


@dataclass(frozen=True)
class Versions:
    """Of the software that measured; "" where a package is absent."""

    python: str
    numpy: str
    scikit_learn: str
    litert: str
    hearlite: str
    commit: str = ""  # of the checkout that ran; "" for an installed package

    @classmethod
    def current(cls) -> Versions:
        """Return the versions of this installation."""
        return cls(
            python=platform.python_version(),
            numpy=_version("numpy"),
            scikit_learn=_version("scikit-learn"),
            litert=_version("ai-edge-litert"),
            hearlite=hearlite.__version__,
            commit=commit(),
        )


@dataclass(frozen=True)
class Results:
    """The whole of results.json."""

    command: str
    created: str  # UTC, ISO 8601
    seeds: tuple[Seed, ...]
    versions: Versions
    machine: str
    dataset: DatasetInfo
    teacher: EmbedderInfo
    models: tuple[ModelInfo, ...]
    reference: str  # the model that differences and ratios are to
    replicates: int  # bootstrap replicates behind every interval
    tasks: tuple[TaskResult, ...]
    summary: tuple[Score, ...]  # means over all tasks
    left_out: tuple[LeftOut, ...]
    latency: tuple[Latency, ...]
    notes: tuple[str, ...]
    skipped: int  # recordings that could not be used
    comparisons: tuple[Paired, ...] = ()  # of the means over all tasks
    margin: float | None = None  # AUROC that a model may lose and still be called non-inferior; set before the run
    probe: str = "logistic"  # one of classifiers.py
    head_transfer: tuple[HeadTransfer, ...] = ()  # means over all tasks; empty in results of 0.1
    leaking: tuple[Leaking, ...] = ()  # means over all tasks by a paper's clip-wise split, which LEAKS
    cost: Cost | None = None  # beside peers, with profiles and limits: only where it was asked for
    folds: int = 0  # of a cross-validation over the dataset's test subjects; 0: they were only scored
    copies: tuple[CopiesInTest, ...] = ()
    copies_searched: bool = False  # False in results of 0.1
    slimmed_from: str = ""  # sha256 of the whole results.json, where this one holds its tables only
    schema: str = SCHEMA


@dataclass(frozen=True)
class CostResults:
    """The whole of a results.json without quality."""

    command: str
    created: str  # UTC, ISO 8601
    versions: Versions
    cost: Cost
    schema: str = COST_SCHEMA


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
