"""Do 95 % intervals hold the truth in 95 % of studies? Simulated studies with known AUROCs, and how long a bootstrap of
10 000 clips takes.

    python -m hearlite.benchmarks.studies.interval_coverage --out coverage

Scores are binormal with a random effect of the subject, so clips of a subject resemble each other; the intervals are
those of every report. "plain percentile" is beside them to show what they correct: it misses for few subjects. Needs no
recordings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.cost.latency import device
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
from hearlite.provenance import command_line, now

SCHEMA = "hearlite-coverage/1"
SUBJECTS = (10, 20, 40, 80)
EFFECTS = (1.0, 2.3)  # of a model; its AUROC is true_auroc(effect): 0.69, 0.87
KEPT = 0.8  # of the effect by the second model of a paired difference
SHARED = 0.7  # of the scores' variance between the two: models of the same recordings are right and wrong together
CLIPS = 5  # of each subject
REPLICATES = 500  # of each study: a quarter of a report's, which moves coverage by less than 0.5 %
TIMED_CLIPS, TIMED_SUBJECTS, TIMED_MODELS, TIMED_REPLICATES = 10_000, 1_000, 3, 2_000
LOWEST, HIGHEST = 0.93, 0.97  # what a coverage may be to count as 95 %


def true_auroc(effect: float) -> float:
    """Of scores `effect * labels + noise(...)`: two normals of variance 2 that lie `effect` apart."""
    return NormalDist().cdf(effect / 2)


def design(subjects: int, *, per_subject: bool) -> tuple[Bools, Owners]:
    """(labels, owners) [n]: half the subjects are positive, or two of five clips of every subject."""
    subject_index = np.repeat(np.arange(subjects), CLIPS)
    return (subject_index % 2 == 1) if per_subject else (np.arange(len(subject_index)) % CLIPS < 2), subject_index


def noise(rng: np.random.Generator, subject_index: Owners, *, sets: int) -> Floats:
    """[sets, n]: subject and clip each add a variance of 1."""
    of_subjects: Floats = rng.normal(size=(sets, subject_index.max() + 1))
    return of_subjects[:, subject_index] + rng.normal(size=(sets, len(subject_index)))


def coverages(subjects: int, effect: float, *, per_subject: bool, studies: int, seed: int) -> dict[str, float]:
    """Share of simulated studies whose interval holds the truth, of the AUROC, of a paired difference and of the AUROC
    by plain percentiles.
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
            found is not None and found[0] <= is_true <= found[1]
            for found, is_true in zip(bounds, (truth, lost, truth), strict=True)
        ]
    return dict(zip(("auroc", "difference", "plain percentile"), held.mean(axis=1).tolist(), strict=True))


def seconds_of_bootstrap(*, seed: int) -> float:
    """Of TIMED_REPLICATES clustered replicates of TIMED_MODELS models on TIMED_CLIPS clips, in this process."""
    rng = np.random.default_rng(seed)
    labels, subjects = rng.random(TIMED_CLIPS) < 0.3, rng.integers(TIMED_SUBJECTS, size=TIMED_CLIPS)
    scores = labels + rng.normal(size=(TIMED_MODELS, TIMED_CLIPS))
    start = time.perf_counter()
    clustered_bootstrap(scores, labels, subjects, samples=TIMED_REPLICATES, seed=seed)
    return time.perf_counter() - start


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a line for each kind of study."""
    lines = [
        "| subjects | classes differ by | true AUROC | AUROC | paired difference | plain percentile |",
        f"|{6 * '---|'}",
    ]
    for row in results["rows"]:
        cells = [f"{100 * row['coverage'][name]:.1f} %" for name in ("auroc", "difference", "plain percentile")]
        lines.append(f"| {row['subjects']} | {row['classes']} | {row['true_auroc']:.2f} | {' | '.join(cells)} |")
    error, timed = 100 * 2 * (0.05 * 0.95 / results["studies"]) ** 0.5, results["bootstrap"]
    said = (
        f"Share of {results['studies']} simulated studies whose 95 % interval holds the truth; by chance alone within"
        f" {error:.1f} % of 95 %. "
    )
    said += f"{results['outside']} of {2 * len(results['rows'])} coverages of AUROC and difference lie outside of "
    said += f"{100 * LOWEST:.0f} - {100 * HIGHEST:.0f} %."
    timing = (
        f"{timed['replicates']} clustered replicates of {timed['models']} models on {timed['clips']} clips of"
        f" {timed['subjects']} subjects took "
    )
    return "\n".join([*lines, "", said, "", f"{timing}{timed['seconds']:.1f} s, {results['machine']}."]) + "\n"


@click.command()
@click.option("--studies", type=click.IntRange(100), default=2_000, show_default=True, help="Simulated, of each kind.")
@seed_option
@out_option
def command(studies: int, seed: int, out: Path) -> None:
    """Simulate studies with known truth and count how often the intervals hold it; time the bootstrap. Writes results
    and a table.
    """
    kinds = [
        (subjects, effect, per_subject) for per_subject in (True, False) for effect in EFFECTS for subjects in SUBJECTS
    ]
    rows: list[dict[str, Any]] = []
    with progress("coverage", total=len(kinds)) as advance:
        for done, (subjects, effect, per_subject) in enumerate(kinds, start=1):
            found = coverages(subjects, effect, per_subject=per_subject, studies=studies, seed=seed)
            classes = "subject" if per_subject else "clip"
            rows.append(
                {
                    "subjects": subjects,
                    "clips": CLIPS,
                    "classes": classes,
                    "true_auroc": true_auroc(effect),
                    "coverage": found,
                }
            )
            advance(done)
    results = {
        "schema": SCHEMA,
        "command": command_line(),
        "created": now(),
        "machine": device(),
        "seed": seed,
        "studies": studies,
        "replicates": REPLICATES,
        "rows": rows,
        "outside": sum(
            not LOWEST <= row["coverage"][name] <= HIGHEST for row in rows for name in ("auroc", "difference")
        ),
        "bootstrap": {
            "clips": TIMED_CLIPS,
            "subjects": TIMED_SUBJECTS,
            "models": TIMED_MODELS,
            "replicates": TIMED_REPLICATES,
            "seconds": seconds_of_bootstrap(seed=seed),
        },
    }
    write_study(out, results, table(results))
