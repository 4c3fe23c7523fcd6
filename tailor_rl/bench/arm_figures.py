"""The figures of each arm on its own: after each stage, against what was spent, step by step.

Knows nothing about comparisons between arms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from tailor_rl.bench.accounts import Cells, group_cells
from tailor_rl.bench.estimates import (
    Band,
    Estimate,
    aggregate,
    bounded,
    curve_band,
    performance_profile,
)
from tailor_rl.bench.figures import SPENT, CellFigures, Measured
from tailor_rl.bench.findings import BandCurve, BandPoint, FinalFigure, Profile, TrainingCurve
from tailor_rl.bench.student import mean_over_settings
from tailor_rl.bench.study import ALL, CURVE_FIGURES
from tailor_rl.bench.thresholds import area_under
from tailor_rl.seeds import derive_seed

# An optimizer step of SFT is not one of RL, so steps have no total; tokens of the teacher belong
# only to a total.
TOTAL_SPENT = ("rollouts", "generated_tokens", "learner_tokens", "seconds", "all_tokens")
PROFILED = "rl test pass@1"
STAGES = ("base", "sft", "rl", "gain")
Scores = Mapping[str, Mapping[int, float]]  # setting -> seed -> figure


def with_areas(cells: Sequence[CellFigures]) -> list[CellFigures]:
    """The same cells with "auc", the area under the curve up to a step that all of them in a
    setting have got to: an area over more steps says something else.
    """
    horizons = {setting: min(steps) for setting, steps in last_steps(cells).items()}
    found = []
    for cell in cells:
        if len(cell.curve) > 1:
            area = area_under(cell.curve, unit="step", horizon=horizons[cell.setting])
            cell = replace(cell, figures={**cell.figures, "auc": area})
        found.append(cell)
    return found


def last_steps(cells: Sequence[CellFigures]) -> dict[str, set[int]]:
    """Setting -> the RL steps at which its runs were validated last, of those that have a curve."""
    steps: dict[str, set[int]] = {}
    for cell in cells:
        if len(cell.curve) > 1:
            steps.setdefault(cell.setting, set()).add(cell.curve[-1].step)
    return steps


def scores_of(grouped: Cells, arm: str, figure: str, settings: Sequence[str]) -> Scores:
    """Settings and seeds in which the arm has the figure."""
    found: dict[str, dict[int, float]] = {}
    for setting in settings:
        for cell in grouped.get((setting, arm), ()):
            if (value := cell.figures.get(figure)) is not None:
                found.setdefault(setting, {})[cell.seed] = value
    return found


def scores_of_arms(
    grouped: Cells, arms: Sequence[str], figure: str, settings: Sequence[str]
) -> list[Scores]:
    """Of arms that are compared with each other. Their areas are up to a step that all runs of
    these arms have got to: an arm that is added to the study changes nothing between others.
    """
    if figure == "auc":
        runs = [run for s in settings for arm in arms for run in grouped.get((s, arm), ())]
        grouped = group_cells(with_areas(runs), settings, arms)
    return [scores_of(grouped, arm, figure, settings) for arm in arms]


def figure_names(cells: Sequence[CellFigures]) -> list[str]:
    """All that was measured: in distribution, the mean over ood axes, each axis; by metric and
    stage; then figures of the curve.
    """
    measured = {name for cell in cells for name in cell.figures}
    parts = [name.split(" ") for name in measured if name not in CURVE_FIGURES]
    splits = sorted({split for _, split, _ in parts}, key=_split_order)
    metrics = sorted({metric for _, _, metric in parts}, key=_metric_order)
    names = [f"{st} {split} {metric}" for split in splits for metric in metrics for st in STAGES]
    return [name for name in (*names, *CURVE_FIGURES) if name in measured]


def _split_order(split: str) -> tuple[int, str]:
    known = ("test", "ood")
    return (known.index(split), "") if split in known else (len(known), split)


def _metric_order(metric: str) -> tuple[int, int]:
    number = metric.removeprefix("pass@")
    return (0, int(number)) if number.isdigit() else (1, 0)


def common_settings(grouped: Cells, settings: Sequence[str]) -> list[str]:
    """Those in which every arm has a run: only over these are arms' means of one kind."""
    arms = {arm for _, arm in grouped}
    return [each for each in settings if all((each, arm) in grouped for arm in arms)]


def make_figures(
    grouped: Cells, settings: Sequence[str], arms: Sequence[str], *, num_resamples: int
) -> Iterator[FinalFigure]:
    """For each setting, and over the common ones where these are several."""
    names = figure_names([cell for cells in grouped.values() for cell in cells])
    common = common_settings(grouped, settings)
    views = [(each, [each]) for each in settings if each != ALL or len(settings) == 1]
    if len(common) > 1:
        views.append((ALL, common))
    for label, within in views:
        for arm in arms:
            for name in names:
                scores = scores_of(grouped, arm, name, within)
                if len(scores) < len(within):
                    continue
                runs = {setting: list(by_seed.values()) for setting, by_seed in scores.items()}
                seed = derive_seed(0, "figures", label, arm, name)
                iqm = aggregate(runs, "iqm", seed=seed, num_resamples=num_resamples)
                mean = mean_of(scores)
                assert mean is not None, (label, arm, name)
                mean = mean if name.startswith("gain ") else bounded(mean, high=1.0)
                yield FinalFigure(label, arm, name, mean, iqm)


def make_profiles(
    grouped: Cells, settings: Sequence[str], arms: Sequence[str]
) -> Iterator[Profile]:
    """Performance profiles of PROFILED, on a grid of 2 points."""
    taus = [i / 50 for i in range(51)]
    common = common_settings(grouped, settings)
    for arm in arms if common else ():
        scores = scores_of(grouped, arm, PROFILED, common)
        if scores and len(scores) == len(common):
            runs = {setting: list(by_seed.values()) for setting, by_seed in scores.items()}
            band = performance_profile(runs, taus, seed=derive_seed(0, "profile", arm))
            yield Profile(arm, PROFILED, band.num_runs, _banded(band))


def mean_of(scores: Scores) -> Estimate | None:
    """The mean over settings of their means over seeds, with Student's 95 % interval over seeds;
    None of nothing.
    """
    return mean_over_settings(scores, scale=1.0).estimate if scores else None


def is_counted(cells: Sequence[CellFigures], unit: str) -> bool:
    """Whether every run that took a step says what it spent: run folders of older versions do not
    count all that later ones do, and nothing spent would look like nothing needed.
    """
    ends = [cell.curve[-1] for cell in cells if cell.curve]
    return all(getattr(end, measured_as(unit)) > 0 for end in ends if end.step > 0)


def make_curves(grouped: Cells) -> Iterator[BandCurve]:
    """Of every unit, in RL alone and then with the cost of the SFT set; runs without validation
    are left out.
    """
    for total, units in ((False, SPENT), (True, TOTAL_SPENT)):
        for (setting, arm), cells in grouped.items():
            runs = [cell for cell in cells if cell.curve]
            for unit in units if runs else ():
                if not is_counted(runs, unit):
                    continue
                lines = [[(spent(c, m, unit, total), m.accuracy) for m in c.curve] for c in runs]
                if points := _band_points(lines, setting):
                    yield BandCurve(setting, arm, unit, total, len(runs), points)


def spent(cell: CellFigures, measured: Measured, unit: str, total: bool) -> float:
    """What the run had spent at a measurement: in RL, or with the making of its set and SFT."""
    in_rl = float(getattr(measured, measured_as(unit)))
    return in_rl + spent_before(cell, unit) if total else in_rl


def measured_as(unit: str) -> str:
    """The field of Measured that counts a unit within RL, where no teacher is asked."""
    return "generated_tokens" if unit == "all_tokens" else unit


def spent_before(cell: CellFigures, unit: str) -> float:
    """What the run had spent of a unit of TOTAL_SPENT when RL began."""
    kinds = ("generated_tokens", "teacher_tokens") if unit == "all_tokens" else (unit,)
    return sum(part.get(kind, 0.0) for part in (cell.making, cell.sft) for kind in kinds)


def _band_points(
    lines: Sequence[Sequence[tuple[float, float]]], setting: str
) -> tuple[BandPoint, ...]:
    """() where no x lies within all runs: one began where another had ended."""
    if max(line[0][0] for line in lines) > min(line[-1][0] for line in lines):
        return ()
    band = curve_band({setting: lines}, seed=derive_seed(0, "curves", setting))
    return _banded(band)


def _banded(band: Band) -> tuple[BandPoint, ...]:
    lows = band.low or (None,) * len(band.x)
    highs = band.high or (None,) * len(band.x)
    return tuple(map(BandPoint, band.x, band.values, lows, highs))


def make_training(grouped: Cells) -> Iterator[TrainingCurve]:
    """Up to the last step that every run of the arm has."""
    for (setting, arm), cells in grouped.items():
        for metric in dict.fromkeys(name for cell in cells for name in cell.training):
            runs = [cell.training[metric] for cell in cells if cell.training.get(metric)]
            if not runs:
                continue
            shortest = min(map(len, runs))
            values_NX = np.array([run[:shortest] for run in runs], dtype=np.float64)
            values_NX[~np.isfinite(values_NX)] = np.nan  # a step that diverged has no mean
            yield TrainingCurve(setting, arm, metric, len(runs), _student_points(values_NX))


def _student_points(values_NX: np.ndarray) -> tuple[BandPoint, ...]:
    num = len(values_NX)
    mean_X = values_NX.mean(axis=0).tolist()
    if num < 2:
        return tuple(BandPoint(i + 1, mean, None, None) for i, mean in enumerate(mean_X))
    error_X = values_NX.std(axis=0, ddof=1) / math.sqrt(num)
    half_X = (float(stats.t.ppf(0.975, num - 1)) * error_X).tolist()
    return tuple(
        BandPoint(i + 1, mean, mean - half, mean + half)
        for i, (mean, half) in enumerate(zip(mean_X, half_X, strict=True))
    )
