"""What a grid will cost: its cells' forecasts, without the parts that others will have made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.elsewhere import cells_elsewhere
from tailor_rl.bench.folder import GATHERED, is_finished, runs_of
from tailor_rl.bench.gathered import read_gathered
from tailor_rl.bench.sharing import made_parts, shared_parts
from tailor_rl.bench.starting import version_now, with_files
from tailor_rl.bench.version import agrees
from tailor_rl.config.forecast import Forecast


@dataclass(frozen=True, slots=True)
class GridCost:
    """Of cells together, made one after another. `shared`: part -> cells that find it made."""

    rollouts: int
    sft_steps: int
    teacher_requests: tuple[int, int]  # at least, at most
    shared: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What there is before a grid is run: names of cells that are finished, here or elsewhere, and
    keys of parts that others can begin with.
    """

    cells: frozenset[str]
    parts: frozenset[str]


def what_is_known(
    study: Path, cells: Sequence[Cell], *, add: Sequence[Path], reuse: Sequence[Path]
) -> Known:
    """`study` is its folder, there or not; the others are as `starting.begin` has them."""
    here = runs_of(study)
    finished = {run.name for run in here if is_finished(run)} | set(cells_elsewhere(study))
    for place in add:
        finished |= {cell.cell for cell in read_gathered(place / GATHERED).figures}
    families = {cell.family: cell.config for cell in cells}
    now = with_files(version_now(), (), families.values())
    donors = [*here, *(run for other in reuse for run in runs_of(other))]
    made = made_parts(run for run in donors if agrees(run, now))
    return Known(frozenset(finished), frozenset(key for _, key in made))


def grid_cost(
    cells: Sequence[Cell], forecasts: Mapping[str, Forecast], made: Collection[str] = ()
) -> GridCost:
    """`forecasts` are by family; `made` are keys of parts that there are already."""
    parts = shared_parts([cell.config for cell in cells], made)
    left = [_left(forecasts[cell.family], each) for cell, each in zip(cells, parts, strict=True)]
    return GridCost(
        rollouts=sum(rollouts for rollouts, _, _ in left),
        sft_steps=sum(steps for _, steps, _ in left),
        teacher_requests=(sum(r[0] for _, _, r in left), sum(r[1] for _, _, r in left)),
        shared=Counter(part for each in parts for part in each),
    )


def _left(whole: Forecast, parts: Collection[str]) -> tuple[int, int, tuple[int, int]]:
    """Rollouts, SFT steps and teacher requests of a run that begins with these parts."""
    if "whole" in parts:
        return 0, 0, (0, 0)
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
