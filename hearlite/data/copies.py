"""Say which recordings of a dataset are copies of each other, on which sides of the split and of whom."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints
from hearlite.errors import InputError
from hearlite.manifests.rows import SPLITS
from hearlite.manifests.splits import subject_key
from hearlite.text import listed, printable

_LISTED = 10  # pairs named in a remark


@dataclass(frozen=True)
class Copies:
    """Recordings of a dataset that are copies of each other.

    Each pair is a text such as "a.wav (s1, train) = b.wav (s2, test)". Copies of one subject on one side are not
    listed.
    """

    exact: tuple[str, ...] = ()  # equal, one of them in test and one in train or val
    near: tuple[str, ...] = ()  # nearly equal, on the same two sides
    tuned: tuple[str, ...] = ()  # equal or nearly so, in train and in val
    renamed: tuple[str, ...] = ()  # equal or nearly so, on one side but of two subjects

    def require_allowed(self, *, allowed: bool, where: str) -> None:
        """Refuse equal recordings on two sides of the split unless the user allows them.

        Raises
        ------
        InputError
            When there are some and `allowed` is false.
        """
        if self.exact and not allowed:
            raise InputError(
                f"{where}: {_count(self.exact, 'recording')} in test and in training: {listed_pairs(self.exact)}",
                "a model is tested on what it was trained on: remove one of each pair, or put both on one side;"
                " --allow-duplicates goes on and says so in the results",
            )

    def notes(self) -> list[str]:
        """Return remarks on all of them, the worst first."""
        kinds = (
            ("WARNING: {} both in test and in training (equal); figures are too good", self.exact),
            ("WARNING: {} both in test and in training (nearly equal); figures may be too good", self.near),
            (
                "{} both in train and in val, so that the choice of weights favours what was learned by heart",
                self.tuned,
            ),
            ("{} on one side under the names of two subjects, who count as different people", self.renamed),
        )
        return [f"{text.format(_count(pairs, 'recording'))}: {listed_pairs(pairs)}" for text, pairs in kinds if pairs]


def find_copies(dataset: Dataset, fingerprints: Fingerprints) -> Copies:
    """Find the recordings of a dataset that are copies of each other.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    fingerprints : Fingerprints
        Of its recordings, from `fingerprint_recordings`.

    Returns
    -------
    Copies
    """
    known = {clip.name: (clip.subject, clip.split) for clip in dataset.clips}
    found: dict[str, list[str]] = {"exact": [], "near": [], "tuned": [], "renamed": []}
    for match in fingerprints.matches:
        pair = sorted(
            (fingerprints.names[match.one], fingerprints.names[match.other]), key=lambda name: _order(known[name])
        )
        (one, left), (other, right) = (known[name] for name in pair)
        if left == right and one == other:
            continue
        kind = "renamed" if left == right else "tuned" if right != "test" else "exact" if match.exact else "near"
        found[kind].append(" = ".join(f"{name} ({', '.join(known[name])})" for name in pair))
    return Copies(**{kind: tuple(pairs) for kind, pairs in found.items()})


def refuse_copies(dataset: Dataset, fingerprints: Fingerprints, *, allowed: bool) -> None:
    """Find copies as `find_copies` does, refuse those on two sides unless allowed, and print remarks to stderr.

    Raises InputError as `Copies.require_allowed` does.
    """
    copies = find_copies(dataset, fingerprints)
    copies.require_allowed(allowed=allowed, where=dataset.name)
    for note in copies.notes():
        print(printable(f"{dataset.name}: {note}"), file=sys.stderr)


def subject_groups(dataset: Dataset, fingerprints: Fingerprints) -> dict[str, str]:
    """Return a group for each subject, which those share who may be one person.

    They have copies of each other's recordings, or their names are spellings of one.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    fingerprints : Fingerprints
        Of its recordings.
    """
    owner = {clip.name: clip.subject for clip in dataset.clips}
    group = {subject: subject for subject in owner.values()}

    def root(subject: str) -> str:
        while group[subject] != subject:
            subject = group[subject]
        return subject

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        group[second] = first

    spelled: dict[str, str] = {}
    for subject in list(group):
        join(subject, spelled.setdefault(subject_key(subject), subject))
    for match in fingerprints.matches:
        join(owner[fingerprints.names[match.one]], owner[fingerprints.names[match.other]])
    return {subject: root(subject) for subject in group}


def listed_pairs(pairs: Sequence[str]) -> str:
    """Return the first pairs, and how many more there are."""
    return listed(pairs, _LISTED, between="; ", rest="; and {} more")


def _order(place: tuple[str, str]) -> int:
    return SPLITS.index(place[1])


def _count(items: Sequence[str], what: str) -> str:
    return f"{len(items)} {what}{'s are' if len(items) > 1 else ' is'}"
