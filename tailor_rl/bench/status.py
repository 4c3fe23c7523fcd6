"""How far a study is: each cell's state, from the folders alone. Takes no lock."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tailor_rl.bench.cells import places_of
from tailor_rl.bench.folder import (
    CELLS,
    ELSEWHERE,
    GATHERED,
    STUDY,
    is_finished,
    read_recorded,
    runs_of,
)
from tailor_rl.bench.overview import final_figure, reason, where
from tailor_rl.bench.study import Study
from tailor_rl.cli_status import read_status
from tailor_rl.runs.folder import read_run_config
from tailor_rl.runs.ledger import read_ledger
from tailor_rl.summary import totals


@dataclass(frozen=True, slots=True)
class CellStatus:
    """`state`: "waiting", "running", "finished", "stopped", "failed" or "killed". `note` is where
    it is, its figure, or why it failed; `seconds` are those that it has spent, its shared parts
    included.
    """

    cell: str
    state: str
    note: str
    seconds: float


def read_study_status(study_path: Path) -> list[CellStatus]:
    """RunFolderError where there is no study, or one of its runs is damaged."""
    elsewhere = _elsewhere(study_path)
    if (study_path / STUDY).is_file() or not elsewhere:
        study = read_recorded(study_path).study
    else:
        study = _published(study_path)
    return [
        CellStatus(name, "finished", _figure_elsewhere(elsewhere[name]), 0.0)
        if name in elsewhere
        else read_cell_status(name, study_path / CELLS / name)
        for name in (place.name for place in places_of(study))
    ]


def _figure_elsewhere(figure: float | None) -> str:
    return "elsewhere" if figure is None else f"{100 * figure:.1f} %, elsewhere"


def _elsewhere(study_path: Path) -> dict[str, float | None]:
    if not (study_path / ELSEWHERE).is_dir() and runs_of(study_path):
        return {}
    from tailor_rl.bench.elsewhere import cells_elsewhere  # a second and more of imports

    return cells_elsewhere(study_path)


def _published(study_path: Path) -> Study:
    """Of a folder that has figures and no runs."""
    from tailor_rl.bench.gathered import read_gathered

    return read_gathered(study_path / GATHERED).study


def read_cell_status(name: str, run: Path) -> CellStatus:
    """Of one cell, by its run folder."""
    if not run.is_dir():
        return CellStatus(name, "waiting", "", 0.0)
    seconds = totals(read_ledger(run)).get("seconds", 0.0)
    if is_finished(run):
        return CellStatus(name, "finished", final_figure(run), seconds)
    state = read_status(run).state
    note = reason(run) if state == "failed" else where(run, read_run_config(run).rl.num_steps)
    return CellStatus(name, state, note, seconds)


def as_json(cells: list[CellStatus]) -> str:
    return json.dumps([asdict(cell) for cell in cells], indent=2, ensure_ascii=False)


def as_text(study_path: Path, cells: list[CellStatus]) -> str:
    """A line a cell, and how many are in each state."""
    states = list(dict.fromkeys(cell.state for cell in cells))
    counts = ", ".join(f"{sum(c.state == s for c in cells)} {s}" for s in states)
    width = max((len(cell.cell) for cell in cells), default=0)
    lines = [f"{study_path}: {len(cells)} cells, {counts}"]
    lines += [f"  {c.cell:<{width}}  {c.state:<9} {c.note}".rstrip() for c in cells]
    return "\n".join(lines)
