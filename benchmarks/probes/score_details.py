"""Complete a score by the figures that exist for a single task only: curves, thresholds, calibration, groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from hearlite.benchmarks.probes.logistic import Fitted
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners
from hearlite.benchmarks.stats.calibration import calibration, fit_platt
from hearlite.benchmarks.stats.estimates import ROC_POINTS, Curve, Score, Setting
from hearlite.benchmarks.stats.operating_point import choose_threshold, operating_point, sweep_figures
from hearlite.benchmarks.stats.subgroups import subgroup_aurocs
from hearlite.benchmarks.stats.threshold_sweep import roc_curve

_DECIMALS = 4  # of the rates of a curve


def detailed(
    score: Score,
    fit: Fitted,
    train: Bools,
    test: Bools,
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    subgroups: Mapping[str, Sequence[str]],
) -> Score:
    """Add to a score the figures that exist for a single task only.

    These are hyper-parameters, ROC curve, threshold sweep, operating point, calibration and subgroups.

    Parameters
    ----------
    score : Score
        Score of a model on a task.
    fit : Fitted
        The model's fitted probe.
    train : bool array [n_train]
        Labels that `fit` was fitted to.
    test : bool array [n_test]
        Labels of the test clips.
    subject_index : int array [n_test]
        Column in `subject_weights` of each test clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.
    subgroups : dict of str to sequence of str
        Metadata columns, `[n_test]` values each.

    Returns
    -------
    Score
        The completed score.

    Raises
    ------
    InputError
        As `auroc` does.
    """
    usable = np.isfinite(fit.out_of_fold)  # a fold that leaves one class to train on has no scores
    held_out, truth = fit.out_of_fold[usable], train[usable]
    return with_details(
        score,
        fit.chosen,
        fit.scores,
        (fit.scores, choose_threshold(held_out, truth)),
        fit_platt(held_out, truth).probabilities(fit.scores),
        test,
        subject_index,
        subject_weights,
        subgroups=subgroups,
    )


def with_details(
    score: Score,
    chosen: Mapping[str, float],
    scores: Floats,
    decided: tuple[Floats, float],
    probabilities: Floats,
    test: Bools,
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    subgroups: Mapping[str, Sequence[str]],
) -> Score:
    """Add to a score what follows from scores, decisions and probabilities of the test clips.

    Parameters
    ----------
    score : Score
        Score of a model on a task.
    chosen : dict of str to float
        Hyper-parameters.
    scores : array [n_test]
        Scores, for curves and groups.
    decided : tuple of array [n_test] and float
        Scores to compare with a threshold, and the threshold.
    probabilities : array [n_test]
        Calibrated probabilities of the positive class.
    test, subject_index, subject_weights, subgroups
        As for `detailed`.

    Returns
    -------
    Score
        The completed score.
    """
    rates = (np.round(rate, _DECIMALS).tolist() for rate in roc_curve(scores, test, points=ROC_POINTS))
    compared, threshold = decided
    return dataclasses.replace(
        score,
        chosen=tuple(Setting(name, float(value)) for name, value in chosen.items()),
        roc=Curve(*(tuple(rate) for rate in rates)),
        sweep=sweep_figures(scores, test, subject_index, subject_weights),
        point=operating_point(compared, test, subject_index, subject_weights, threshold=threshold),
        calibration=calibration(probabilities, test, subject_index, subject_weights),
        subgroups=tuple(
            subgroup_aurocs(scores, test, subject_index, subject_weights, values, column=column)
            for column, values in subgroups.items()
        ),
    )
