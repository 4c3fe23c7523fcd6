"""What a person watches while a study's cells run: one live table, or lines.

Reads the run folders of cells; writes nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.queue import Overview, Progress
from tailor_rl.errors import TailorError
from tailor_rl.printable import one_line
from tailor_rl.runs.files import read_lines
from tailor_rl.runs.folder import read_outcome
from tailor_rl.runs.journal import read_stages
from tailor_rl.screen import duration
from tailor_rl.summary import read_evaluations

LOG_LINES = 5
Shown = tuple[str, str]  # text and style


@contextmanager
def make_overview(cells: Path, *, plain: bool) -> Iterator[Overview]:
    """Live where a terminal can draw it and `plain` does not forbid it; `cells` holds the runs."""
    console = Console()
    if plain or not console.is_terminal or console.is_dumb_terminal:
        yield PlainOverview(cells, console)
        return
    overview = LiveOverview(cells)
    with Live(console=console, get_renderable=overview.render, refresh_per_second=1):
        yield overview


class PlainOverview:
    """A line when a cell begins and when it ends."""

    def __init__(self, cells: Path, console: Console) -> None:
        self._cells = cells
        self._console = console

    def began(self, cell: Cell, shared: dict[str, str], progress: Progress) -> None:
        self.log(began_line(cell, shared, progress))

    def ended(self, cell: Cell, code: int, seconds: float, progress: Progress) -> None:
        self.log(ended_line(self._cells / cell.name, cell, code, seconds, progress))

    def show(self, progress: Progress) -> None:
        pass

    def log(self, line: str) -> None:
        self._console.print(Text(one_line(line, 1000)), soft_wrap=True)


class LiveOverview:
    """Arms down, seeds across; what each cell is at."""

    def __init__(self, cells: Path) -> None:
        self._cells = cells
        self._progress: Progress | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)

    def began(self, cell: Cell, shared: dict[str, str], progress: Progress) -> None:
        self._progress = progress
        self.log(began_line(cell, shared, progress))

    def ended(self, cell: Cell, code: int, seconds: float, progress: Progress) -> None:
        self._progress = progress
        self.log(ended_line(self._cells / cell.name, cell, code, seconds, progress))

    def show(self, progress: Progress) -> None:
        self._progress = progress

    def log(self, line: str) -> None:
        self._lines.append(one_line(line, 1000))

    def render(self) -> RenderableType:
        lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        if self._progress is None:
            return Group(*lines)
        return Group(self._table(self._progress), Text(_counts(self._progress)), *lines)

    def _table(self, progress: Progress) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        seeds = list(dict.fromkeys(cell.seed for cell in progress.cells))
        table.add_column("")
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right")
        by_place = {(cell.family, cell.seed): cell for cell in progress.cells}
        for family in dict.fromkeys(cell.family for cell in progress.cells):
            shown = (self._shown(by_place.get((family, seed)), progress) for seed in seeds)
            table.add_row(Text(family), *(Text(text, style=style) for text, style in shown))
        return table

    def _shown(self, cell: Cell | None, progress: Progress) -> Shown:
        if cell is None:
            return "", ""
        if cell.name in progress.failed:
            return "failed", "red"
        if cell.name in progress.finished:
            return final_figure(self._cells / cell.name) or "finished", "green"
        if cell.name in progress.running:
            return where(self._cells / cell.name, cell.config.rl.num_steps), "bold cyan"
        return "waiting", "dim"


def began_line(cell: Cell, shared: Mapping[str, str], progress: Progress) -> str:
    """Example: "knights-tailor-seed-2 begins (3 of 30); shared: base from ..."."""
    number = len(progress.finished) + len(progress.failed) + len(progress.running)
    line = f"{cell.name} begins ({number} of {len(progress.cells)})"
    parts = ", ".join(f"{part} from {donor}" for part, donor in shared.items())
    return f"{line}; shared: {parts}" if parts else line


def ended_line(run: Path, cell: Cell, code: int, seconds: float, progress: Progress) -> str:
    """Example: "knights-tailor-seed-2 finished after 5:10 min: 55.2 %; 3 of 30, 2:10 h left"."""
    if cell.name in progress.failed:
        return f"{cell.name} failed (exit code {code}): {reason(run)}"
    line = f"{cell.name} finished after {duration(seconds)}: {final_figure(run)}"
    return f"{line}; {_counts(progress)}"


def reason(run: Path) -> str:
    """Why a run ended before its end, from its folder."""
    with contextlib.suppress(TailorError):
        outcome = read_outcome(run)
        return (outcome and outcome.error) or "it left no reason: see its log"
    return "its outcome.json is damaged"


def final_figure(run: Path) -> str:
    """Example: "55.2 %" (pass@1 on test after RL); "" where there is none."""
    with contextlib.suppress(TailorError):
        for row in read_evaluations(run):
            if (row.stage, row.split, row.metric) == ("rl", "test", "accuracy"):
                return f"{100 * row.value:.1f} %"
    return ""


def where(run: Path, num_steps: int) -> str:
    """Example: "rl 12/60"; the stage that a run is in."""
    with contextlib.suppress(TailorError, ValueError):
        begun = [name for name, entry in read_stages(run).items() if "finished" not in entry]
        stage = begun[-1] if begun else "starting"
        if stage != "rl":
            return stage.replace("_", " ")
        lines = read_lines(run / "metrics.jsonl")
        last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        step = last.get("step", 0) if last.get("stage") == "rl" else 0
        return f"rl {step}/{num_steps}"
    return "running"


def _counts(progress: Progress) -> str:
    """Example: "3 of 30 cells, 1 failed, 2:10 h left"."""
    parts = [f"{len(progress.finished)} of {len(progress.cells)} cells"]
    if progress.failed:
        parts.append(f"{len(progress.failed)} failed")
    if progress.left_s:
        parts.append(f"{duration(progress.left_s)} left")
    return ", ".join(parts)
