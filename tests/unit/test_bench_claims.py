"""What seeds could have found, and published claims beside what they did find."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.paired import check_claim, compare
from tailor_rl.bench.student import detectable_difference, student_mean


def found(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value, low, high, num_runs=5, fewest=5)


def claim(ours: Estimate, low: float, high: float) -> tuple[str, str]:
    checked = check_claim(ours, low, high)
    return checked.same_sign, checked.same_size


@pytest.mark.parametrize(
    ("num", "in_deviations"),
    [
        (2, 11.549889754978167),
        (3, 3.264043552819638),
        (5, 1.6819970833232674),
        (10, 0.9960019107624178),
        (20, 0.6604416544380312),
    ],
)
def test_detectable_difference_is_statsmodels(num: int, in_deviations: float) -> None:
    # Recorded from statsmodels 0.15.0: TTestPower().solve_power(nobs=num, power=.8, alpha=.05).
    found = detectable_difference(0.04 / math.sqrt(num), num - 1)
    assert found == pytest.approx(0.04 * in_deviations, rel=1e-5)


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    # Five seeds with deviation .1: .1682. 500 studies: the binomial error is 1.8 %.
    true = detectable_difference(0.1 / math.sqrt(5), 4)
    rng = np.random.default_rng(0)
    found = [student_mean(true + rng.normal(scale=0.1, size=5)).p for _ in range(500)]
    assert sum(p is not None and p < 0.05 for p in found) / 500 == pytest.approx(0.8, abs=0.045)


def test_more_power_needs_a_larger_difference() -> None:
    at = [detectable_difference(1.0, 4, power=power) for power in (0.5, 0.8, 0.95, 0.999)]
    assert at == sorted(at) and at[0] < at[-1] < 8


def test_detectable_is_that_of_the_standard_error_found() -> None:
    difference = compare(
        {"a": dict(enumerate((0.5, 0.6, 0.7)))}, {"a": dict(enumerate((0.1, 0.3, 0.2)))}, seed=0
    ).difference
    assert difference.standard_error is not None
    assert difference.detectable == detectable_difference(difference.standard_error, 2.0)


def test_impossible_power_is_refused() -> None:
    with pytest.raises(ValueError, match="power 1"):
        detectable_difference(0.1, 4, power=1)
    with pytest.raises(ValueError, match="standard error 0"):
        detectable_difference(0, 4)


@pytest.mark.parametrize(
    ("ours", "sign", "size"),
    [
        (found(0.20, 0.12, 0.28), "yes", "yes"),  # reaches below the range: still what they say
        (found(0.20, -0.1, 0.50), "not told apart", "not told apart"),  # in it, and may be nothing
        (found(0.05, 0.02, 0.08), "yes", "smaller"),
        (found(0.01, -0.02, 0.04), "not told apart", "smaller"),
        (found(-0.1, -0.15, -0.05), "no", "smaller"),
        (found(0.40, 0.35, 0.45), "yes", "larger"),
        (found(0.12, 0.05, 0.19), "yes", "not told apart"),  # below, yet overlapping
        (found(0.33, 0.28, 0.38), "yes", "not told apart"),
        (found(0.20, None, None), "not told apart", "not told apart"),
        (found(0.15, 0.10, 0.20), "yes", "yes"),  # bounds belong to the range
    ],
)
def test_a_claim_of_15_to_30_points(ours: Estimate, sign: str, size: str) -> None:
    assert claim(ours, 0.15, 0.30) == (sign, size)
    # Arms named the other way round: everything turns but the answers.
    low, high = (None, None) if ours.low is None or ours.high is None else (-ours.high, -ours.low)
    assert claim(found(-ours.value, low, high), -0.30, -0.15) == (sign, size)


def test_a_claim_of_no_difference_claims_no_sign() -> None:
    assert claim(found(0.01, -0.02, 0.04), -0.03, 0.03) == ("no sign claimed", "yes")
    assert claim(found(0.10, 0.06, 0.14), -0.03, 0.03) == ("no sign claimed", "larger")
    assert claim(found(-0.1, -0.14, -0.06), -0.03, 0.03) == ("no sign claimed", "smaller")
    assert claim(found(0.0, None, None), -0.03, 0.03) == ("no sign claimed", "not told apart")


def test_a_claim_from_zero_upwards_claims_a_sign() -> None:
    assert claim(found(0.1, 0.05, 0.15), 0.0, 0.2) == ("yes", "yes")
    assert claim(found(-0.1, -0.15, -0.05), 0.0, 0.2) == ("no", "smaller")


def test_a_claim_that_is_no_range_is_refused() -> None:
    with pytest.raises(ValueError, match="low <= high"):
        check_claim(found(0.1, 0.0, 0.2), 0.3, 0.15)


def test_what_a_corrected_test_does_not_tell_apart_has_neither_sign_nor_size() -> None:
    ours = found(0.154, 0.071, 0.237)
    assert claim(ours, 0.12, 0.18) == ("yes", "yes")
    corrected = check_claim(ours, 0.12, 0.18, told_apart=False)
    assert (corrected.same_sign, corrected.same_size) == ("not told apart", "not told apart")
