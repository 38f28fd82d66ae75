"""Find what a file has heard of a dataset, by the sound of the recordings, whatever files and subjects are called."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.benchmarks.schema.results import CopiesInTest
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.bundle import Manifest, heard_path, read_heard
from hearlite.data.copies import Copies, listed_pairs, subject_groups
from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints, find_matches
from hearlite.errors import InputError
from hearlite.manifests.splits import subject_hash

BY_RECORDINGS, BY_NAMES = "recordings", "names"  # how it was looked up what a model has heard
TRAINING = "training"  # of a CopiesInTest: the dataset's own training and validation subjects
_EXAMPLES = 20  # in results.json


@dataclass(frozen=True)
class Heard:
    """The recordings of a dataset that a file was distilled on, or its classifier head fitted to."""

    model: str
    known: bool  # False: the file's fingerprints are not there, and nothing was compared
    exact: tuple[str, ...] = ()  # test recordings, "a.wav (subject)", that it has heard as they are
    near: tuple[str, ...] = ()  # test recordings that it has heard in another form
    others: int = 0  # recordings of training and validation subjects that it has heard in any form
    recordings: frozenset[str] = frozenset()  # names of all of them, in test or not
    missing: str = ""  # name of the fingerprints' file, if it should be there

    @property
    def of_dataset(self) -> bool:
        """Whether it has heard any of the dataset's recordings."""
        return bool(self.exact or self.near or self.others)

    def require_allowed(self, *, allowed: bool, optional: bool = True) -> None:
        """Refuse test recordings that the file has heard unless the user allows them.

        `optional` says whether the command has an option to allow them.

        Raises
        ------
        InputError
            When there are some and `allowed` is false.
        """
        if self.exact and not allowed:
            raise InputError(
                f"{self.model} has heard {len(self.exact)} of the test recordings, whatever their subjects are called:"
                f" {listed_pairs(self.exact)}",
                "use the split that it was made with: the same manifest, or a split column"
                + ("; --allow-duplicates goes on and says so in the results" if optional else ""),
            )

    def notes(self) -> list[str]:
        """Return remarks for the report."""
        notes = []
        if self.exact:
            notes.append(
                f"WARNING: {self.model} has heard {len(self.exact)} of the test recordings: {listed_pairs(self.exact)}"
            )
        if self.near:
            notes.append(
                f"WARNING: {self.model} has heard {len(self.near)} of the test recordings in another form (codec,"
                f" level, a part): {listed_pairs(self.near)}"
            )
        if not self.known:
            why = f"{self.missing} is not beside it" if self.missing else "it comes without fingerprints"
            notes.append(f"what {self.model} has heard is known by the names of subjects only: {why}")
        return notes


def find_heard(model: Path, manifest: Manifest, dataset: Dataset, fingerprints: Fingerprints) -> Heard:
    """Compare a dataset's recordings with those that a file was made from.

    Parameters
    ----------
    model : Path
        The .tflite file.
    manifest : Manifest
        Its manifest.
    dataset : Dataset
        The dataset to test on.
    fingerprints : Fingerprints
        Of the dataset's recordings.

    Returns
    -------
    Heard

    Raises
    ------
    InputError
        When the file's fingerprints are damaged.
    """
    heard = read_heard(model, manifest)
    if heard is None:
        return Heard(manifest.name, False, missing=heard_path(model).name if manifest.heard_sha256 else "")
    places = {clip.name: (clip.subject, clip.split) for clip in dataset.clips}
    exact: dict[str, bool] = {}
    for match in find_matches(fingerprints, heard):
        name = fingerprints.names[match.one]
        exact[name] = exact.get(name, False) or match.exact
    tested = {name: equal for name, equal in exact.items() if places[name][1] == TEST_SPLIT}
    equal, near = (
        tuple(f"{name} ({places[name][0]})" for name, same in tested.items() if same == wanted)
        for wanted in (True, False)
    )
    return Heard(manifest.name, True, equal, near, len(exact) - len(tested), frozenset(exact))


def set_scored_subjects(
    dataset: Dataset, files: Sequence[tuple[Path, Manifest]], fingerprints: Fingerprints, *, folds: int
) -> tuple[Dataset, dict[str, str]]:
    """Put the subjects that cross-validation may score in test, and all others in train.

    Those may be scored of whom no file has heard anything, by name or by sound.

    Parameters
    ----------
    dataset : Dataset
        The dataset; its splits are ignored.
    files : sequence of (Path, Manifest)
        The .tflite files to measure.
    fingerprints : Fingerprints
        Of the dataset's recordings.
    folds : int
        Number of folds.

    Returns
    -------
    dataset : Dataset
        With these splits.
    groups : dict of str to str
        Group of each subject, from `subject_groups`; a group shares a fold and a side.

    Raises
    ------
    InputError
        If fewer groups than `folds` are left to score, or a file's fingerprints are damaged.
    """
    groups = subject_groups(dataset, fingerprints)
    heard: set[str] = set()
    for path, manifest in files:
        recordings = find_heard(path, manifest, dataset, fingerprints).recordings
        heard |= {clip.subject for clip in dataset.clips if clip.name in recordings}
        hashes = {*manifest.dataset.trained_subjects, *(manifest.head.trained_subjects if manifest.head else ())}
        heard |= {subject for subject in groups if subject_hash(subject) in hashes}
    taken = {groups[subject] for subject in heard}
    left = set(groups.values()) - taken
    if len(left) < folds:
        raise InputError(
            f"{dataset.name}: {len(left)} subjects are left for {folds} folds, as the files were made from"
            f" {len(heard)} of {len(groups)}",
            "nobody is scored whom a file has heard: take recordings of other people, or fewer folds",
        )
    clips = tuple(
        dataclasses.replace(clip, split=TEST_SPLIT if groups[clip.subject] in left else "train")
        for clip in dataset.clips
    )
    return dataclasses.replace(dataset, clips=clips), groups


def copies_in_test(copies: Copies, heard: list[Heard]) -> tuple[CopiesInTest, ...]:
    """Return what results.json says about test recordings that training has heard."""
    found = [(TRAINING, copies.exact, copies.near), *((item.model, item.exact, item.near) for item in heard)]
    return tuple(
        CopiesInTest(where, len(exact), len(near), (*exact, *near)[:_EXAMPLES])
        for where, exact, near in found
        if exact or near
    )
