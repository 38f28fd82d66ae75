"""The score of the respiratory sound challenges on their own splits: sensitivity, specificity and their mean, teacher
and students.

    python -m hearlite.benchmarks.studies.challenge ICBHI --teacher hear:DIR --model FILE.tflite --out challenge

DATA is a manifest with the columns of `hearlite import icbhi` or `sprsound` (`sprsound-records` for whole recordings):
`official_split` has "train" and the sides that are tested ("test", or "intra" and "inter"), `label` the classes, one of
them normal. A sound, of however many clips, has one mean embedding; a logistic regression of all classes is fitted to
official training, its strength chosen on folds of whole subjects by the score itself.

Official splits put some subjects on both sides: ICBHI two of them, SPRSound's "intra" all. Such a side LEAKS, and the
results say so beside the figures of its other subjects alone. Intervals are over subjects, as everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.multiclass import FIGURES, LEAKS, SAMPLES, classify, measure
from hearlite.benchmarks.probes.multiple_instance import group_clips, group_recordings, recording_lengths
from hearlite.benchmarks.report.format import auroc_text, difference_text
from hearlite.benchmarks.schema.baselines import DURATION
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    EmbeddedDataset,
    data_argument,
    dataset_facts,
    embedded_by,
    framing_option,
    models_option,
    open_models,
    out_option,
    provenance,
    seed_option,
    teacher_option,
    write_study,
)
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS
from hearlite.data.dataset import load_dataset, subject_hash
from hearlite.data.manifest import DEFAULT_LABELS
from hearlite.errors import InputError

SCHEMA = "hearlite-challenge/1"
TRAIN = "train"  # the official split's name for its training side
ALL, UNKNOWN = "all subjects", "subjects that are not in training"


@dataclass(frozen=True, eq=False)
class Sounds:
    """The labelled sounds of one side of the official split."""

    vectors: dict[str, Floats]  # mean embeddings by model, [n, dim]
    classes: NDArray[Any]  # [n]
    subjects: NDArray[Any]  # [n]

    def take(self, which: Bools) -> Sounds:
        return Sounds(
            {model: values[which] for model, values in self.vectors.items()}, self.classes[which], self.subjects[which]
        )


def split_by_side(found: EmbeddedDataset, *, label: str, split: str, normal: str) -> tuple[Sounds, dict[str, Sounds]]:
    """(official training, the tested sides by their names). Raises InputError for columns that are no challenge."""
    records, of_clip = group_recordings(found.clips)
    columns = (
        [item.label(label) for item in records],
        [item.label(split) for item in records],
        [item.subject for item in records],
    )
    classes, side, subjects = (np.asarray(values, dtype=object) for values in columns)
    vectors = {model: group_clips(values, of_clip).mean() for model, values in found.vectors.items()}
    everything = Sounds({**vectors, DURATION: recording_lengths(records, of_clip)}, classes, subjects)
    names = sorted(set(side[classes != ""].tolist()) - {TRAIN, ""})
    if not (names and ((classes == normal) & (side == TRAIN)).any()):
        there = [
            f"{name}: {', '.join(sorted(set(column.tolist()) - {''})) or 'empty'}"
            for name, column in ((split, side), (label, classes))
        ]
        raise InputError(
            f"{found.dataset.name}: needs {split!r} with {TRAIN!r} and a tested side, and {normal!r} in {label!r}",
            "; ".join(there),
        )
    train, *tested = (everything.take((classes != "") & (side == name)) for name in (TRAIN, *names))
    return train, dict(zip(names, tested, strict=True))


def score_sides(
    train: Sounds,
    tested: Mapping[str, Sounds],
    trained_subjects: Mapping[str, set[str]],
    *,
    normal: str,
    seed: int,
    samples: int = SAMPLES,
) -> list[dict[str, Any]]:
    """Every model's figures on every tested side; on a side with subjects of training, those of its other subjects too,
    if there are five.

    `trained_subjects` are the hashes of the subjects that each student was distilled on.
    """
    guesses: dict[str, dict[str, NDArray[Any]]] = {}
    chosen = {}
    for model, values in train.vectors.items():
        everything = np.concatenate([side.vectors[model] for side in tested.values()])
        found, chosen[model] = classify(
            values, train.classes, everything, subjects=train.subjects, normal=normal, seed=seed
        )
        cuts = np.cumsum([len(side.classes) for side in tested.values()])[:-1]
        for name, part in zip(tested, np.split(found, cuts), strict=True):
            guesses.setdefault(name, {})[model] = part
    rows = []
    for name, sounds in tested.items():
        known = np.isin(sounds.subjects, train.subjects)
        fresh = len(set(sounds.subjects[~known].tolist()))
        for of, which in ((ALL, np.ones(len(known), dtype=bool)), (UNKNOWN, ~known)):
            if of == UNKNOWN and not (known.any() and fresh >= MIN_SUBJECTS):
                continue
            people = set(sounds.subjects[which].tolist())
            guessed = {model: guess[which] for model, guess in guesses[name].items()}
            leaking = len(set(sounds.subjects[which & known].tolist()))
            facts = {
                "side": name,
                "of": of,
                "sounds": int(which.sum()),
                "subjects": len(people),
                "subjects_in_training": leaking,
            }
            facts["subjects_distilled_on"] = {
                model: sum(subject_hash(person) in hashes for person in people)
                for model, hashes in trained_subjects.items()
            }
            facts["chosen_c"], facts["warning"] = chosen, LEAKS if leaking else ""
            measured = measure(
                sounds.classes[which], guessed, sounds.subjects[which], normal=normal, seed=seed, samples=samples
            )
            rows.append({**facts, "models": measured})
    return rows


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a table for each tested side, a line for each model."""
    parts = []
    for side in results["sides"]:
        warning = f" **{side['warning']}** ({side['subjects_in_training']})." if side["warning"] else ""
        lines = [
            f"**{side['side']}, {side['of']}**: {side['sounds']} sounds of {side['subjects']} subjects.{warning}",
            "",
        ]
        lines += [
            "| model | sensitivity | specificity | score | harmonic mean | score less the teacher's |",
            f"|{6 * '---|'}",
        ]
        for row in side["models"]:
            cells = [auroc_text(Estimate(**row[name])) for name in FIGURES]
            cells.append(difference_text(Estimate(**row["average_difference"])) if "average_difference" in row else "")
            lines.append(f"| {' | '.join([row['model'], *cells])} |")
        lines += [
            "",
            *(
                f"{model} was distilled on {count} of these subjects."
                for model, count in side["subjects_distilled_on"].items()
                if count
            ),
        ]
        parts.append("\n".join(lines))
    said = (
        "Sensitivity: adventitious sounds that were given their own class; specificity: normal sounds that were called"
        " normal; score: their mean. "
    )
    return "\n\n".join(parts) + f"\n\n{said}95 % intervals over test subjects; the difference is paired.\n"


@click.command()
@data_argument
@teacher_option
@models_option
@click.option("--label", default=DEFAULT_LABELS[0], show_default=True, help="Column of the classes.")
@click.option(
    "--normal", default="normal", show_default=True, help="The class of normal sounds; SPRSound's is 'Normal'."
)
@click.option(
    "--split",
    default="official_split",
    show_default=True,
    help="Column of the official split: 'train' and the sides that are tested.",
)
@framing_option
@seed_option
@out_option
def command(
    data: Path,
    teacher: str,
    models: tuple[Path, ...],
    label: str,
    normal: str,
    split: str,
    framing: str,
    seed: int,
    out: Path,
) -> None:
    """Score DATA as the ICBHI and SPRSound challenges do, on their official splits; writes results and a table."""
    dataset = load_dataset(data, label_columns=(label, split), framing=framing)
    opened = open_models(
        teacher, models, ()
    )  # who is tested here is the official split's choice: what was distilled on is counted, not refused
    train, tested = split_by_side(embedded_by(dataset, opened), label=label, split=split, normal=normal)
    trained_subjects = {manifest.name: set(manifest.dataset.trained_subjects) for manifest in opened.manifests}
    results = {
        **provenance(SCHEMA, opened, seed=seed, samples=SAMPLES),
        "dataset": dataset_facts(dataset, framing=framing),
        "normal": normal,
        "train": {
            "sounds": dict(sorted(Counter(train.classes.tolist()).items())),
            "subjects": len(set(train.subjects.tolist())),
        },
        "sides": score_sides(train, tested, trained_subjects, normal=normal, seed=seed),
    }
    write_study(out, results, table(results))
