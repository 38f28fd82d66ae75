"""Score teacher and students as the respiratory sound challenges do, on the challenges' own splits.

    hearlite study challenge ICBHI --teacher hear:DIR --model FILE.tflite --out challenge

The score is the mean of sensitivity and specificity. DATA is a manifest with the columns of `hearlite import icbhi` or
`sprsound` (`sprsound-records` for whole recordings): `official_split` has "train" and the tested sides ("test", or
"intra" and "inter"), `label` the classes, one of them normal. A sound, of however many clips, has one mean embedding; a
logistic regression of all classes is fitted to official training, with its strength chosen on folds of whole subjects
by the score itself.

Official splits put some subjects on both sides: two subjects in ICBHI, all subjects of "intra" in SPRSound. Such a side
LEAKS; the results say so, and also hold the figures of its other subjects alone. Intervals are over subjects, as
everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.multiclass import FIGURES, LEAKS, classify, measure
from hearlite.benchmarks.probes.multiple_instance import group_clips, group_recordings, recording_lengths
from hearlite.benchmarks.report.format import auroc_text, difference_text
from hearlite.benchmarks.schema.baselines import DURATION
from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    EmbeddedDataset,
    StudyOptions,
    dataset_facts,
    embedded_by,
    open_models,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS
from hearlite.errors import InputError
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.manifests.splits import subject_hash
from hearlite.serialization import from_dict

SCHEMA = "hearlite-challenge/1"
TRAIN = "train"  # the official split's name for its training side
_NOTHING = Estimate()
ALL, UNKNOWN = "all subjects", "subjects that are not in training"


@dataclass(frozen=True)
class ChallengeScore:
    """The figures of one model on one side, and paired differences to the teacher's, null for itself."""

    model: str
    sensitivity: Estimate  # adventitious sounds that were assigned their own class
    specificity: Estimate  # normal sounds that were assigned normal
    average: Estimate  # of both: the challenges' score
    harmonic: Estimate
    sensitivity_difference: Estimate = _NOTHING
    specificity_difference: Estimate = _NOTHING
    average_difference: Estimate = _NOTHING
    harmonic_difference: Estimate = _NOTHING


@dataclass(frozen=True)
class ScoredSide:
    """One tested side of the official split, or its subjects that are not in training."""

    side: str
    of: str  # ALL or UNKNOWN
    sounds: int
    subjects: int
    subjects_in_training: int
    subjects_distilled_on: dict[str, int]  # by student
    chosen_c: dict[str, float]  # by model, inverse regularisation
    warning: str  # LEAKS, or ""
    models: tuple[ChallengeScore, ...]


@dataclass(frozen=True)
class TrainingSide:
    """The training side of the official split."""

    sounds: dict[str, int]  # by class
    subjects: int


@dataclass(frozen=True)
class ChallengeResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    normal: str  # class of normal sounds
    train: TrainingSide
    sides: tuple[ScoredSide, ...]


@dataclass(frozen=True, eq=False)
class Sounds:
    """The labelled sounds of one side of the official split."""

    vectors: dict[str, Floats]  # mean embeddings by model, [n, dim]
    classes: NDArray[Any]  # [n]
    subjects: NDArray[Any]  # [n]

    def take(self, which: Bools) -> Sounds:
        """Return the sounds of a mask [n]."""
        vectors = {model: values[which] for model, values in self.vectors.items()}
        return Sounds(vectors, self.classes[which], self.subjects[which])


def split_by_side(found: EmbeddedDataset, *, label: str, split: str, normal: str) -> tuple[Sounds, dict[str, Sounds]]:
    """Split the labelled sounds of a dataset by its official split.

    Parameters
    ----------
    found
        The embedded dataset.
    label, split
        Columns of the classes and of the official split.
    normal
        The class of normal sounds.

    Returns
    -------
    tuple[Sounds, dict[str, Sounds]]
        Official training, and the tested sides by their names.

    Raises
    ------
    InputError
        The columns have no training side, no tested side or no normal sounds in training.
    """
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
        present = [
            f"{name}: {', '.join(sorted(set(column.tolist()) - {''})) or 'empty'}"
            for name, column in ((split, side), (label, classes))
        ]
        raise InputError(
            f"{found.dataset.name}: needs {split!r} with {TRAIN!r} and a tested side, and {normal!r} in {label!r}",
            "; ".join(present),
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
) -> tuple[ScoredSide, ...]:
    """Score every model on every tested side.

    A side with subjects of training is scored twice: as a whole, and on its other subjects if there are at least
    MIN_SUBJECTS.

    Parameters
    ----------
    train
        Official training.
    tested
        Tested sides by name.
    trained_subjects
        By student, the hashes of the subjects that it was distilled on.
    normal
        The class of normal sounds.
    seed
        Of folds and bootstrap.
    samples
        Bootstrap replicates.
    """
    guesses: dict[str, dict[str, NDArray[Any]]] = {}
    chosen = {}
    for model, values in train.vectors.items():
        everything = np.concatenate([side.vectors[model] for side in tested.values()])
        predicted, chosen[model] = classify(
            values, train.classes, everything, subjects=train.subjects, normal=normal, seed=seed
        )
        cuts = np.cumsum([len(side.classes) for side in tested.values()])[:-1]
        for name, part in zip(tested, np.split(predicted, cuts), strict=True):
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
            measured = measure(
                sounds.classes[which], guessed, sounds.subjects[which], normal=normal, seed=seed, samples=samples
            )
            rows.append(
                ScoredSide(
                    side=name,
                    of=of,
                    sounds=int(which.sum()),
                    subjects=len(people),
                    subjects_in_training=leaking,
                    subjects_distilled_on={
                        model: sum(subject_hash(person) in hashes for person in people)
                        for model, hashes in trained_subjects.items()
                    },
                    chosen_c=chosen,
                    warning=LEAKS if leaking else "",
                    models=tuple(from_dict(ChallengeScore, row, where="challenge score") for row in measured),
                )
            )
    return tuple(rows)


def table(sides: Sequence[ScoredSide]) -> str:
    """Render Markdown: a table for each tested side, a line for each model."""
    parts = []
    for side in sides:
        warning = f" **{side.warning}** ({side.subjects_in_training})." if side.warning else ""
        lines = [f"**{side.side}, {side.of}**: {side.sounds} sounds of {side.subjects} subjects.{warning}", ""]
        lines += [
            "| model | sensitivity | specificity | score | harmonic mean | score less the teacher's |",
            f"|{6 * '---|'}",
        ]
        for number, row in enumerate(side.models):
            cells = [auroc_text(getattr(row, name)) for name in FIGURES]
            cells.append(difference_text(row.average_difference) if number else "")
            lines.append(f"| {' | '.join([row.model, *cells])} |")
        lines += [
            "",
            *(
                f"{model} was distilled on {count} of these subjects."
                for model, count in side.subjects_distilled_on.items()
                if count
            ),
        ]
        parts.append("\n".join(lines))
    caption = (
        "Sensitivity: adventitious sounds that were assigned their own class; specificity: normal sounds that were"
        " assigned normal; score: their mean. "
    )
    return "\n\n".join(parts) + f"\n\n{caption}95 % intervals over test subjects; the difference is paired.\n"


@study_command()
@click.option("--label", default=DEFAULT_LABELS[0], show_default=True, help="Column of the classes.")
@click.option(
    "--normal", default="normal", show_default=True, help="The class of normal sounds; SPRSound's is 'Normal'."
)
@click.option(
    "--split",
    default="official_split",
    show_default=True,
    help="Column of the official split: 'train' and the tested sides.",
)
def command(options: StudyOptions, label: str, normal: str, split: str) -> None:
    """Score DATA as the ICBHI and SPRSound challenges do, on official splits; writes results and a table."""
    (dataset,) = options.load((label, split))
    # The official split decides who is tested, so subjects that a student was distilled on are counted, not refused.
    opened = open_models(options.teacher, options.models, ())
    train, tested = split_by_side(embedded_by(dataset, opened), label=label, split=split, normal=normal)
    trained_subjects = {manifest.name: set(manifest.dataset.trained_subjects) for manifest in opened.manifests}
    results = ChallengeResults(
        **vars(provenance(SCHEMA, opened, seed=options.seed)),
        dataset=dataset_facts(dataset, framing=options.framing),
        normal=normal,
        train=TrainingSide(
            sounds=dict(sorted(Counter(train.classes.tolist()).items())), subjects=len(set(train.subjects.tolist()))
        ),
        sides=score_sides(train, tested, trained_subjects, normal=normal, seed=options.seed),
    )
    write_study(options.out, results, table(results.sides))
