"""What a study's runs were given and what they cost: SFT sets side by side, costs, the forecast.

Knows nothing about comparisons between arms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from statistics import fmean

import numpy as np
from scipy import stats

from tailor_rl.bench.estimates import ROUNDING, Estimate
from tailor_rl.bench.figures import CellFigures, SetFacts
from tailor_rl.bench.findings import Cost, Forecasts, Foretold, MatchedFact, Missing
from tailor_rl.bench.wording import FACTS, listed, plural
from tailor_rl.statistics import Z_95

TOLERANCE = 0.02  # of their mean: facts of sets that differ by less count as the same
FEWEST_FORECASTS = 5  # arms from which a rank correlation has an interval worth the name

Cells = Mapping[tuple[str, str], Sequence[CellFigures]]  # (setting, arm) -> its runs by seed


def group_cells(
    cells: Sequence[CellFigures], settings: Sequence[str], arms: Sequence[str]
) -> dict[tuple[str, str], list[CellFigures]]:
    """Those of each setting and arm that has any, by seed, in the given orders."""
    grouped: dict[tuple[str, str], list[CellFigures]] = {}
    for setting in settings:
        for arm in arms:
            found = [c for c in cells if (c.setting, c.arm) == (setting, arm)]
            if found:
                grouped[setting, arm] = sorted(found, key=lambda cell: cell.seed)
    return grouped


def make_costs(grouped: Cells) -> Iterator[Cost]:
    """Means over the runs of an arm; a kind of cost that a run does not name was 0 there."""
    for (setting, arm), cells in grouped.items():
        for part in ("making", "sft", "rl"):
            spent = [getattr(cell, part) for cell in cells]
            for kind in dict.fromkeys(kind for each in spent for kind in each):
                mean = math.fsum(each.get(kind, 0.0) for each in spent) / len(spent)
                yield Cost(setting, arm, part, kind, mean, len(spent))


def make_matched(grouped: Cells) -> Iterator[MatchedFact]:
    for (setting, arm), cells in grouped.items():
        sets = [cell.set_facts for cell in cells if cell.set_facts is not None]
        for field in fields(SetFacts) if sets else ():
            values = [float(getattr(each, field.name)) for each in sets]
            mean = math.fsum(values) / len(values)
            yield MatchedFact(setting, arm, field.name, mean, min(values), max(values))


def find_mismatches(facts: Sequence[MatchedFact], without: Sequence[str]) -> Iterator[str]:
    """A sentence for each fact of the SFT sets in which arms differ; `without` are arms that have
    no SFT.
    """
    if without:
        yield f"{listed(without)} {'has' if len(without) == 1 else 'have'} no SFT"
    for setting, fact in dict.fromkeys((each.setting, each.fact) for each in facts):
        rows = [each for each in facts if (each.setting, each.fact) == (setting, fact)]
        least, most = min(rows, key=lambda r: r.mean), max(rows, key=lambda r: r.mean)
        middle = math.fsum(row.mean for row in rows) / len(rows)
        if most.mean - least.mean <= TOLERANCE * abs(middle):
            continue
        where = "" if setting == "all" else f" ({setting})"
        by = (most.mean - least.mean) / abs(middle)
        yield (
            f"{FACTS.get(fact, fact)}{where}: from {fact_text(fact, least.mean)} in {least.arm} to "
            f"{fact_text(fact, most.mean)} in {most.arm}, {100 * by:.0f} % of their mean apart"
        )


def fact_text(fact: str, value: float) -> str:
    return f"{100 * value:.1f} %" if fact == "right" else f"{value:,.0f}"


def make_forecasts(cells: Sequence[CellFigures], gains: Sequence[float | None]) -> Forecasts:
    """The gate's forecasts beside the gains of RL, one gain a cell.

    Spearman's rank correlation over means of arms, with the interval of Bonett & Wright (2000):
    Fisher's z with standard error sqrt((1 + r^2 / 2) / (n - 3)). Runs of one arm are no evidence of
    their own: their forecasts are all but the same, and a mean is what they have in common. Nor are
    its settings: an arm's mean is over those that all arms have, so that gains on one task are not
    ranked among those on another.
    """
    foretold = tuple(
        Foretold(cell.cell, cell.setting, cell.arm, cell.forecast, gain)
        for cell, gain in zip(cells, gains, strict=True)
        if cell.forecast is not None and gain is not None
    )
    by_arm: dict[str, dict[str, list[Foretold]]] = {}
    for each in foretold:
        by_arm.setdefault(each.arm, {}).setdefault(each.setting, []).append(each)
    num = len(by_arm)
    if num < FEWEST_FORECASTS:
        few = f"{plural(num, 'arm')} with both a forecast and a gain" if num else "no arm has both"
        return Forecasts(
            foretold, None, f"{few}: too few to say whether the forecast orders gains as they came"
        )
    common = set.intersection(*(set(settings) for settings in by_arm.values()))
    if not common:
        return Forecasts(
            foretold, None, "no setting has every arm's: nothing to rank them by in one place"
        )
    forecast_N, gain_N = (
        np.array(
            [
                fmean(fmean(getattr(run, name) for run in settings[each]) for each in common)
                for settings in by_arm.values()
            ]
        )
        for name in ("forecast", "gain")
    )
    if np.ptp(forecast_N) <= ROUNDING or np.ptp(gain_N) <= ROUNDING:
        return Forecasts(
            foretold, None, "every arm has the same forecast or the same gain: no order to see"
        )
    rank = _spearman(forecast_N, gain_N)
    return Forecasts(foretold, rank, _forecast_answer(rank))


def _spearman(first_N: np.ndarray, second_N: np.ndarray) -> Estimate:
    r = float(stats.spearmanr(first_N, second_N).statistic)
    num = first_N.size
    if abs(r) >= 1 - 1e-12:  # Fisher's z is not finite there
        return Estimate(r, None, None, num, num)
    z, error = math.atanh(r), math.sqrt((1 + r * r / 2) / (num - 3))
    low, high = math.tanh(z - Z_95 * error), math.tanh(z + Z_95 * error)
    return Estimate(r, low, high, num, num)


def _forecast_answer(rank: Estimate) -> str:
    said = f"rank correlation of forecast and gain over {rank.num_runs} arms: {rank.value:.2f}"
    if rank.low is None or rank.high is None:
        return f"{said}, without an interval since the orders agree or oppose in full"
    said = f"{said} [{rank.low:.2f}, {rank.high:.2f}]"
    if rank.low > 0:
        return f"{said}: a higher forecast went with a higher gain"
    if rank.high < 0:
        return f"{said}: a higher forecast went with a lower gain"
    return f"{said}: not told apart from no relation"


def find_missing(
    planned: Sequence[tuple[str, str, int]],
    cells: Sequence[CellFigures],
    failed: Mapping[tuple[str, str, int], str],
) -> list[Missing]:
    """Of the planned (setting, arm, seed) those without figures, and why."""
    have = {(cell.setting, cell.arm, cell.seed) for cell in cells}
    return [Missing(*key, failed.get(key, "not run yet")) for key in planned if key not in have]
