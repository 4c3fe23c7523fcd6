"""Aggregates over runs: rliable's own outputs, brute force over all resamples, and laws."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.bench.estimates import (
    Curve,
    Estimate,
    StatisticName,
    aggregate,
    bounded,
    common_grid,
    curve_band,
    improvement,
    performance_profile,
)

# Recorded from rliable 1.2.0 (arch 7.2.0, numpy 2.4.6, scipy 1.17.1); rows runs, columns tasks:
#   X = np.array([[.62, .35, .90], [.71, .40, 1.10], [.55, .52, .87], [.66, .31, .95],
#                 [.80, .44, .70]])
#   Y = np.array([[.50, .35, .85], [.62, .45, .90], [.58, .29, 1.02], [.49, .38, .66],
#                 [.70, .33, .81]])
#   metrics.aggregate_iqm(X), aggregate_mean(X)
#   metrics.probability_of_improvement(X, Y)
#   library.create_performance_profile({"X": X}, np.array(TAUS), reps=20000)
#   library.get_interval_estimates({"X": X}, lambda s: np.array([iqm, mean]),
#                                  reps=50000)
#   library.get_interval_estimates({"XY": (X, Y)}, probability_of_improvement, reps=20000)
# each after np.random.seed(0).
X = {
    "knights": [0.62, 0.71, 0.55, 0.66, 0.80],
    "countdown": [0.35, 0.40, 0.52, 0.31, 0.44],
    "igsm": [0.90, 1.10, 0.87, 0.95, 0.70],
}
Y = {
    "knights": [0.50, 0.62, 0.58, 0.49, 0.70],
    "countdown": [0.35, 0.45, 0.29, 0.38, 0.33],
    "igsm": [0.85, 0.90, 1.02, 0.66, 0.81],
}
STATISTICS: tuple[StatisticName, ...] = ("iqm", "mean")
RLIABLE_X = (0.6522222222222223, 0.6586666666666667)
RLIABLE_Y = (0.5766666666666667, 0.5953333333333334)
RLIABLE_X_LOW = (0.59667, 0.60867)
RLIABLE_X_HIGH = (0.70778, 0.70800)
TAUS = (0.3, 0.45, 0.62, 0.8, 0.95)


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


@pytest.mark.parametrize("which", range(2))
def test_aggregates_are_rliables(which: int) -> None:
    assert aggregate(X, STATISTICS[which], seed=0).value == pytest.approx(RLIABLE_X[which])
    assert aggregate(Y, STATISTICS[which], seed=0).value == pytest.approx(RLIABLE_Y[which])


@pytest.mark.parametrize("which", range(2))
def test_intervals_of_aggregates_are_rliables_up_to_monte_carlo_error(which: int) -> None:
    low, high = bounds(aggregate(X, STATISTICS[which], seed=1, num_resamples=20_000))
    assert low == pytest.approx(RLIABLE_X_LOW[which], abs=0.005)
    assert high == pytest.approx(RLIABLE_X_HIGH[which], abs=0.005)


def test_probability_of_improvement_is_rliables() -> None:
    found = improvement(X, Y, seed=0, num_resamples=20_000)
    assert found.value == pytest.approx(0.7)
    assert improvement(Y, X, seed=0).value == pytest.approx(0.3)
    assert bounds(found) == pytest.approx((0.49333, 0.88), abs=0.015)
    assert (found.num_runs, found.fewest) == (30, 5)


def test_scores_that_differ_by_rounding_are_tied() -> None:
    tied = improvement({"a": [0.1 + 0.2, 0.5]}, {"a": [0.3, 0.2]}, seed=0)
    assert 0.1 + 0.2 > 0.3 and tied.value == pytest.approx(3.5 / 4)


def test_performance_profile_is_rliables() -> None:
    band = performance_profile(X, TAUS, seed=0, num_resamples=10_000)
    assert band.x == TAUS
    assert band.values == pytest.approx((1.0, 11 / 15, 8 / 15, 4 / 15, 1 / 15))
    assert band.low == pytest.approx((1.0, 10 / 15, 6 / 15, 2 / 15, 0.0), abs=0.01)
    assert band.high == pytest.approx((1.0, 13 / 15, 10 / 15, 5 / 15, 3 / 15), abs=0.01)


def test_a_score_at_tau_is_not_above_it() -> None:
    assert performance_profile({"a": [0.5, 0.5, 0.6]}, [0.5], seed=0).values == (
        pytest.approx(1 / 3),
    )


def test_curve_band_is_rliables_interquartile_mean_at_each_measurement() -> None:
    # Recorded likewise: five runs of one task at four frames, aggregate_iqm of each frame.
    runs_NX = [[0.1, 0.3, 0.5, 0.6], [0.2, 0.25, 0.55, 0.7], [0.05, 0.4, 0.45, 0.65]]
    runs_NX += [[0.15, 0.35, 0.6, 0.62], [0.1, 0.2, 0.5, 0.9]]
    curves = {"all": [list(zip((0.0, 1.0, 2.0, 3.0), run, strict=True)) for run in runs_NX]}
    band = curve_band(curves, seed=0, num_resamples=20_000)
    assert band.x == (0.0, 1.0, 2.0, 3.0)
    assert band.values == pytest.approx((0.1166667, 0.3, 0.5166667, 0.6566667))
    assert band.low == pytest.approx((0.0666667, 0.2166667, 0.4666667, 0.6066667), abs=0.005)
    assert band.high == pytest.approx((0.1833333, 0.3833333, 0.5833333, 0.8333333), abs=0.02)


def test_interquartile_mean_drops_a_quarter_at_each_end_of_all_runs_pooled() -> None:
    # Sorted: .1 .2 | .3 .4 .5 .6 | .7 .9, whatever the settings.
    scores = {"a": [0.9, 0.1, 0.3], "b": [0.4, 0.2, 0.7, 0.6, 0.5]}
    assert aggregate(scores, "iqm", seed=0).value == pytest.approx(0.45)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_interquartile_mean_of_fewer_than_four_runs_is_their_mean(num: int) -> None:
    scores = {"a": [0.1, 0.9, 0.2][:num]}
    found = aggregate(scores, "iqm", seed=0)
    assert found.value == pytest.approx(aggregate(scores, "mean", seed=0).value)


def test_mean_weighs_settings_equally_however_many_runs_they_have() -> None:
    # Means .2 and .8; pooled, the mean were .32.
    scores = {"a": [0.1, 0.3, 0.2, 0.2], "b": [0.8]}
    assert aggregate(scores, "mean", seed=0).value == pytest.approx(0.5)


def test_interval_in_one_setting_is_that_of_all_resamples_there_are() -> None:
    runs = [0.11, 0.52, 0.23, 0.94]
    means = [np.mean(drawn) for drawn in product(runs, repeat=4)]  # 256, each as likely
    low, high = bounds(aggregate({"a": runs}, "mean", seed=3, num_resamples=40_000))
    assert low == pytest.approx(np.percentile(means, 2.5), abs=0.01)
    assert high == pytest.approx(np.percentile(means, 97.5), abs=0.01)


def test_runs_are_resampled_within_their_setting_and_never_across() -> None:
    # Within a setting all runs agree, so no resample can differ; across, means would spread.
    found = aggregate({"easy": [0.9] * 4, "hard": [0.1] * 4}, "mean", seed=0)
    assert (found.value, *bounds(found)) == pytest.approx((0.5, 0.5, 0.5))


def test_one_run_has_no_interval() -> None:
    found = aggregate({"a": [0.4]}, "iqm", seed=0)
    assert (found.value, found.low, found.high) == (0.4, None, None)
    assert found.caveat == "one run, no error bar"


def test_one_run_in_any_setting_leaves_the_aggregate_without_an_interval() -> None:
    found = aggregate({"a": [0.4, 0.5, 0.6], "b": [0.3]}, "mean", seed=0)
    assert found.low is None and found.high is None
    assert found.caveat == "one run in a setting, no error bar"
    assert improvement({"a": [0.4]}, {"a": [0.1, 0.2]}, seed=0).low is None
    assert performance_profile({"a": [0.4]}, [0.3], seed=0).low is None
    assert curve_band({"a": [[(0.0, 0.4)]]}, seed=0).low is None


def test_two_runs_have_an_interval_and_no_caveat() -> None:
    found = aggregate({"a": [0.4, 0.6]}, "mean", seed=0)
    assert bounds(found) == pytest.approx((0.4, 0.6))
    assert found.caveat == ""


@pytest.mark.parametrize("statistic", ["iqm", "mean"])
def test_adding_a_constant_shifts_value_and_interval(statistic: StatisticName) -> None:
    shifted = {setting: [score + 0.25 for score in runs] for setting, runs in X.items()}
    before, after = (aggregate(scores, statistic, seed=7) for scores in (X, shifted))
    assert after.value == pytest.approx(before.value + 0.25)
    assert bounds(after) == pytest.approx([bound + 0.25 for bound in bounds(before)])


def test_order_of_seeds_and_settings_changes_nothing() -> None:
    turned = {setting: X[setting][::-1] for setting in reversed(X)}
    for statistic in STATISTICS:
        assert aggregate(X, statistic, seed=0) == aggregate(turned, statistic, seed=0)
    assert improvement(X, Y, seed=0) == improvement(turned, Y, seed=0)
    runs = [[(0.0, 0.1), (2.0, 0.5)], [(0.0, 0.3), (1.0, 0.2), (2.0, 0.4)]]
    assert curve_band({"a": runs}, seed=0) == curve_band({"a": runs[::-1]}, seed=0)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    assert aggregate(X, "iqm", seed=5) == aggregate(X, "iqm", seed=5)
    few = [bounds(aggregate(X, "iqm", seed=s, num_resamples=50)) for s in (5, 6)]
    assert few[0] != few[1]


def test_intervals_narrow_with_more_seeds() -> None:
    # The same spread with four times the runs: half as wide.
    runs = np.random.default_rng(0).normal(size=8).tolist()
    ends = [bounds(aggregate({"a": runs * times}, "mean", seed=0)) for times in (1, 4, 16)]
    widths = [high - low for low, high in ends]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.1)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_equal_arms_improve_on_each_other_with_probability_one_half(runs: list[float]) -> None:
    arm = {"a": runs}
    assert improvement(arm, arm, seed=0, num_resamples=10).value == pytest.approx(0.5)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_either_arm_improves_on_the_other_or_ties(first: list[int], second: list[int]) -> None:
    a, b = {"a": [float(x) for x in first]}, {"a": [float(x) for x in second]}
    there = improvement(a, b, seed=0, num_resamples=10).value
    above = sum((x > y) + (x == y) / 2 for x in first for y in second)
    assert there == pytest.approx(above / (len(first) * len(second)))
    assert there + improvement(b, a, seed=0, num_resamples=10).value == pytest.approx(1)


def test_iqm_interval_covers_the_truth_as_often_as_the_module_says() -> None:
    # 90 % with five seeds in one setting; the binomial error of 400 studies is 1.5 %.
    covered = 0
    for study in range(400):
        runs = np.random.default_rng(study).normal(size=5).tolist()
        low, high = bounds(aggregate({"a": runs}, "iqm", seed=study, num_resamples=300))
        covered += low <= 0 <= high
    assert 0.85 < covered / 400 < 0.95


def test_curves_are_interpolated_between_their_own_measurements() -> None:
    # At x = 1 the second run is halfway between .2 and .6; at x = 2 the first is between .5, .7.
    runs: list[Curve] = [[(0, 0.1), (1, 0.5), (3, 0.7)], [(0, 0.2), (2, 0.6), (4, 0.6)]]
    band = curve_band({"a": runs}, seed=0)
    assert band.x == (0.0, 1.0, 2.0, 3.0)
    assert band.values == pytest.approx((0.15, 0.45, 0.6, 0.65))


def test_no_curve_is_extrapolated() -> None:
    runs: list[Curve] = [[(5, 0.1), (100, 0.5)], [(0, 0.2), (60, 0.6)]]
    assert common_grid(runs).tolist() == [5.0, 60.0]


def test_many_measurements_are_thinned_to_even_distances_with_both_ends() -> None:
    runs = [[(i + shift, 0.5) for i in range(90)] for shift in (0.0, 0.5)]
    grid = common_grid(runs)
    assert grid.size == 100 and (grid[0], grid[-1]) == (0.5, 89.0)
    assert np.diff(grid) == pytest.approx(np.full(99, 88.5 / 99))


def test_the_last_of_measurements_at_one_x_counts() -> None:
    runs: list[Curve] = [[(0, 0.1), (1, 0.3), (1, 0.5)], [(0, 0.1), (1, 0.5)]]
    assert curve_band({"a": runs}, seed=0).values == pytest.approx((0.1, 0.5))


def test_a_band_of_several_settings_pools_their_runs() -> None:
    one = [[(0.0, score)] for score in (0.0, 0.5, 0.6, 0.7)]
    two = [[(0.0, score)] for score in (0.1, 0.5, 0.9, 1.0)]
    assert curve_band({"a": one, "b": two}, seed=0).values == pytest.approx((0.575,))


def test_scores_that_cannot_be_aggregated_are_refused() -> None:
    with pytest.raises(ValueError, match="no runs"):
        aggregate({}, "iqm", seed=0)
    with pytest.raises(ValueError, match="'b'"):
        aggregate({"a": [0.1], "b": []}, "iqm", seed=0)
    with pytest.raises(ValueError, match="finite"):
        aggregate({"a": [0.1, float("nan")]}, "iqm", seed=0)
    with pytest.raises(ValueError, match="b and the other has none"):
        improvement({"a": [0.1]}, {"a": [0.1], "b": [0.2]}, seed=0)


def test_curves_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        common_grid([[(0, 0.1), (1, 0.2)], [(2, 0.1), (3, 0.2)]])
    with pytest.raises(ValueError, match="ascending"):
        curve_band({"a": [[(1, 0.1), (0, 0.2)]]}, seed=0)
    with pytest.raises(ValueError, match="without measurements"):
        common_grid([[(0, 0.1)], []])
    with pytest.raises(ValueError, match="'b'"):
        curve_band({"a": [[(0, 0.1)]], "b": []}, seed=0)


def test_an_interval_of_a_share_ends_where_shares_do() -> None:
    wide = Estimate(0.9, 0.7, 1.1, num_runs=3, fewest=3)
    assert bounded(wide, high=1.0) == dataclasses.replace(wide, high=1.0)
    assert bounded(dataclasses.replace(wide, low=-0.2)).low == 0.0
    single = Estimate(0.9, None, None, num_runs=1, fewest=1)
    assert bounded(single, high=1.0) == single
