"""The table of an ablation: every embedding probed on the same subjects, folds and bootstrap draws, so that differences
have intervals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.experiments.variants import Variant
from hearlite.benchmarks.probes.embeddings import embed_clips, make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.stats.auroc import auroc, retention, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import Floats, bootstrap_weights, interval
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.data.dataset import Dataset
from hearlite.embedders.base import Embedder
from hearlite.files import read_arrays, write_arrays

SAMPLES = 2_000  # bootstrap replicates


@dataclass(frozen=True)
class Probed:
    """An embedding's AUROC by task, [tasks], and on every bootstrap draw of test subjects, [tasks, samples]: the same
    draws for all embeddings.
    """

    names: tuple[str, ...]
    aurocs: Floats
    replicates: Floats


def probe(dataset: Dataset, *, embedder: Embedder, label_columns: Sequence[str], path: Path) -> Probed:
    """Linear probes of one embedding on the test subjects, with the folds and draws of every other one; kept in
    `path`.
    """
    key = hashlib.sha256(
        json.dumps([dataset.sha256, dataset.labels_sha256, len(dataset.clips), *label_columns]).encode()
    ).hexdigest()
    key += embedder.info.fingerprint
    if not (path.is_file() and str(read_arrays(path)["key"]) == key):
        embedded = embed_clips(dataset, {"": embedder})
        vectors = embedded.vectors[""].astype(np.float64)
        tasks, _ = make_tasks(embedded.clips, label_columns)
        subjects = np.asarray([clip.subject for clip in embedded.clips])
        tested = np.asarray([clip.split == TEST_SPLIT for clip in embedded.clips], dtype=np.bool_)
        people, subject_index = np.unique(subjects[tested], return_inverse=True)
        drawn = bootstrap_weights(len(people), samples=SAMPLES, seed=0)
        aurocs, replicates = [], []
        for task in tasks:
            inside, outside = task.labelled & ~tested, task.labelled & tested
            folds = fold_table(task.labels[inside], subjects[inside], seed=0)
            scores = fit_probe(vectors[inside], task.labels[inside], vectors[outside], folds=folds).scores
            aurocs.append(auroc(scores, task.labels[outside]))
            replicates.append(
                weighted_aurocs(scores[None], task.labels[outside], subject_index[task.labelled[tested]], drawn)[0]
            )
        names = np.asarray([task.name for task in tasks])
        write_arrays(
            path,
            {
                "key": np.asarray(key),
                "names": names,
                "aurocs": np.asarray(aurocs),
                "replicates": np.asarray(replicates),
            },
        )
    found = read_arrays(path)
    return Probed(tuple(found["names"].tolist()), found["aurocs"], found["replicates"])


def summarize(
    variant: Variant, probed: Sequence[Probed], figures: Sequence[dict[str, float]], *, teacher: Probed, first: Floats
) -> dict[str, Any]:
    """A row of the table: means over seeds. Intervals are of other test subjects, paired by draw; `first` [samples + 1]
    is the first variant's.
    """
    mean = np.mean([mean_over_tasks(item) for item in probed], axis=0)  # [samples + 1], the observed figure first
    by_seed = [float(item.aurocs.mean()) for item in probed]
    return {
        "variant": variant.name,
        "overrides": variant.overrides,
        "seeds": len(probed),
        **{name: float(np.mean([item[name] for item in figures])) for name in figures[0]},
        "auroc": estimate(mean),
        "kept": estimate(retention(mean, mean_over_tasks(teacher))),
        "difference": estimate(mean - first),
        "kept_of_first": estimate(retention(mean, first)),
        "seed_deviation": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        "tasks": dict(zip(probed[0].names, np.mean([item.aurocs for item in probed], axis=0).tolist(), strict=True)),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    titles = [
        "variant",
        "seeds",
        "validation probe correlation",
        "mean test AUROC",
        "kept of the teacher's excess",
        "AUROC less the first's",
    ]
    lines = [f"| {' | '.join([*titles, 'sd of seeds', 'minutes'])} |", f"|{8 * '---|'}"]
    for row in rows:
        deviation = "" if row["seed_deviation"] is None else f"{row['seed_deviation']:.4f}"
        cells = [
            row["variant"],
            row["seeds"],
            f"{row['val_random_probe_correlation']:.3f}",
            _text(row["auroc"], "{:.3f}"),
            _text(row["kept"], "{:.3f}"),
        ]
        cells += [_text(row["difference"], "{:+.4f}") if row is not rows[0] else "", deviation, f"{row['minutes']:.1f}"]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def mean_over_tasks(probed: Probed) -> Floats:
    """[samples + 1]: observed, then every draw."""
    return np.concatenate([[probed.aurocs.mean()], probed.replicates.mean(axis=0)])


def estimate(values: Floats) -> dict[str, float | None]:
    low, high = interval(values[1:]) or (None, None)
    return {"value": float(values[0]) if np.isfinite(values[0]) else None, "low": low, "high": high}


def _text(estimate: dict[str, float | None], form: str) -> str:
    value, low, high = (
        form.format(estimate[key]) if estimate[key] is not None else "-" for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"
