"""Figures over runs with intervals over seeds, by the definitions of rliable.

Agarwal et al., NeurIPS 2021 (arXiv 2108.13264). Knows nothing about files, arms or what a score
means.

A setting is their "task": a stratum. Runs are resampled within each setting, never across. Where
settings have different numbers of runs, the mean, the profile and the probability of improvement
weigh settings equally; the interquartile mean, which trims the runs of all settings together,
weighs runs equally.

The percentile bootstrap knows no more spread than the runs show, so with few seeds its intervals
are too short: of normal scores in one setting, the mean's holds the truth in 51, 73, 84 and 90 % of
studies with 2, 3, 5 and 10 seeds, the interquartile mean's in 51, 73, 90 and 94 %. Over several
settings they are shorter still than they should be where settings share seeds, as those of a study
do: rliable's resamples know nothing of that. For planned comparisons see paired.py, whose t
intervals hold it as often as they say at any number of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tailor_rl.seeds import derive_seed

Scores = Mapping[str, Sequence[float]]  # setting -> one score a seed
Curve = Sequence[tuple[float, float]]  # one run: (spent, accuracy), by ascending spent
StatisticName = Literal["iqm", "mean"]

ROUNDING = 1e-12  # relative to the largest figure: what is less is rounding, and no difference
TRIMMED = 0.25  # share of runs cut off at each end: what is left lies between the quartiles
MOST_GRID_POINTS = 100
BATCH = 2_000_000  # numbers drawn at a time: all resamples at once would take much memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over runs with its 95 % interval over seeds.

    `low` and `high` are None where the spread over seeds is not known: a setting has a single run,
    or (of Student's intervals, see paired.py) all seeds agree.
    """

    value: float
    low: float | None
    high: float | None
    num_runs: int
    fewest: int  # runs in the setting (and arm) that has the fewest

    @property
    def caveat(self) -> str:
        """Why there is no error bar; "" where there is one."""
        if self.low is not None:
            return ""
        if self.fewest > 1:
            return "the same on every seed, no error bar"
        return f"one run{'' if self.num_runs == 1 else ' in a setting'}, no error bar"


def bounded(mean: Estimate, *, low: float = 0.0, high: float = math.inf) -> Estimate:
    """Student's interval knows no bounds; a share lies between 0 and 1, a count above 0."""
    if mean.low is None or mean.high is None:
        return mean
    return replace(mean, low=max(mean.low, low), high=min(mean.high, high))


@dataclass(frozen=True, slots=True)
class Band:
    """A figure along an axis with pointwise 95 % intervals; None where a setting has one run."""

    x: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    num_runs: int
    fewest: int


# Of settings' runs, (R, N, ...) each for R resamples of N runs, to (R, ...).
_Statistic = Callable[[list[np.ndarray]], np.ndarray]


def aggregate(
    scores: Scores, statistic: StatisticName, *, seed: int, num_resamples: int = 10_000
) -> Estimate:
    """One figure for all runs in all settings, with its stratified percentile-bootstrap interval
    (arXiv 2108.13264, section 4).

    "iqm": the mean of what is left of all runs when floor(N / 4) are cut off at each end, so with
    fewer than 4 runs plainly their mean. "mean": of the settings' mean scores. ValueError where
    there are no runs, or a score is not finite.
    """
    strata = _strata(scores)
    found = _estimated(
        strata,
        _STATISTICS[statistic],
        seed=derive_seed(seed, "bench", statistic),
        num=num_resamples,
    )
    return _estimate(strata, *found)


def improvement(
    first: Scores, second: Scores, *, seed: int, num_resamples: int = 10_000
) -> Estimate:
    """The probability that a run of `first` scores above a run of `second`, ties counting half,
    as a mean over settings (arXiv 2108.13264, eq. 2; Mann & Whitney, 1947).

    Either arm's runs are resampled on their own, within each setting. ValueError unless both have
    the same settings.
    """
    if set(first) != set(second):
        odd = sorted(set(first) ^ set(second))
        raise ValueError(
            f"one arm has runs in {', '.join(odd)} and the other has none: give both arms' scores "
            "in the same settings"
        )
    strata = _strata(first) + _strata(second)
    rounding = ROUNDING * max(float(np.abs(runs).max()) for runs in strata)

    def _signs(difference: np.ndarray) -> np.ndarray:
        return np.where(np.abs(difference) <= rounding, 0.0, np.sign(difference))

    def share_above(drawn: list[np.ndarray]) -> np.ndarray:
        pairs = zip(drawn[: len(first)], drawn[len(first) :], strict=True)
        signs = [_signs(x[:, :, None] - y[:, None, :]).mean(axis=(1, 2)) for x, y in pairs]
        return np.asarray((1 + np.mean(signs, axis=0)) / 2)

    found = _estimated(
        strata, share_above, seed=derive_seed(seed, "bench", "improvement"), num=num_resamples
    )
    return _estimate(strata, *found)


def performance_profile(
    scores: Scores, taus: Sequence[float], *, seed: int, num_resamples: int = 2_000
) -> Band:
    """Share of runs that score above each tau, as a mean over settings, with pointwise bands
    (arXiv 2108.13264, eq. 3: run-score distributions).
    """
    taus_T = np.asarray(taus, dtype=np.float64)
    strata = [runs_N[:, None] > taus_T for runs_N in _strata(scores)]
    return _band(
        taus_T, strata, _mean, seed=derive_seed(seed, "bench", "profile"), num=num_resamples
    )


def curve_band(
    curves: Mapping[str, Sequence[Curve]], *, seed: int, num_resamples: int = 2_000
) -> Band:
    """The interquartile mean of one arm's learning curves, with its band, at each x of
    `common_grid` (arXiv 2108.13264, "sample efficiency curves").

    Runs spend differently between measurements, so each is interpolated linearly between its own;
    of measurements at one x the last counts. ValueError where no x lies within all runs.
    """
    runs = [run for setting in sorted(curves) for run in curves[setting]]
    grid_X = common_grid(runs)
    strata = []
    for setting in sorted(curves):
        if not curves[setting]:
            raise ValueError(f"setting {setting!r} has no runs: leave it out")
        rows = sorted(tuple(np.interp(grid_X, *_columns(run))) for run in curves[setting])
        strata.append(np.array(rows))
    return _band(grid_X, strata, _iqm, seed=derive_seed(seed, "bench", "curve"), num=num_resamples)


def common_grid(runs: Sequence[Curve]) -> np.ndarray:
    """Where the curves of several runs may be compared: (X,) ascending.

    It goes from the largest first x to the smallest last x of the runs, since beyond these one of
    them would be extrapolated. Its points are all x at which any run was measured, which keeps
    each curve's corners and interpolates nothing where runs were measured at the same x; where
    these are more than 100, 100 points at even distances.
    """
    if not runs or not all(runs):
        raise ValueError("a curve without measurements has no figure anywhere: leave the run out")
    columns = [_columns(run)[0] for run in runs]
    first = max(x[0] for x in columns)
    last = min(x[-1] for x in columns)
    if first > last:
        raise ValueError(
            f"one run begins at {first:g} and another ends at {last:g}: there is nothing to compare"
        )
    inside = np.unique(np.concatenate(columns))
    inside = inside[(inside >= first) & (inside <= last)]
    return inside if inside.size <= MOST_GRID_POINTS else np.linspace(first, last, MOST_GRID_POINTS)


def _columns(run: Curve) -> tuple[np.ndarray, np.ndarray]:
    """x and accuracy, each x once: of measurements at one x the last counts."""
    points = np.asarray(run, dtype=np.float64)
    if not np.isfinite(points).all() or (np.diff(points[:, 0]) < 0).any():
        raise ValueError("a curve's points are finite and go by ascending x; sort them first")
    by_x = dict(zip(points[:, 0].tolist(), points[:, 1].tolist(), strict=True))
    return np.array(list(by_x)), np.array(list(by_x.values()))


def _iqm(strata: list[np.ndarray]) -> np.ndarray:
    """scipy.stats.trim_mean without its checks, for many thousands of short rows."""
    runs_RN = np.sort(np.concatenate(strata, axis=1), axis=1)
    cut = int(TRIMMED * runs_RN.shape[1])
    return np.asarray(runs_RN[:, cut : runs_RN.shape[1] - cut].mean(axis=1))


def _mean(strata: list[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean([runs.mean(axis=1) for runs in strata], axis=0))


_STATISTICS: dict[StatisticName, _Statistic] = {
    "iqm": _iqm,
    "mean": _mean,
}


def _strata(scores: Scores) -> list[np.ndarray]:
    """Each setting's scores, settings and scores sorted: the order in which runs are read does not
    decide which of them a random number draws.
    """
    if not scores:
        raise ValueError("there are no runs: give at least one setting with one score")
    strata = []
    for setting in sorted(scores):
        runs_N = np.sort(np.asarray(scores[setting], dtype=np.float64))
        if runs_N.size == 0 or not np.isfinite(runs_N).all():
            raise ValueError(
                f"the scores of {setting!r} are {list(scores[setting])}: need at least one, all "
                "finite; leave out a setting without runs"
            )
        strata.append(runs_N)
    return strata


def _estimated(
    strata: list[np.ndarray], statistic: _Statistic, *, seed: int, num: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The statistic of the runs themselves, and the 2.5th and 97.5th percentile of it over
    resamples.
    """
    rng = np.random.default_rng(seed)
    value = statistic([runs[None] for runs in strata])[0]
    at_a_time = max(1, BATCH // sum(runs.size for runs in strata))
    found = []
    for start in range(0, num, at_a_time):
        rows = min(at_a_time, num - start)
        drawn = [runs[rng.integers(0, len(runs), size=(rows, len(runs)))] for runs in strata]
        found.append(statistic(drawn))
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5], axis=0)
    return value, low, high


def _estimate(
    strata: list[np.ndarray], value: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Estimate:
    sizes = [len(runs) for runs in strata]
    known = min(sizes) > 1
    return Estimate(
        float(value),
        float(low) if known else None,
        float(high) if known else None,
        num_runs=sum(sizes),
        fewest=min(sizes),
    )


def _band(
    x: np.ndarray, strata: list[np.ndarray], statistic: _Statistic, *, seed: int, num: int
) -> Band:
    value, low, high = _estimated(strata, statistic, seed=seed, num=num)
    sizes = [len(runs) for runs in strata]
    known = min(sizes) > 1
    return Band(
        tuple(x.tolist()),
        tuple(value.tolist()),
        tuple(low.tolist()) if known else None,
        tuple(high.tolist()) if known else None,
        num_runs=sum(sizes),
        fewest=min(sizes),
    )
