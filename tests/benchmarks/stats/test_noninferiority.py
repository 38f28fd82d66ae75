import dataclasses

import numpy as np
import pytest

from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR, compare, holm, holm_verdicts
from hearlite.errors import UsageError

DESIGN = {"degrees_of_freedom": 60.0, "trials": 30}


def replicates(value, *, error, seed=0, samples=4000):
    """Exactly `value` on average and with a standard deviation of exactly `error`."""
    drawn = np.random.default_rng(seed).normal(size=samples)
    return value + error * (drawn - drawn.mean()) / drawn.std(ddof=1)


def compared(difference, *, error, margin=0.02):
    reference = replicates(0.85, error=0.03, seed=1)
    return compare(
        0.85 + difference, 0.85, reference + replicates(difference, error=error), reference, margin=margin, **DESIGN
    )


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [
        (-0.005, 0.005, NON_INFERIOR),  # lower end -0.015
        (-0.005, 0.010, INCONCLUSIVE),  # lower end -0.025
        (-0.050, 0.010, INFERIOR),  # upper end -0.030
        (-0.025, 0.001, INFERIOR),
        (0.030, 0.010, NON_INFERIOR),
        (0.030, 0.100, INCONCLUSIVE),
    ],
)
def test_the_interval_and_the_margin_decide(difference, error, verdict):
    found = compared(difference, error=error)
    assert found.verdict == verdict
    assert (found.low > -0.02) == (verdict == NON_INFERIOR)
    assert (found.high < -0.02) == (verdict == INFERIOR)
    assert (found.low, found.high) == pytest.approx(
        (difference - 2.0003 * error, difference + 2.0003 * error), abs=1e-6
    )  # t of 60


@pytest.mark.parametrize("error", [0.001, 0.004, 0.01, 0.03])
@pytest.mark.parametrize("difference", [-0.06, -0.021, -0.02, -0.011, 0.0, 0.01, 0.05])
def test_intervals_and_p_values_never_contradict_each_other(difference, error):
    found = compared(difference, error=error)
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert (found.p_non_inferior < 0.025) == (found.low > -0.02)
    assert found.p_non_inferior + found.p_inferior == pytest.approx(1)


def test_a_wider_margin_never_turns_a_yes_into_a_no():
    verdicts = [
        compared(-0.01, error=0.005, margin=margin).verdict for margin in (0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.1)
    ]
    order = [INFERIOR, INCONCLUSIVE, NON_INFERIOR]
    assert [order.index(verdict) for verdict in verdicts] == sorted(order.index(verdict) for verdict in verdicts)
    assert set(verdicts) == {INCONCLUSIVE, NON_INFERIOR}


def test_at_the_margin_the_test_errs_in_one_of_forty():
    """2 000 estimates of a true loss of exactly the margin, t-distributed as the interval assumes."""
    rng = np.random.default_rng(2)
    errors = 0.01 * np.sqrt(rng.chisquare(60, size=2000) / 60)
    yes = sum(
        compared(-0.02 + 0.01 * noise, error=error).verdict == NON_INFERIOR
        for noise, error in zip(rng.normal(size=2000), errors, strict=True)
    )
    assert 0.015 <= yes / 2000 <= 0.035


def test_a_copy_is_non_inferior_and_does_not_differ():
    reference = replicates(0.85, error=0.03)
    found = compare(0.85, 0.85, reference, reference, margin=0.01, **DESIGN)
    assert (found.value, found.low, found.high, found.p, found.verdict) == (0, 0, 0, 1, NON_INFERIOR)


def test_two_perfect_models_are_no_proof_on_few_subjects():
    """Nothing goes wrong in any replicate, but thirty comparisons can't tell an AUROC of 1 from one of 0.9."""
    perfect = np.ones(500)
    found = compare(1.0, 1.0, perfect, perfect, margin=0.02, degrees_of_freedom=60, trials=30)
    assert (found.verdict, found.value) == (INCONCLUSIVE, 0)
    assert found.low == pytest.approx(0.025 ** (1 / 30) - 1)
    assert (found.p_non_inferior < 0.025) == (found.low > -0.02)
    many = compare(1.0, 1.0, perfect, perfect, margin=0.02, degrees_of_freedom=400, trials=200)
    assert many.verdict == NON_INFERIOR and many.low > -0.02


def test_undefined_replicates_leave_it_open():
    missing = np.full(100, np.nan)
    found = compare(0.8, 0.9, missing, missing, margin=0.02, **DESIGN)
    assert (found.verdict, found.low, found.p) == (INCONCLUSIVE, None, None)
    assert found.value == pytest.approx(-0.1)


@pytest.mark.parametrize("margin", [0.0, -0.02, 0.5, float("nan")])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(UsageError, match="margin is"):
        compared(0.0, error=0.01, margin=margin)


def test_holm_by_hand():
    """Holm's own arithmetic: 4 x 0.005, then 3 x 0.01, then 2 x 0.03, and 0.04 lifted to what came before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()
    assert holm([None, 0.02, None, 0.03]) == (None, 0.04, None, 0.04)


def test_holm_keeps_the_order_of_p_values_and_lies_between_raw_and_bonferroni():
    p_values = np.random.default_rng(3).random(20) ** 3
    adjusted = np.array(holm(p_values.tolist()))
    assert (np.diff(adjusted[np.argsort(p_values)]) >= 0).all()
    assert (adjusted >= p_values).all() and (adjusted <= np.minimum(1, 20 * p_values) + 1e-12).all()


def test_holm_verdicts_are_stricter_than_single_ones():
    clear, close, worse = compared(0.0, error=0.004), compared(-0.005, error=0.0072), compared(-0.06, error=0.01)
    assert (clear.verdict, close.verdict, worse.verdict) == (NON_INFERIOR, NON_INFERIOR, INFERIOR)
    assert holm_verdicts([clear, close, worse]) == (NON_INFERIOR, INCONCLUSIVE, INFERIOR)
    assert holm_verdicts([close]) == (close.verdict,)
    undefined = dataclasses.replace(clear, p_non_inferior=None, p_inferior=None)
    assert holm_verdicts([undefined, close]) == (INCONCLUSIVE, NON_INFERIOR)  # what was not tested costs nothing
