"""Races to a threshold, areas and plateaus: hand-worked curves and a published survival table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.bench.figures import Measured
from tailor_rl.bench.thresholds import (
    Race,
    Survival,
    area_under,
    common_horizon,
    plateau,
    points,
    race,
    restricted,
    smoothed,
    survival,
    time_to_threshold,
)

# Weeks of remission under 6-mercaptopurine and under placebo (Freireich et al., Blood 21, 1963).
RELAPSED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
STILL_WELL = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
PLACEBO = (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)


def curve(*accuracies: float) -> tuple[Measured, ...]:
    """A measurement every 10 steps from step 0, at 80 rollouts and 1,000 tokens a step."""
    return tuple(
        Measured(
            step=10 * i,
            accuracy=accuracy,
            pass_at_k=None,
            rollouts=800.0 * i,
            generated_tokens=10_000.0 * i,
            learner_tokens=9_000.0 * i,
            seconds=30.0 * i + 2,
        )
        for i, accuracy in enumerate(accuracies)
    )


def still_below(found: Survival, x: float) -> float:
    return next((s for at, s in zip(found.at[::-1], found.shares[::-1], strict=True) if at <= x), 1)


def six_mp() -> list[Race]:
    return [Race(t, 35) for t in RELAPSED] + [Race(None, t) for t in STILL_WELL]


def test_smoothing_is_a_centred_mean_of_three_and_of_two_at_the_ends() -> None:
    assert smoothed([0.0, 0.3, 0.9, 0.6]) == pytest.approx([0.15, 0.4, 0.6, 0.75])
    assert smoothed([0.2, 0.4]) == pytest.approx([0.3, 0.3])
    assert smoothed([0.2]) == [0.2]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_smoothing_keeps_length_and_range(accuracies: list[float]) -> None:
    smooth = smoothed(accuracies)
    assert len(smooth) == len(accuracies)
    assert min(accuracies) - 1e-12 <= min(smooth) and max(smooth) <= max(accuracies) + 1e-12


@pytest.mark.parametrize(
    ("unit", "at", "last"),
    [
        ("step", 20, 30),
        ("rollouts", 1_600, 2_400),
        ("generated_tokens", 20_000, 30_000),
        ("learner_tokens", 18_000, 27_000),
        ("seconds", 62, 92),
    ],
)
def test_a_race_ends_at_the_first_smoothed_measurement_at_the_threshold(
    unit: str, at: float, last: float
) -> None:
    # Smoothed: .15 .4 .6 .75.
    assert race(curve(0.0, 0.3, 0.9, 0.6), 0.5, unit=unit) == Race(at, last)


def test_one_lucky_measurement_does_not_end_a_race() -> None:
    assert race(curve(0.1, 0.1, 0.6, 0.1, 0.1), 0.5, unit="step") == Race(None, 40)


def test_a_race_that_sft_has_won_costs_rl_nothing() -> None:
    assert race(curve(0.7, 0.8, 0.9), 0.5, unit="generated_tokens") == Race(0, 20_000)


def test_what_rl_did_later_does_not_win_the_race_at_its_start() -> None:
    # The mean of .4 and .8 is above a half, and the policy that RL began with is not.
    assert race(curve(0.4, 0.8, 0.9), 0.5, unit="step").reached_at == 10


def test_what_was_spent_before_rl_is_part_of_the_race() -> None:
    assert race(curve(0.0, 0.3, 0.9, 0.6), 0.5, unit="step", before=7.0) == Race(27, 37)


def test_a_smoothed_accuracy_that_equals_the_threshold_on_paper_reaches_it() -> None:
    # The mean of 0, 0 and .6 is .2 less 3e-17.
    assert race(curve(0.0, 0.0, 0.6), 0.2, unit="step").reached_at == 10


def test_a_higher_threshold_is_never_reached_sooner() -> None:
    line = curve(0.1, 0.4, 0.3, 0.6, 0.8, 0.7)
    reached = [race(line, t, unit="step").reached_at for t in (0.2, 0.35, 0.5, 0.7, 0.76)]
    assert reached == [10, 20, 30, 40, None]


def test_six_mp_survival_is_the_published_table() -> None:
    # Kalbfleisch & Prentice; Kleinbaum & Klein, table 2.2: weeks, share still in remission.
    table = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    for week, share in table.items():
        assert still_below(survival(six_mp()), week) == pytest.approx(share, abs=5e-4)
    assert still_below(survival(six_mp()), 5.9) == 1
    assert still_below(survival(six_mp()), 35) == pytest.approx(0.448, abs=5e-4)


def test_six_mp_area_under_survival_is_the_published_restricted_mean() -> None:
    # R's survival prints 23.3 weeks at a limit of 35; lifelines 0.30.3,
    # restricted_mean_survival_time(KaplanMeierFitter().fit(T, E), t=35), 23.287394957983185.
    found = survival(six_mp())
    widths = np.diff([0.0, *found.at])
    assert float(widths @ [1.0, *found.shares[:-1]]) == pytest.approx(23.287394957983185)


def test_without_censoring_survival_is_the_share_of_runs_left() -> None:
    races = [Race(t, 35) for t in PLACEBO]
    assert still_below(survival(races), 8) == pytest.approx(8 / 21)
    assert survival(races).shares[-1] == 0


def test_survival_without_any_run_there_stays_at_all() -> None:
    assert set(survival([Race(None, 10), Race(None, 20)]).shares) == {1.0}


def test_survival_counts_runs_that_were_there_from_the_start() -> None:
    races = [Race(0, 10), Race(None, 10), Race(4, 10), Race(None, 10)]
    assert still_below(survival(races), 0) == 0.75


def test_beyond_the_horizon_no_survivor_speaks_for_the_rest() -> None:
    # The run that spends most gets there last, when nobody else is watched any more.
    races = [Race(5, 20), Race(18, 18), Race(None, 10), Race(None, 12), Race(None, 15)]
    assert survival(races).shares[-1] == 0
    found = survival(races, horizon=common_horizon(races))
    assert (found.at, found.shares) == ((5, 10), (0.8, 0.8))


def test_common_horizon_is_the_smallest_last_x() -> None:
    assert common_horizon([Race(3, 20), Race(None, 15), Race(None, 18)]) == 15


def test_restricted_time_counts_up_to_the_horizon() -> None:
    assert restricted(Race(12, 20), 15) == 12
    assert restricted(Race(18, 20), 15) == 15
    assert restricted(Race(None, 20), 15) == 15


def test_restricted_time_of_a_run_that_ended_before_the_horizon_is_refused() -> None:
    with pytest.raises(ValueError, match="before the horizon 15"):
        restricted(Race(None, 14), 15)


def test_restricted_mean_is_hand_worked() -> None:
    # Spent up to 15: 12, 15 (there at 18), 15, 6.
    races = [Race(12, 20), Race(18, 20), Race(None, 15), Race(6, 30)]
    found = time_to_threshold(races, horizon=common_horizon(races))
    assert found.restricted.value == pytest.approx(12)
    # Student's: the standard deviation of 12, 15, 15, 6 is sqrt(18), and t(3) is 3.182.
    assert found.restricted.low == pytest.approx(12 - 3.182446 * (18 / 4) ** 0.5)
    assert found.restricted.high == 15  # 18.75, which is beyond the horizon
    assert (found.num_reached, found.horizon) == (2, 15)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.booleans(), st.integers(1, 40)), min_size=1, max_size=8
    )
)
def test_restricted_mean_is_the_area_under_kaplan_meier(
    drawn: list[tuple[int, bool, int]],
) -> None:
    races = [Race(min(t, last) if there else None, last) for t, there, last in drawn]
    horizon = common_horizon(races)
    found = survival(races)
    area = sum(still_below(found, x) for x in range(int(horizon)))  # all events at whole numbers
    time = time_to_threshold(races, horizon=horizon)
    assert time.restricted.value == pytest.approx(area)


def test_restricted_mean_of_one_run_has_no_interval() -> None:
    found = time_to_threshold([Race(4, 10)], horizon=10)
    assert (found.restricted.value, found.restricted.low) == (4, None)


def test_area_is_the_mean_height_of_the_curve() -> None:
    # Trapezoids .1 to .3 and .3 to .7 over equal widths: (.2 + .5) / 2.
    assert area_under(curve(0.1, 0.3, 0.7), unit="step", horizon=20) == pytest.approx(0.35)
    # Up to step 15 the height is .5 at the end: (.2 * 10 + .4 * 5) / 15.
    assert area_under(curve(0.1, 0.3, 0.7), unit="step", horizon=15) == pytest.approx(4 / 15)
    # Seconds begin at 2: the area is over what the curve covers.
    assert area_under(curve(0.1, 0.3), unit="seconds", horizon=32) == pytest.approx(0.2)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1), st.floats(0.5, 20))
def test_area_of_a_flat_curve_is_its_height(height: float, horizon: float) -> None:
    flat = curve(height, height, height)
    assert area_under(flat, unit="step", horizon=horizon) == pytest.approx(height)


def test_area_never_looks_past_the_horizon() -> None:
    early, late = curve(0.1, 0.3, 0.7, 0.0), curve(0.1, 0.3, 0.7, 1.0)
    areas = [area_under(line, unit="step", horizon=20) for line in (early, late)]
    assert areas[0] == areas[1]


@pytest.mark.parametrize("horizon", [0, 21])
def test_a_horizon_outside_the_curve_is_refused(horizon: float) -> None:
    with pytest.raises(ValueError, match=f"horizon {horizon} must lie"):
        area_under(curve(0.1, 0.3, 0.7), unit="step", horizon=horizon)


def test_plateau_is_the_mean_of_the_last_three() -> None:
    assert plateau(curve(0.0, 0.6, 0.7, 0.8)) == pytest.approx(0.7)
    assert plateau(curve(0.2, 0.4)) == pytest.approx(0.3)


def test_points_are_spent_and_accuracy() -> None:
    assert points(curve(0.1, 0.2), "rollouts") == [(0.0, 0.1), (800.0, 0.2)]


def test_curves_without_figures_are_refused() -> None:
    with pytest.raises(ValueError, match="'steps'"):
        points(curve(0.1), "steps")
    with pytest.raises(ValueError, match="without measurements"):
        race((), 0.5, unit="step")
    with pytest.raises(ValueError, match="goes down"):
        points(curve(0.1, 0.2)[::-1], "step")
    with pytest.raises(ValueError, match="no plateau"):
        plateau(())
    with pytest.raises(ValueError, match="no runs"):
        common_horizon([])
    with pytest.raises(ValueError, match="no runs"):
        survival([])
