"""The results of a search for students: rows, their ranks, and two tables of quality and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearlite.benchmarks.experiments.student_costs import StudentCost
from hearlite.benchmarks.report.format import NOTHING, bytes_text, percent_text
from hearlite.benchmarks.stats.estimates import Estimate


@dataclass(frozen=True)
class Fidelity:
    """How near a student is to its teacher, on clips of subjects that it did not learn from."""

    dataset: str
    centred_cosine: float  # mean over clips, of the targets' coordinates, which are centred by the training clips
    probe_correlation: float  # of random linear probes, distill/validation_metrics.py


@dataclass(frozen=True)
class LeftOut(Fidelity):
    """The same on all clips of a left-out dataset, with what its labels show."""

    retention: Estimate | None = None  # of AUROC, 95 % over test subjects; null without labels


@dataclass(frozen=True)
class Trial:
    """One candidate trained with one seed."""

    key: str  # sha256 of all that the figures depend on beside the run: data, teacher, protocol
    validation: Fidelity  # validation subjects of the training corpora
    left_out: tuple[Fidelity, ...]  # all clips of each dataset
    int8_centred_cosine: float  # of the int8 file to the float32 one, mean over clips of validation subjects
    steps: int
    minutes: float  # of training, the start and evaluations included


@dataclass(frozen=True)
class SearchRow:
    """One candidate: its cost, and means over its finished seeds. Without one there is its cost alone."""

    candidate: str
    size: str  # of the student that it changes
    overrides: dict[str, Any]
    cost: StudentCost
    seeds: int  # that are finished
    rank: float | None = None  # mean of its ranks by every figure of fidelity, among the candidates that have them
    validation: Fidelity | None = None
    left_out: tuple[LeftOut, ...] = ()
    seed_deviation: float | None = None  # standard deviation of the seeds' cosines, on left-out clips if there are any
    int8_centred_cosine: float | None = None
    seconds_per_step: float | None = None


def means(trials: Sequence[Trial], *, retention: Sequence[Estimate | None]) -> dict[str, Any]:
    """Return the fields of a SearchRow that are means over trials.

    Parameters
    ----------
    trials
        One for each seed.
    retention
        Over all of them, for each left-out dataset.
    """
    cosines = [np.mean([item.centred_cosine for item in trial.left_out or (trial.validation,)]) for trial in trials]
    places = [_mean(items) for items in zip(*(trial.left_out for trial in trials), strict=True)]
    return {
        "validation": _mean([trial.validation for trial in trials]),
        "left_out": tuple(LeftOut(**vars(item), retention=kept) for item, kept in zip(places, retention, strict=True)),
        "seed_deviation": float(np.std(cosines, ddof=1)) if len(trials) > 1 else None,
        "int8_centred_cosine": float(np.mean([trial.int8_centred_cosine for trial in trials])),
        "seconds_per_step": float(np.mean([60.0 * trial.minutes / trial.steps for trial in trials])),
    }


def _mean(items: Sequence[Fidelity]) -> Fidelity:
    return Fidelity(
        items[0].dataset,
        float(np.mean([item.centred_cosine for item in items])),
        float(np.mean([item.probe_correlation for item in items])),
    )


def mean_ranks(fidelities: Mapping[str, Sequence[Fidelity]]) -> dict[str, float]:
    """Return the mean rank of each candidate, 1 for one that leads everywhere; equal figures share theirs.

    Half of the weight is that of the first item, validation, and half is shared by the left-out datasets: a student
    shall be good outside its corpus, too.

    Parameters
    ----------
    fidelities
        By candidate: on validation subjects first, then on each left-out dataset, in the same order for all.
    """
    if not fidelities:
        return {}
    figures = np.asarray([[(f.centred_cosine, f.probe_correlation) for f in items] for items in fidelities.values()])
    better = (figures[None] > figures[:, None]).sum(axis=1)  # [candidates, datasets, figures]
    equal = (figures[None] == figures[:, None]).sum(axis=1)
    ranks = (better + (equal + 1.0) / 2.0).mean(axis=2)
    own = ranks[:, 0] if ranks.shape[1] == 1 else (ranks[:, 0] + ranks[:, 1:].mean(axis=1)) / 2.0
    return dict(zip(fidelities, own.tolist(), strict=True))


def table(rows: Sequence[SearchRow]) -> str:
    """Render Markdown: quality, the best first, and cost in the same order."""
    ordered = sorted(rows, key=lambda row: (row.rank is None, row.rank or 0.0))
    places = list(dict.fromkeys(item.dataset for row in rows for item in row.left_out))
    labelled = list(dict.fromkeys(item.dataset for row in rows for item in row.left_out if item.retention is not None))
    titles = ["candidate", "rank", "seeds", "validation: cosine", "probes"]
    titles += [title for name in places for title in (f"{name}: cosine", "probes")]
    titles += ["sd of seeds", *(f"{name}: retention" for name in labelled), "int8 to float32", "s / step"]
    lines = [_line(titles), f"|{len(titles) * '---|'}"]
    for row in ordered:
        found = {item.dataset: item for item in row.left_out}
        cells = [row.candidate, _number(row.rank, 1), str(row.seeds), *_pair(row.validation)]
        cells += [cell for name in places for cell in _pair(found.get(name))]
        cells.append(_number(row.seed_deviation, 4))
        cells += [percent_text((name in found and found[name].retention) or Estimate()) for name in labelled]
        cells += [_number(row.int8_centred_cosine, 4), _number(row.seconds_per_step, 3)]
        lines.append(_line(cells))
    references = list(rows[0].cost.int8.times_faster) if rows else []
    titles = ["candidate", "MMAC", "M parameters", "int8 file", "int8 ms / s", "float32 ms / s"]
    titles += [f"int8 x {name}" for name in references] + [f"float32 x {name}" for name in references]
    lines += ["", _line(titles), f"|{len(titles) * '---|'}"]
    for row in ordered:
        cost = row.cost
        cells = [row.candidate, f"{cost.macs / 1e6:.1f}", f"{cost.parameters / 1e6:.2f}", bytes_text(cost.int8.bytes)]
        cells += [f"{file.ms_per_s:.3f}" for file in (cost.int8, cost.float32)]
        cells += [f"{file.times_faster[name]:.2f}" for file in (cost.int8, cost.float32) for name in references]
        lines.append(_line(cells))
    notes = (
        "Cosine: of student and teacher, centred on these clips. Probes: correlation of random linear probes. Both on"
        " subjects that no student learned from. Rank: mean of the ranks by these, half of it on validation subjects.",
        "Times: one thread, for a second of sound, frontend included; x: times faster than the student of that size.",
    )
    return "\n".join([*lines, *(f"\n{note}" for note in notes)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _pair(item: Fidelity | None) -> tuple[str, str]:
    if item is None:
        return NOTHING, NOTHING
    return f"{item.centred_cosine:.3f}", f"{item.probe_correlation:.3f}"
