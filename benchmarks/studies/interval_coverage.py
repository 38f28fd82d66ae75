"""Simulate studies with known AUROCs and count how often their 95 % intervals hold the truth.

    hearlite study interval-coverage --out coverage

Scores are binormal with a random effect of the subject, so clips of a subject resemble each other; the intervals are
those of every report. The plain percentile interval stands beside them to show what they correct: with few subjects it
misses too often. The study also times the bootstrap. It needs no recordings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import click
import numpy as np

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.benchmarks.stats.auroc import auroc, clustered_bootstrap, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    Bools,
    Floats,
    Owners,
    bootstrap_weights,
    degrees_of_freedom,
    difference_interval,
    disjoint_pairs,
    interval,
    rate_interval,
)
from hearlite.benchmarks.studies.inputs import out_option, seed_option, write_study
from hearlite.progress import progress

SCHEMA = "hearlite-coverage/2"
SUBJECTS = (10, 20, 40, 80)
EFFECTS = (1.0, 2.3)  # of a model; its AUROC is true_auroc(effect): 0.69, 0.87
KEPT = 0.8  # of the effect by the second model of a paired difference
SHARED = 0.7  # of the scores' variance between the two: models of the same recordings are right and wrong together
CLIPS = 5  # of each subject
REPLICATES = 500  # of each study: a quarter of a report's, which moves coverage by less than 0.5 %
TIMED_CLIPS, TIMED_SUBJECTS, TIMED_MODELS, TIMED_REPLICATES = 10_000, 1_000, 3, 2_000
LOWEST, HIGHEST = 0.93, 0.97  # range of a coverage that counts as 95 %


@dataclass(frozen=True)
class Coverage:
    """Shares of simulated studies whose interval holds the truth, in [0, 1]."""

    auroc: float
    difference: float  # of two models, paired
    plain_percentile: float  # of the AUROC


@dataclass(frozen=True)
class CoverageRow:
    """One kind of simulated study."""

    subjects: int
    clips: int  # of each subject
    classes: str  # "subject" or "clip", by which positives and negatives differ
    true_auroc: float
    coverage: Coverage


@dataclass(frozen=True)
class BootstrapTime:
    """How long a clustered bootstrap took."""

    clips: int
    subjects: int
    models: int
    replicates: int
    seconds: float


@dataclass(frozen=True)
class CoverageResults(StudyRun):
    """The whole of results.json."""

    machine: str
    seed: int
    studies: int  # simulated, of each kind
    replicates: int  # of each study
    rows: tuple[CoverageRow, ...]
    outside: int  # coverages of AUROC and difference that are not in [LOWEST, HIGHEST]
    bootstrap: BootstrapTime


def true_auroc(effect: float) -> float:
    """Return the AUROC of two normals of variance 2, `effect` apart: `effect * labels + noise(...)`."""
    return NormalDist().cdf(effect / 2)


def design(subjects: int, *, per_subject: bool) -> tuple[Bools, Owners]:
    """Return labels and subject numbers of the clips, [n] each.

    Half the subjects are positive if `per_subject`, else two of five clips of every subject.
    """
    subject_index = np.repeat(np.arange(subjects), CLIPS)
    return (subject_index % 2 == 1) if per_subject else (np.arange(len(subject_index)) % CLIPS < 2), subject_index


def noise(rng: np.random.Generator, subject_index: Owners, *, sets: int) -> Floats:
    """Draw noise, [sets, n], to which subject and clip each add a variance of 1."""
    of_subjects: Floats = rng.normal(size=(sets, subject_index.max() + 1))
    return of_subjects[:, subject_index] + rng.normal(size=(sets, len(subject_index)))


def coverages(subjects: int, effect: float, *, per_subject: bool, studies: int, seed: int) -> Coverage:
    """Simulate studies of one kind and return the shares whose intervals hold the truth.

    Parameters
    ----------
    subjects
        Of each study.
    effect
        Of the first model; its AUROC is `true_auroc(effect)`. The second has KEPT of it.
    per_subject
        Whether positives and negatives are different subjects, or clips of the same.
    studies
        How many are simulated.
    seed
        Of scores and bootstrap.
    """
    labels, subject_index = design(subjects, per_subject=per_subject)
    rng = np.random.default_rng([seed, subjects, per_subject])
    draws = bootstrap_weights(subjects, samples=REPLICATES, seed=seed)
    dof, pairs = degrees_of_freedom(labels, subject_index), disjoint_pairs(labels, subject_index)
    shared = np.sqrt(SHARED) * noise(rng, subject_index, sets=studies)
    models = [
        kept * effect * labels + shared + np.sqrt(1 - SHARED) * noise(rng, subject_index, sets=studies)
        for kept in (1.0, KEPT)
    ]
    one, other = (weighted_aurocs(scores, labels, subject_index, draws) for scores in models)
    truth, lost = true_auroc(effect), true_auroc(KEPT * effect) - true_auroc(effect)
    held = np.zeros((3, studies), dtype=bool)
    for study in range(studies):
        values = [auroc(scores[study], labels) for scores in models]
        bounds = (
            rate_interval(values[0], one[study], degrees_of_freedom=dof, trials=pairs),
            difference_interval(values[1] - values[0], other[study] - one[study], degrees_of_freedom=dof),
            interval(one[study]),
        )
        held[:, study] = [
            limits is not None and limits[0] <= is_true <= limits[1]
            for limits, is_true in zip(bounds, (truth, lost, truth), strict=True)
        ]
    return Coverage(*held.mean(axis=1).tolist())


def seconds_of_bootstrap(*, seed: int) -> float:
    """Time a clustered bootstrap in this process: TIMED_REPLICATES of TIMED_MODELS on TIMED_CLIPS."""
    rng = np.random.default_rng(seed)
    labels, subjects = rng.random(TIMED_CLIPS) < 0.3, rng.integers(TIMED_SUBJECTS, size=TIMED_CLIPS)
    scores = labels + rng.normal(size=(TIMED_MODELS, TIMED_CLIPS))
    start = time.perf_counter()
    clustered_bootstrap(scores, labels, subjects, samples=TIMED_REPLICATES, seed=seed)
    return time.perf_counter() - start


def table(results: CoverageResults) -> str:
    """Render Markdown: a line for each kind of study."""
    lines = [
        "| subjects | classes differ by | true AUROC | AUROC | paired difference | plain percentile |",
        f"|{6 * '---|'}",
    ]
    for row in results.rows:
        shares = (row.coverage.auroc, row.coverage.difference, row.coverage.plain_percentile)
        cells = [f"{100 * share:.1f} %" for share in shares]
        lines.append(f"| {row.subjects} | {row.classes} | {row.true_auroc:.2f} | {' | '.join(cells)} |")
    error, timed = 100 * 2 * (0.05 * 0.95 / results.studies) ** 0.5, results.bootstrap
    caption = (
        f"Share of {results.studies} simulated studies whose 95 % interval holds the truth; by chance alone within"
        f" {error:.1f} % of 95 %. {results.outside} of {2 * len(results.rows)} coverages of AUROC and difference lie"
        f" outside of {100 * LOWEST:.0f}–{100 * HIGHEST:.0f} %."
    )
    timing = (
        f"{timed.replicates} clustered replicates of {timed.models} models on {timed.clips} clips of {timed.subjects}"
        f" subjects took {timed.seconds:.1f} s, {results.machine}."
    )
    return "\n".join([*lines, "", caption, "", timing]) + "\n"


def count_outside(rows: Sequence[CoverageRow]) -> int:
    """Count the coverages of AUROC and difference that are not in [LOWEST, HIGHEST]."""
    shares = [share for row in rows for share in (row.coverage.auroc, row.coverage.difference)]
    return sum(not LOWEST <= share <= HIGHEST for share in shares)


@click.command()
@click.option("--studies", type=click.IntRange(100), default=2_000, show_default=True, help="Simulated, of each kind.")
@seed_option
@out_option
def command(studies: int, seed: int, out: Path) -> None:
    """Count how often intervals hold a known truth, and time the bootstrap; writes results and a table."""
    kinds = [
        (subjects, effect, per_subject) for per_subject in (True, False) for effect in EFFECTS for subjects in SUBJECTS
    ]
    rows = []
    with progress("coverage", total=len(kinds)) as advance:
        for done, (subjects, effect, per_subject) in enumerate(kinds, start=1):
            coverage = coverages(subjects, effect, per_subject=per_subject, studies=studies, seed=seed)
            classes = "subject" if per_subject else "clip"
            rows.append(CoverageRow(subjects, CLIPS, classes, true_auroc(effect), coverage))
            advance(done)
    results = CoverageResults(
        **vars(study_run(SCHEMA)),
        machine=device(),
        seed=seed,
        studies=studies,
        replicates=REPLICATES,
        rows=tuple(rows),
        outside=count_outside(rows),
        bootstrap=BootstrapTime(
            TIMED_CLIPS, TIMED_SUBJECTS, TIMED_MODELS, TIMED_REPLICATES, seconds_of_bootstrap(seed=seed)
        ),
    )
    write_study(out, results, table(results))
