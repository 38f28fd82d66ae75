"""The score of the respiratory sound challenges: correctly named adventitious and normal sounds.

ICBHI 2017 (Rocha et al. 2019, Physiol Meas 40:035001): sensitivity, specificity, and their mean, "the score".
SPRSound's BioCAS challenges (Zhang et al. 2022, IEEE BioCAS) call the mean AS and add the harmonic mean, HS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearlite.errors import InputError


@dataclass(frozen=True)
class ChallengeScore:
    """All in 0 ... 1."""

    # Of the adventitious sounds, the share that was given its own class: a wheeze called a crackle is wrong.
    sensitivity: float
    specificity: float  # of the normal sounds, the share that was called normal

    @property
    def average(self) -> float:
        """ICBHI's score, SPRSound's AS."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def harmonic(self) -> float:
        """SPRSound's HS; 0 when both are."""
        both = self.sensitivity + self.specificity
        return 2 * self.sensitivity * self.specificity / both if both else 0.0


def challenge_score(truth: Sequence[str], predicted: Sequence[str], *, normal: str) -> ChallengeScore:
    """Score predicted classes, one of each sound.

    Raises InputError for unequal lengths, or where normal or adventitious sounds are missing.
    """
    if len(truth) != len(predicted):
        raise InputError(f"{len(predicted)} predictions for {len(truth)} sounds", "expected one per sound")
    normals = [guess == normal for actual, guess in zip(truth, predicted, strict=True) if actual == normal]
    others = [guess == actual for actual, guess in zip(truth, predicted, strict=True) if actual != normal]
    if not (normals and others):
        raise InputError(f"{len(normals)} sounds of class {normal!r} and {len(others)} others", "the score needs both")
    return ChallengeScore(sensitivity=sum(others) / len(others), specificity=sum(normals) / len(normals))
