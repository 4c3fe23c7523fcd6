"""What a grid will cost: its cells' forecasts, without the parts that others will have made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.sharing import shared_parts
from tailor_rl.config.forecast import Forecast


@dataclass(frozen=True, slots=True)
class GridCost:
    """Of all cells together, made one after another. `shared`: part -> cells that find it made."""

    rollouts: int
    sft_steps: int
    teacher_requests: tuple[int, int]  # at least, at most
    shared: Mapping[str, int]


def grid_cost(cells: Sequence[Cell], forecasts: Mapping[str, Forecast]) -> GridCost:
    """`forecasts` are by family."""
    parts = shared_parts([cell.config for cell in cells])
    left = [_left(forecasts[cell.family], each) for cell, each in zip(cells, parts, strict=True)]
    least, most = zip(*(requests for _, _, requests in left), strict=True)
    return GridCost(
        rollouts=sum(rollouts for rollouts, _, _ in left),
        sft_steps=sum(steps for _, steps, _ in left),
        teacher_requests=(sum(least), sum(most)),
        shared=Counter(part for each in parts for part in each),
    )


def _left(whole: Forecast, parts: Collection[str]) -> tuple[int, int, tuple[int, int]]:
    """Rollouts, SFT steps and teacher requests of a run that begins with these parts."""
    rollouts, steps, requests = whole.rollouts, whole.sft_steps, whole.teacher_requests
    if "base" in parts:
        rollouts -= whole.examination_rollouts
    if "attempts" in parts or "set" in parts or "first_run" in parts:
        rollouts -= whole.attempt_rollouts
    if "candidates" in parts:
        requests = whole.demonstration_requests
    if "set" in parts or "first_run" in parts:
        rollouts -= whole.first_rl_rollouts + whole.first_validation_rollouts
        steps -= whole.making_sft_steps
        requests = (0, 0)
    if "set" in parts:
        rollouts -= whole.sampled_rollouts
    if "sft" in parts:
        rollouts -= whole.examination_rollouts + whole.sft_validation_rollouts
        steps = 0
    return rollouts, steps, requests
