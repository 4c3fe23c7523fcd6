"""Means over seeds, and over settings that share them, by Student's t.

Settings share their seeds, and with them luck (on an axis of algorithms even the fine-tuned
policy), so seeds are the unit of chance, not runs. Knows nothing about files or arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from tailor_rl.bench.estimates import ROUNDING, Estimate

BySeed = Mapping[str, Mapping[int, float]]  # setting -> seed -> one run's figure


@dataclass(frozen=True, slots=True)
class StudentMean:
    """A mean over seeds, and settings, with its 95 % t interval and two-sided p.

    There is neither, nor a standard error, where a setting has one seed, or where all seeds agree:
    five equal numbers do not show that a sixth would be equal too.
    """

    estimate: Estimate
    p: float | None
    standard_error: float | None
    degrees: float | None  # of freedom

    @property
    def detectable(self) -> float | None:
        """The smallest true value that as many seeds, spread like these, find 4 times in 5."""
        if self.standard_error is None or self.degrees is None:
            return None
        return detectable_difference(self.standard_error, self.degrees)


def student_mean(values: Sequence[float] | np.ndarray, *, scale: float = 0.0) -> StudentMean:
    """The mean of independent values, by Student's t (1908). Of differences on seeds that is the
    paired t test.

    A spread within the rounding of figures as large as `scale`, or as the values themselves, is
    none. ValueError for no values.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if not values_N.size:
        raise ValueError("a mean over no seeds is none: give at least one value")
    rounding = ROUNDING * max(scale, float(np.abs(values_N).max()))
    error = math.sqrt(values_N.var(ddof=1) / values_N.size) if values_N.size > 1 else None
    return _by_t(float(values_N.mean()), error, values_N.size - 1, rounding=rounding)


def mean_over_settings(runs: BySeed, *, scale: float = 0.0) -> StudentMean:
    """The mean over settings of each setting's mean over its seeds; `scale` as in `student_mean`.

    Where every setting has the same S seeds, each seed's figures are averaged over settings, and
    Student's t is of these S averages: what settings of a seed have in common is then in their
    spread. Where settings have different seeds, nothing says how much is common, and the most is
    assumed: settings' standard errors are averaged, as if their luck were one and the same, and
    degrees of freedom are those of the setting with the fewest seeds. That interval is too long
    rather than too short. ValueError where a setting has no seed.
    """
    sizes = [len(of) for of in runs.values()]
    if not sizes or min(sizes) == 0:
        raise ValueError("a mean over no seeds is none: give each setting at least one value")
    scale = max(scale, *(abs(value) for of in runs.values() for value in of.values()), 0.0)
    first, *others = runs.values()
    if all(of.keys() == first.keys() for of in others):
        values_KS = [[of[seed] for seed in first] for of in runs.values()]
        mean = student_mean(np.mean(values_KS, axis=0), scale=scale)
    else:
        each = [student_mean(list(of.values()), scale=scale) for of in runs.values()]
        value = float(np.mean([one.estimate.value for one in each]))
        errors = [one.standard_error or 0.0 for one in each]  # a setting may have no spread
        error = float(np.mean(errors)) if min(sizes) > 1 else None
        mean = _by_t(value, error, min(sizes) - 1, rounding=ROUNDING * scale)
    counted = replace(mean.estimate, num_runs=sum(sizes), fewest=min(sizes))
    return replace(mean, estimate=counted)


def _by_t(value: float, error: float | None, degrees: int, *, rounding: float) -> StudentMean:
    """Of a standard error on so many degrees of freedom, one less than there are seeds."""
    value = 0.0 if abs(value) <= rounding else value
    num = degrees + 1
    if error is None or error <= rounding:
        return StudentMean(Estimate(value, None, None, num, num), None, None, None)
    half = float(stats.t.ppf(0.975, degrees)) * error
    p = float(2 * stats.t.sf(abs(value) / error, degrees))
    return StudentMean(Estimate(value, value - half, value + half, num, num), p, error, degrees)


def detectable_difference(
    standard_error: float, degrees: float, *, power: float = 0.8, level: float = 0.05
) -> float:
    """The smallest true difference that a two-sided t test finds with this power.

    Of n pairs with standard deviation s the standard error is s / sqrt(n), on n - 1 degrees of
    freedom. Solves P(|T| > t_crit) = power for the noncentrality of T, which is the difference in
    standard errors (Cohen, 1988, section 2.2). T^2 is a noncentral F, whose one tail is both of
    T's; scipy's noncentral t is NaN in places of its far tail.
    """
    if not (standard_error > 0 and degrees > 0 and 0 < level < power < 1):
        raise ValueError(
            f"standard error {standard_error}, {degrees} degrees of freedom, level {level}, power "
            f"{power}: need positive ones, and 0 < level < power < 1"
        )
    critical = float(stats.t.ppf(1 - level / 2, degrees))

    def lacking(away: float) -> float:
        return float(stats.ncf.sf(critical**2, 1, degrees, away**2)) - power

    above = critical
    while lacking(above) < 0:
        above *= 2
    return float(optimize.brentq(lacking, 0.0, above)) * standard_error
