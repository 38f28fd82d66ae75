"""What one model has on one task beside its AUROC: curve, AUPRC, sensitivity, an operating point, calibration and subgroups.

Everything that is fitted, threshold and Platt scaling, comes from out-of-fold scores of the training clips; test clips are only judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from hearlite.benchmarks.probes.logistic import Fitted
from hearlite.benchmarks.stats.bootstrap import Bools, Multiplicities, Owners
from hearlite.benchmarks.stats.calibration import calibration, fit_platt
from hearlite.benchmarks.stats.estimates import ROC_POINTS, Curve, Score, Setting
from hearlite.benchmarks.stats.operating_point import choose_threshold, operating_point, sweep_figures
from hearlite.benchmarks.stats.subgroups import subgroup_aurocs
from hearlite.benchmarks.stats.threshold_sweep import roc_curve

_DECIMALS = 4  # of a drawn curve


def detailed(
    score: Score,
    fit: Fitted,
    train: Bools,
    test: Bools,
    owners: Owners,
    multiplicities: Multiplicities,
    *,
    subgroups: Mapping[str, Sequence[str]],
) -> Score:
    """The score with all that only a single task has.

    Parameters: `train` [n_train], the labels that `fit` was fitted to; `test`, `owners` [n_test]; `multiplicities` [samples, subjects]; `subgroups`,
    for each column its values of the test clips, [n_test]. Raises InputError as `auroc` does.
    """
    usable = np.isfinite(fit.out_of_fold)  # a fold whose training side has one class is scored by nobody
    held_out, truth = fit.out_of_fold[usable], train[usable]
    rates = (np.round(rate, _DECIMALS).tolist() for rate in roc_curve(fit.scores, test, points=ROC_POINTS))
    return dataclasses.replace(
        score,
        chosen=tuple(Setting(name, float(value)) for name, value in fit.chosen.items()),
        roc=Curve(*(tuple(rate) for rate in rates)),
        sweep=sweep_figures(fit.scores, test, owners, multiplicities),
        point=operating_point(fit.scores, test, owners, multiplicities, threshold=choose_threshold(held_out, truth)),
        calibration=calibration(fit_platt(held_out, truth).probabilities(fit.scores), test, owners, multiplicities),
        subgroups=tuple(subgroup_aurocs(fit.scores, test, owners, multiplicities, values, column=column) for column, values in subgroups.items()),
    )
