"""Each arm's race to the thresholds, in every unit, without and with the cost of its SFT set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tailor_rl.bench.accounts import Cells
from tailor_rl.bench.arm_figures import TOTAL_SPENT, is_counted, measured_as, spent_before
from tailor_rl.bench.figures import SPENT, CellFigures
from tailor_rl.bench.findings import Planned, ThresholdTime
from tailor_rl.bench.thresholds import Race, common_horizon, race, survival, time_to_threshold


def make_thresholds(grouped: Cells, thresholds: Mapping[float, Planned]) -> Iterator[ThresholdTime]:
    """Runs without validation are left out. Every arm of a setting has the same horizon."""
    for setting in dict.fromkeys(setting for setting, _ in grouped):
        runs = {
            arm: [cell for cell in cells if cell.curve]
            for (where, arm), cells in grouped.items()
            if where == setting and any(cell.curve for cell in cells)
        }
        for threshold, planned in thresholds.items() if runs else ():
            for total in (False, True):
                units = TOTAL_SPENT if total else SPENT
                every = [cell for cells in runs.values() for cell in cells]
                for unit in (unit for unit in units if is_counted(every, unit)):
                    races = {
                        arm: [_race(cell, threshold, unit, total) for cell in cells]
                        for arm, cells in runs.items()
                    }
                    yield from _times(races, setting, threshold, unit, total, planned)


def _race(cell: CellFigures, threshold: float, unit: str, total: bool) -> Race:
    before = spent_before(cell, unit) if total else 0.0
    return race(cell.curve, threshold, unit=measured_as(unit), before=before)


def _times(
    races: Mapping[str, Sequence[Race]],
    setting: str,
    threshold: float,
    unit: str,
    total: bool,
    planned: Planned,
) -> Iterator[ThresholdTime]:
    horizon = common_horizon([each for runs in races.values() for each in runs])
    if not horizon:  # nothing was spent of it
        return
    for arm, runs in races.items():
        time = time_to_threshold(runs, horizon=horizon)
        below = survival(runs, horizon=horizon)
        yield ThresholdTime(
            setting=setting,
            arm=arm,
            threshold=threshold,
            unit=unit,
            total=total,
            planned=planned,
            num_runs=len(runs),
            num_reached=time.num_reached,
            horizon=horizon,
            restricted_mean=time.restricted,
            survival=tuple(zip(below.at, below.shares, strict=True)),
        )
