"""A comparison of arms problem by problem: from cells to crossed.py's interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tailor_rl.bench.accounts import Cells
from tailor_rl.bench.crossed import Differences, crossed_interval
from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.study import Comparison

Seeds = Mapping[str, tuple[int, ...]]  # setting -> seeds


def over_problems(asked: Comparison, grouped: Cells, seeds: Seeds) -> Estimate | None:
    """The difference on these seeds with an interval over seeds and problems. None where a run was
    not recorded problem by problem, runs were examined on different problems, or the figure is
    not pass@1 of a stage.
    """
    stage, _, rest = asked.figure.partition(" ")
    split, _, metric = rest.partition(" ")
    if metric != "pass@1":
        return None
    settings = []
    for setting, common in seeds.items():
        arms = [
            [cell for cell in grouped[setting, arm] if cell.seed in common]
            for arm in (asked.arm, asked.against)
        ]
        found = _differences(*arms, wanted=f"{stage} {split}")
        if not found:
            return None
        settings.append(found)
    return crossed_interval(settings)


def _differences(
    first: list[CellFigures], second: list[CellFigures], *, wanted: str
) -> dict[str, Differences]:
    """Of the split, or of all of its kind ("rl ood": every "rl ood/..."), by name."""
    cells = [*first, *second]
    named = {
        tuple(sorted(n for n in c.solved if n == wanted or n.startswith(f"{wanted}/")))
        for c in cells
    }
    if len(named) > 1:
        return {}
    found = {}
    for name in next(iter(named)):
        if len({cell.solved[name].problems for cell in cells}) > 1:
            return {}
        one, two = (np.array([cell.solved[name].shares for cell in of]) for of in (first, second))
        seeds = tuple(cell.seed for cell in first)
        solved = cells[0].solved[name]
        found[name] = Differences(one - two, seeds, solved.families, solved.problems)
    return found
