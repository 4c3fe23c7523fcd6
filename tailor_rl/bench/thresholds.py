"""What a validation curve says of a run: what it spent to a threshold, its area, its plateau.

A run that never got to the threshold is censored, not left out: leaving out the slow makes an arm
look fast. Knows nothing about files or arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np
from scipy import stats

from tailor_rl.bench.estimates import Estimate, bounded
from tailor_rl.bench.figures import SPENT, Measured
from tailor_rl.bench.student import student_mean

WINDOW = 3  # measurements averaged, centred: one on either side
PLATEAU = 3  # measurements at the end that make the plateau


@dataclass(frozen=True, slots=True)
class Race:
    """One run's race to a threshold: what it had spent when there (None: never, so it is censored
    at `last`), and in all.
    """

    reached_at: float | None
    last: float


@dataclass(frozen=True, slots=True)
class Survival:
    """Kaplan-Meier's estimate: `shares[i]` of runs are still below the threshold from `at[i]` on;
    before `at[0]` all are.
    """

    at: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimeToThreshold:
    """`restricted` is the mean of what runs spent until the threshold or `horizon`, whichever came
    first; `num_reached` counts the runs that were there by then.
    """

    restricted: Estimate
    horizon: float
    num_reached: int


def points(curve: Sequence[Measured], unit: str) -> list[tuple[float, float]]:
    """(spent, accuracy) of each measurement; `unit` is one of figures.SPENT. ValueError for another
    unit, no measurements, or spending that goes down.
    """
    if unit not in SPENT:
        raise ValueError(f"unit {unit!r} is nothing a run spends: name one of {', '.join(SPENT)}")
    if not curve:
        raise ValueError("a curve without measurements has no figures: leave the run out")
    found = [(float(getattr(m, unit)), m.accuracy) for m in curve]
    if any(later[0] < earlier[0] for earlier, later in pairwise(found)):
        raise ValueError(f"{unit} goes down along the curve: give measurements in their order")
    return found


def smoothed(accuracies: Sequence[float]) -> list[float]:
    """Means over a centred window of 3, of 2 at either end.

    A validation curve has few measurements with much noise each, and the first of them above a
    threshold is likely to be there by luck. Centred, the window does not delay the curve, as a
    trailing one would; at the ends it is shorter rather than padded with measurements that were
    never made.
    """
    reach = WINDOW // 2
    return [fmean(accuracies[max(0, i - reach) : i + reach + 1]) for i in range(len(accuracies))]


def race(curve: Sequence[Measured], threshold: float, *, unit: str, before: float = 0.0) -> Race:
    """What the run had spent at the first measurement whose smoothed accuracy is at least
    `threshold` (a share); `before` was spent when RL began.

    The measurement is not interpolated: between two, nobody looked. Where SFT was enough it is the
    one before RL, and costs RL nothing: that one stands as it was measured, since a mean with the
    next would credit SFT with what RL did.
    """
    at = [before + x for x, _ in points(curve, unit)]
    smooth = [curve[0].accuracy, *smoothed([m.accuracy for m in curve])[1:]]
    # A mean may miss by rounding what it is on paper, and a run must not lose its race by that.
    reached = [x for x, accuracy in zip(at, smooth, strict=True) if accuracy >= threshold - 1e-9]
    return Race(reached[0] if reached else None, at[-1])


def common_horizon(races: Sequence[Race]) -> float:
    """The smallest last x over all runs compared: up to there each was watched."""
    if not races:
        raise ValueError("there are no runs to find a common horizon of: give at least one")
    return min(each.last for each in races)


def restricted(one: Race, horizon: float) -> float:
    """What the run spent until the threshold, or `horizon` where it was not there by then: one
    figure a run, which differences on common seeds may be taken of.

    ValueError where the run ended below the threshold before the horizon: what it would have
    needed is not known.
    """
    if one.reached_at is not None:
        return min(one.reached_at, horizon)
    if one.last < horizon:
        raise ValueError(
            f"a run ended at {one.last:g}, below the threshold and before the horizon {horizon:g}: "
            "take the smallest last x of the runs compared"
        )
    return horizon


def survival(races: Sequence[Race], *, horizon: float | None = None) -> Survival:
    """The share of runs still below the threshold, over what they spent (Kaplan & Meier, 1958,
    eq. 2b): prod over x_i <= x of 1 - d_i / n_i, with d_i runs that got there at x_i and n_i that
    were below it and watched until then.

    With `horizon` nothing beyond it counts. Where runs end at different x, the last one still
    watched speaks for all: if it gets there, the estimate falls to 0 though most never did.
    """
    if not races:
        raise ValueError("there are no runs to draw a survival curve of: give at least one")
    if horizon is not None:
        races = [_watched(each, horizon) for each in races]
    there = [each.reached_at for each in races if each.reached_at is not None]
    censored = [each.last for each in races if each.reached_at is None]
    below = stats.ecdf(stats.CensoredData(uncensored=there, right=censored)).sf
    return Survival(tuple(below.quantiles.tolist()), tuple(below.probabilities.tolist()))


def _watched(one: Race, horizon: float) -> Race:
    """The race as it stood at the horizon."""
    there = one.reached_at is not None and one.reached_at <= horizon
    return Race(one.reached_at if there else None, min(one.last, horizon))


def time_to_threshold(races: Sequence[Race], *, horizon: float) -> TimeToThreshold:
    """The restricted mean (Irwin, 1949: the area under the survival curve up to `horizon`) with
    Student's interval over runs, within 0 and the horizon.

    No run is censored before the horizon, so that area is the mean of `restricted`.
    """
    spent = [restricted(each, horizon) for each in races]
    mean = student_mean(spent, scale=horizon).estimate
    return TimeToThreshold(
        restricted=bounded(mean, high=horizon),
        horizon=horizon,
        num_reached=sum(_watched(each, horizon).reached_at is not None for each in races),
    )


def area_under(curve: Sequence[Measured], *, unit: str, horizon: float) -> float:
    """The mean height of the curve from its first x to `horizon`: trapezoids over linear x, divided
    by that distance, so of accuracies it lies between 0 and 1.

    The height at the horizon is interpolated. ValueError for a horizon at or before the first x, or
    past the last: the curve is never extrapolated.
    """
    x, accuracy = np.array(points(curve, unit)).T
    if not x[0] < horizon <= x[-1]:
        raise ValueError(
            f"horizon {horizon:g} must lie within the curve, above {x[0]:g} and up to {x[-1]:g}"
        )
    inside = x < horizon
    heights = np.append(accuracy[inside], np.interp(horizon, x, accuracy))
    area = np.trapezoid(heights, np.append(x[inside], horizon))
    return float(area / (horizon - x[0]))


def plateau(curve: Sequence[Measured]) -> float:
    """The mean accuracy of the last 3 measurements, or of all where there are fewer."""
    if not curve:
        raise ValueError("a curve without measurements has no plateau: leave the run out")
    return fmean(m.accuracy for m in curve[-PLATEAU:])
