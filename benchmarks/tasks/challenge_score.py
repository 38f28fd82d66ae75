"""Compute the score of the respiratory sound challenges.

ICBHI 2017 (Rocha et al. 2019, Physiol Meas 40:035001) ranks by sensitivity, specificity and their mean, "the score".
SPRSound's BioCAS challenges (Zhang et al. 2022, IEEE BioCAS) call the mean AS and add the harmonic mean, HS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearlite.errors import InputError


@dataclass(frozen=True)
class ChallengeScore:
    """Sensitivity and specificity of a challenge, in [0, 1]."""

    # Share of the adventitious sounds that were assigned their own class: a wheeze called a crackle is wrong.
    sensitivity: float
    specificity: float  # share of the normal sounds that were called normal

    @property
    def average(self) -> float:
        """Arithmetic mean of sensitivity and specificity: ICBHI's score, SPRSound's AS."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def harmonic(self) -> float:
        """Harmonic mean of sensitivity and specificity: SPRSound's HS; 0 if both are 0."""
        both = self.sensitivity + self.specificity
        return 2 * self.sensitivity * self.specificity / both if both else 0.0


def challenge_score(truth: Sequence[str], predicted: Sequence[str], *, normal: str) -> ChallengeScore:
    """Score predicted classes against the true ones.

    Parameters
    ----------
    truth, predicted : sequence of str [n]
        True and predicted class of each sound.
    normal : str
        The class of normal sounds; all others are adventitious.

    Returns
    -------
    ChallengeScore
        Sensitivity and specificity.

    Raises
    ------
    InputError
        If the lengths differ, or normal or adventitious sounds are missing.
    """
    if len(truth) != len(predicted):
        raise InputError(f"{len(predicted)} predictions for {len(truth)} sounds", "expected one per sound")
    normals = [guess == normal for actual, guess in zip(truth, predicted, strict=True) if actual == normal]
    others = [guess == actual for actual, guess in zip(truth, predicted, strict=True) if actual != normal]
    if not (normals and others):
        raise InputError(f"{len(normals)} sounds of class {normal!r} and {len(others)} others", "the score needs both")
    return ChallengeScore(sensitivity=sum(others) / len(others), specificity=sum(normals) / len(normals))
