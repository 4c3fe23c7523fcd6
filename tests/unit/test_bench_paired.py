"""Planned comparisons on common seeds: hand-worked numbers, other packages' outputs, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tailor_rl.bench.paired import compare, holm, page_trend
from tailor_rl.bench.student import BySeed, mean_over_settings, student_mean

# Hours of sleep gained under two drugs by ten patients: the example of Student (1908) and of every
# textbook since; R's t.test(extra ~ group, data = sleep, paired = TRUE) prints t = -4.0621, df = 9,
# p-value = 0.002833, interval -2.4598858 to -0.7001142, mean difference -1.58.
FIRST = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def arm(*figures: float, setting: str = "all", first_seed: int = 0) -> BySeed:
    return {setting: {first_seed + i: figure for i, figure in enumerate(figures)}}


def test_difference_is_the_published_paired_t_test() -> None:
    paired = compare(arm(*FIRST), arm(*SECOND), seed=0)
    estimate = paired.difference.estimate
    assert estimate.value == pytest.approx(-1.58)
    assert estimate.low == pytest.approx(-2.4598858, abs=1e-7)
    assert estimate.high == pytest.approx(-0.7001142, abs=1e-7)
    assert paired.difference.p == pytest.approx(0.002833, abs=1e-6)
    assert paired.difference.degrees == pytest.approx(9)
    # Nine of ten slept longer under the second; the tenth alike.
    assert (paired.num_pairs, paired.num_same_sign) == (10, 9)
    # Of the nine that differ, all one way: 2 of 2^9 flips.
    assert paired.sign_flip_p == pytest.approx(2 / 2**9)
    assert paired.smallest_p == pytest.approx(2 / 2**10)


def test_over_settings_a_seed_counts_once_by_hand() -> None:
    # Differences by seed: a .1 .2 .3, b .3 .8 .1; averages .2 .5 .2, mean .3, s^2 = .03,
    # error .1 on 2 degrees.
    first = {"a": {1: 0.2, 2: 0.4, 3: 0.6}, "b": {1: 0.4, 2: 0.9, 3: 0.3}}
    second = {"a": {1: 0.1, 2: 0.2, 3: 0.3}, "b": {1: 0.1, 2: 0.1, 3: 0.2}}
    paired = compare(first, second, seed=0)
    difference = paired.difference
    assert difference.estimate.value == pytest.approx(0.3)
    assert difference.standard_error == pytest.approx(0.1)
    assert difference.degrees == 2
    assert difference.p == pytest.approx(2 * stats.t.sf(3, 2))
    assert (paired.num_pairs, paired.num_same_sign) == (3, 3)
    # Flips of whole seeds: 2 of 8 are as extreme; flips of six runs could have been 2 of 64.
    assert (paired.sign_flip_p, paired.smallest_p) == (0.25, 0.25)
    assert (difference.estimate.num_runs, difference.estimate.fewest) == (6, 3)


def test_a_setting_that_is_a_copy_of_another_is_no_evidence() -> None:
    alone = compare(arm(*FIRST), arm(*SECOND), seed=0)
    first, second = ({k: arm(*of)["all"] for k in "ab"} for of in (FIRST, SECOND))
    both = compare(first, second, seed=0)
    assert both.difference.p == pytest.approx(alone.difference.p)
    assert (both.num_pairs, both.num_same_sign) == (alone.num_pairs, alone.num_same_sign)
    assert (both.sign_flip_p, both.smallest_p) == (alone.sign_flip_p, alone.smallest_p)


def test_settings_with_different_seeds_are_taken_for_alike_by_hand() -> None:
    # a: differences .1 .2 .3, error sqrt(.01 / 3) = .0577350; b: .4 .8, error .2.
    # Mean .4; error (.0577350 + .2) / 2 = .1288675 on the 1 degree of b.
    first = {"a": {1: 0.2, 2: 0.4, 3: 0.6}, "b": {1: 0.5, 2: 1.0}}
    second = {"a": {1: 0.1, 2: 0.2, 3: 0.3}, "b": {1: 0.1, 2: 0.2}}
    paired = compare(first, second, seed=0)
    difference = paired.difference
    assert difference.estimate.value == pytest.approx(0.4)
    assert difference.standard_error == pytest.approx(0.1288675)
    assert difference.degrees == 1
    half = stats.t.ppf(0.975, 1) * 0.1288675
    assert difference.estimate.low == pytest.approx(0.4 - half, abs=1e-5)
    assert (difference.estimate.num_runs, difference.estimate.fewest) == (5, 2)
    assert paired.num_pairs == 3


def test_only_common_seeds_count_and_the_others_are_named() -> None:
    first = {"a": {1: 0.5, 2: 0.6, 3: 0.9}, "c": {1: 0.3}}
    second = {"a": {2: 0.4, 3: 0.5, 7: 0.0}, "b": {1: 0.2, 4: 0.2}}
    paired = compare(first, second, seed=0)
    assert paired.difference.estimate.value == pytest.approx(0.3)
    assert paired.seeds == {"a": (2, 3)}
    assert paired.left_out == {"a": (1, 7), "b": (1, 4), "c": (1,)}
    # Both runs of the first beat .4; .6 and .9 beat .5 too.
    assert paired.improvement.value == pytest.approx(1.0)
    assert paired.improvement.num_runs == 4


def test_no_common_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="no seed in common"):
        compare({"a": {1: 0.5}}, {"a": {2: 0.5}, "b": {1: 0.5}}, seed=0)
    with pytest.raises(ValueError, match="not finite"):
        compare({"a": {1: float("nan")}}, {"a": {1: 0.5}}, seed=0)


def test_one_seed_has_a_difference_without_interval_or_p() -> None:
    paired = compare(arm(0.5), arm(0.4), seed=0)
    assert paired.difference.estimate.value == pytest.approx(0.1)
    assert (paired.difference.estimate.low, paired.difference.estimate.high) == (None, None)
    assert paired.difference.estimate.caveat == "one run, no error bar"
    assert (paired.difference.p, paired.sign_flip_p, paired.smallest_p) == (None, None, None)
    assert paired.difference.detectable is None


def test_one_seed_in_one_setting_leaves_the_whole_without_an_interval() -> None:
    first = {"a": {1: 0.5, 2: 0.7}, "b": {1: 0.5}}
    second = {"a": {1: 0.4, 2: 0.4}, "b": {1: 0.4}}
    difference = compare(first, second, seed=0).difference
    assert difference.estimate.value == pytest.approx(0.15)
    assert (difference.estimate.low, difference.p) == (None, None)


@pytest.mark.parametrize("factor", [1.0, 1e6, 1e-12])
def test_equal_differences_earn_no_p_though_they_differ_by_rounding(factor: float) -> None:
    # .3 - .2 and .8 - .7 differ in the 17th digit, which is not a spread.
    first, second = (0.3, 0.8, 0.2), (0.2, 0.7, 0.1)
    assert len({a - b for a, b in zip(first, second, strict=True)}) > 1
    paired = compare(arm(*(factor * x for x in first)), arm(*(factor * x for x in second)), seed=0)
    assert paired.difference.estimate.value == pytest.approx(0.1 * factor)
    assert (paired.difference.estimate.low, paired.difference.p) == (None, None)
    assert paired.difference.estimate.caveat == "the same on every seed, no error bar"
    assert (paired.num_same_sign, paired.sign_flip_p, paired.smallest_p) == (3, 0.25, 0.25)


def test_equal_differences_of_large_figures_earn_no_p() -> None:
    # Of figures near 1e8 the last digit is 1.5e-8: 1e-7 of the difference.
    first, second = (1e8 + 0.1, 2e8 + 0.1, 3e8 + 0.1), (1e8, 2e8, 3e8)
    difference = compare(arm(*first), arm(*second), seed=0).difference
    assert difference.estimate.value == pytest.approx(0.1, rel=1e-6)
    assert (difference.estimate.low, difference.p) == (None, None)


def test_a_mean_that_is_zero_but_for_rounding_has_no_sign() -> None:
    # .1 + .2 - .3 is 5.6e-17.
    paired = compare(arm(0.1, 0.2, -0.3), arm(0.0, 0.0, 0.0), seed=0)
    assert paired.difference.estimate.value == 0.0
    assert paired.difference.p == pytest.approx(1)
    assert paired.num_same_sign == 0


def test_a_seed_that_is_equal_but_for_rounding_has_no_sign() -> None:
    assert 0.1 + 0.2 > 0.3
    paired = compare(arm(0.1 + 0.2, 0.5, 0.6), arm(0.3, 0.1, 0.1), seed=0)
    assert (paired.num_pairs, paired.num_same_sign) == (3, 2)


def test_equal_arms_show_nothing() -> None:
    paired = compare(arm(0.3, 0.5, 0.9), arm(0.3, 0.5, 0.9), seed=0)
    assert paired.difference.estimate.value == 0
    assert (paired.difference.p, paired.sign_flip_p) == (None, 1.0)
    assert (paired.num_pairs, paired.num_same_sign) == (3, 0)
    assert paired.improvement.value == pytest.approx(0.5)


def test_a_setting_without_spread_does_not_hide_that_of_another() -> None:
    first = {"a": {1: 0.2, 2: 0.2}, "b": {1: 0.2, 2: 0.4}}
    second = {"a": {1: 0.1, 2: 0.1}, "b": {1: 0.1, 2: 0.1}}
    difference = compare(first, second, seed=0).difference
    assert difference.standard_error == pytest.approx(0.05)  # sqrt(.02 / 2) / 2
    assert difference.degrees == pytest.approx(1)


def test_five_seeds_cannot_reach_a_sign_flip_p_below_one_sixteenth() -> None:
    paired = compare(arm(0.5, 0.6, 0.7, 0.8, 0.9), arm(0.1, 0.3, 0.2, 0.1, 0.2), seed=0)
    assert (paired.num_same_sign, paired.sign_flip_p, paired.smallest_p) == (5, 0.0625, 0.0625)
    assert paired.difference.p is not None and paired.difference.p < 0.01


def test_sign_flips_weigh_settings_as_the_mean_does() -> None:
    # Two seeds of +.2 in a, another of -.15 in b: as parts of the mean .1, .1, -.15, whose sum .05
    # is the least that flips give (.35, .15, .15, .05). Unweighted, .25 were the second largest of
    # .55, .25, .15, .15, and p one half.
    first = {"a": {1: 0.5, 2: 0.5}, "b": {3: 0.1}}
    second = {"a": {1: 0.3, 2: 0.3}, "b": {3: 0.25}}
    paired = compare(first, second, seed=0)
    assert paired.difference.estimate.value == pytest.approx(0.025)
    assert paired.num_same_sign == 2
    assert paired.sign_flip_p == 1.0


def test_many_pairs_are_flipped_at_random_and_never_earn_zero() -> None:
    rng = np.random.default_rng(0)
    first = arm(*(0.5 + rng.normal(scale=0.01, size=20)))
    paired = compare(first, arm(*[0.1] * 20), seed=0)
    assert paired.sign_flip_p == paired.smallest_p == pytest.approx(1 / 10_001)


figures = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=25)
@given(figures)
def test_swapping_the_arms_turns_every_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = arm(*(a for a, _ in pairs)), arm(*(b for _, b in pairs))
    there, back = compare(first, second, seed=0), compare(second, first, seed=0)
    assert there.difference.estimate.value == pytest.approx(-back.difference.estimate.value)
    assert there.difference.p == pytest.approx(back.difference.p)
    assert there.sign_flip_p == pytest.approx(back.sign_flip_p)
    assert there.num_same_sign == back.num_same_sign
    assert there.improvement.value + back.improvement.value == pytest.approx(1)
    if there.difference.estimate.low is not None:
        assert back.difference.estimate.high == pytest.approx(-there.difference.estimate.low)


def test_order_of_seeds_and_settings_changes_nothing() -> None:
    first = {"a": {1: 0.2, 2: 0.4, 3: 0.6}, "b": {1: 0.5, 2: 1.0}}
    second = {"a": {1: 0.1, 2: 0.3, 3: 0.3}, "b": {1: 0.1, 2: 0.2}}
    turned = [
        {setting: dict(reversed(of.items())) for setting, of in reversed(each.items())}
        for each in (first, second)
    ]
    assert compare(first, second, seed=0) == compare(*turned, seed=0)


def test_an_arm_raised_by_a_constant_differs_by_that_much_more() -> None:
    first, second = (0.1, 0.5, 0.3, 0.4), (0.2, 0.1, 0.3, 0.1)
    before = compare(arm(*first), arm(*second), seed=0).difference
    after = compare(arm(*(x + 0.25 for x in first)), arm(*second), seed=0).difference
    assert after.estimate.value == pytest.approx(before.estimate.value + 0.25)
    assert after.standard_error == pytest.approx(before.standard_error)


@pytest.mark.parametrize(("num", "num_settings"), [(3, 1), (5, 2), (5, 3)])
@pytest.mark.parametrize("common", [0.0, 0.8, 1.0])
def test_t_interval_covers_the_truth_in_95_of_100_studies(
    num: int, num_settings: int, common: float
) -> None:
    """`common`: the share of a seed's variance that all settings have in common. Were settings
    independent of each other, 87 % of intervals over two of them would hold the truth at 0.8.
    """
    # 500 studies: the binomial error is 1 %.
    rng = np.random.default_rng(num + num_settings)
    covered = 0
    for _ in range(500):
        luck = np.sqrt(common) * rng.normal(size=num)
        own = np.sqrt(1 - common) * rng.normal(size=(num_settings, num))
        runs = {str(k): dict(enumerate(0.2 + luck + own[k])) for k in range(num_settings)}
        estimate = mean_over_settings(runs).estimate
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= 0.2 <= estimate.high
    assert 0.93 <= covered / 500 <= 0.975


def test_intervals_of_settings_with_different_seeds_are_not_too_short() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        luck = rng.normal(size=6)
        runs = {"a": dict(enumerate(luck[:5])), "b": {i: luck[i] for i in range(2, 6)}}
        estimate = mean_over_settings(runs).estimate
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= 0 <= estimate.high
    assert covered / 500 >= 0.94


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no seeds"):
        student_mean([])
    for nothing in ({}, {"a": {1: 0.1}, "b": {}}):
        with pytest.raises(ValueError, match="no seeds"):
            mean_over_settings(nothing)


def test_holm_is_statsmodels() -> None:
    # Recorded from statsmodels 0.15.0: multipletests(ps, method="holm")[1]. By hand: .005 * 6,
    # .01 * 5, .03 * 4, then .04 * 3 and .04 * 2 no less than that, .2.
    ps = [0.01, 0.04, 0.03, 0.005, 0.2, 0.04]
    assert holm(ps) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.2, 0.12])


def test_holm_counts_what_was_planned_and_cannot_be_tested_yet() -> None:
    # Of four tests: .02 * 4, then .03 * 3.
    assert holm([None, 0.03, None, 0.02]) == pytest.approx([None, 0.09, None, 0.08])
    assert holm([None]) == [None] and holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_never_lowers_p(ps: list[float]) -> None:
    corrected = [p for p in holm(ps) if p is not None]
    assert len(corrected) == len(ps)
    assert all(p <= after <= 1 for p, after in zip(ps, corrected, strict=True))
    by_p = [after for _, after in sorted(zip(ps, corrected, strict=True))]
    assert by_p == sorted(by_p)
    assert not ps or min(corrected) == pytest.approx(min(1.0, min(ps) * len(ps)))


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"p = 1\.2"):
        holm([0.1, 1.2])


def test_page_trend_is_the_published_example() -> None:
    # Page's L = 133.5 with p = .0018191 and Lambda by 10 students who rate three teaching styles:
    # the example that scipy's documentation takes from Statistics for Psychology.
    table = [(3, 4, 3), (2, 2, 4), (3, 3, 5), (1, 3, 2), (2, 3, 2), (2, 4, 5), (1, 2, 4)]
    table += [(3, 4, 4), (2, 4, 5), (1, 3, 4)]
    columns = [arm(*(row[place] for row in table)) for place in range(3)]
    trend = page_trend(columns)
    assert trend.statistic == pytest.approx(133.5)
    assert trend.p == pytest.approx(0.0018191161948127822)
    assert trend.num_rows == 10
    # With three places the slope is half of the last less the first: means 2.0 and 3.8.
    assert trend.slope.estimate.value == pytest.approx(0.9)


def test_a_row_of_page_trend_is_a_seed() -> None:
    # Seed 1 rises by .1 a place in a and .3 in b, seed 2 by .1 in a alone: two rows, L = 2 * 14.
    # Slopes: a .1 and .1; b .3; their mean is .2.
    arms: list[BySeed] = [
        {"a": {1: 0.1, 2: 0.4, 9: 0.5}, "b": {1: 0.0}},
        {"a": {1: 0.2, 2: 0.5}, "b": {1: 0.3}},
        {"a": {1: 0.3, 2: 0.6}, "b": {1: 0.6}},
    ]
    trend = page_trend(arms)
    assert (trend.statistic, trend.num_rows) == (28, 2)
    assert trend.p == pytest.approx(1 / 6**2)
    assert trend.slope.estimate.value == pytest.approx(0.2)
    assert trend.left_out == {"a": (9,)} and trend.seeds == {"a": (1, 2), "b": (1,)}


def test_within_a_row_of_page_trend_settings_are_averaged() -> None:
    # a falls .5 .4 .3, b rises .1 .5 .9: their means .3 .45 .6 rise, though a does not.
    arms: list[BySeed] = [
        {"a": {1: a, 2: a}, "b": {1: b, 2: b}} for a, b in ((0.5, 0.1), (0.4, 0.5), (0.3, 0.9))
    ]
    trend = page_trend(arms)
    assert (trend.statistic, trend.num_rows) == (28, 2)


def test_a_falling_figure_is_no_evidence_of_a_rise() -> None:
    falling = page_trend([arm(0.9, 0.8), arm(0.5, 0.6), arm(0.1, 0.2)])
    assert falling.p == pytest.approx(1)
    assert falling.slope.estimate.value == pytest.approx(-0.35)


def test_a_trend_over_one_row_has_a_slope_and_no_p() -> None:
    trend = page_trend([arm(0.1), arm(0.2), arm(0.4)])
    assert (trend.p, trend.statistic, trend.slope.estimate.low) == (None, None, None)
    assert trend.slope.estimate.value == pytest.approx(0.15)


def test_a_trend_needs_three_arms() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        page_trend([arm(0.1, 0.2), arm(0.2, 0.3)])
