"""What a person watches while a run goes on: one live page on a terminal, plain lines elsewhere.

Both are called from asyncio and from threads; neither reads nor writes the run folder.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tailor_rl.printable import one_line
from tailor_rl.protocols import Screen
from tailor_rl.summary import STAGE_LABELS, percent, split_label
from tailor_rl.types import Evaluation

LINE_EVERY_S = 5.0  # plain output: the least time between two progress lines of a stage
LOG_LINES = 5
HISTORY = 60  # points of a sparkline
BLOCKS = "▁▂▃▄▅▆▇█"
# metrics.jsonl key -> how it is called in one line, in this order
IN_LINE = {
    "reward": "reward",
    "informative": "informative",
    "entropy": "entropy",
    "lag": "lag",
    "tokens_per_s": "tokens/s",
}

Clock = Callable[[], float]


@contextmanager
def make_screen(plain: bool | None = None, *, console: Console | None = None) -> Iterator[Screen]:
    """The screen of a run, live while the block is open.

    Args:
        plain: lines instead of a live page; by default wherever a live page cannot be drawn (output
            is no terminal, or one without cursor movement or Unicode).
    """
    console = console or Console()
    if plain is None:
        drawable = console.is_terminal and not console.is_dumb_terminal
        plain = not drawable or console.options.ascii_only
    if plain:
        yield PlainScreen(console.file)
        return
    screen = LiveScreen()
    with Live(get_renderable=screen.render, console=console, refresh_per_second=4):
        try:
            yield screen
        except BaseException:
            screen.close(failed=True)
            raise
        screen.close(failed=False)


def metrics_line(metrics: Mapping[str, float]) -> str:
    """The few metrics worth a place in one line. Example: "reward 0.412  entropy 0.83  lag 1"."""
    # A policy loss hovers around 0 and says nothing; a supervised one is all there is.
    names = IN_LINE if "reward" in metrics else {"loss": "loss"}
    shown = [f"{name} {figure(metrics[key])}" for key, name in names.items() if key in metrics]
    return "  ".join(shown)


def figure(value: float) -> str:
    """Three digits that matter, no exponent for everyday sizes: 0.412, 12.3, 4,512."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Example: "42 s", "3:05 min", "2:03 h"."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60}:{total % 60:02d} min"
    return f"{total // 3600}:{total % 3600 // 60:02d} h"


def sparkline(values: list[float]) -> str:
    """One block character a value, between the smallest and the largest."""
    low, high = min(values), max(values)
    if high == low:
        return BLOCKS[3] * len(values)
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round((value - low) / (high - low) * top)] for value in values)


def evaluation_line(row: Evaluation) -> str:
    """Example: "after RL, step 20: in distribution pass@1 81.2 % [78.9, 83.4]"."""
    stage = STAGE_LABELS.get(row.stage, one_line(row.stage, 20))
    figure = "greedy" if row.metric == "greedy" else f"pass@{row.k}"
    return f"{stage}, step {row.step}: {split_label(row.split)} {figure} {percent(row)}"


class Pace:
    """Time left of one piece of work, from the progress seen since the first report.

    Starting from the first report, not from 0, keeps a resumed stage (which begins at half) honest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def left_s(self, done: int, total: int) -> float | None:
        """Seconds; None until something was done between two reports."""
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        began, first = self._first
        if done == first:
            return None
        return (now - began) / (done - first) * max(0, total - done)


class PlainScreen:
    """Lines for a log: as many as a run has seconds and steps, never as many as it has rollouts."""

    def __init__(self, file: IO[str] | None = None, *, clock: Clock = time.monotonic) -> None:
        self._file: IO[str] | None = file or sys.stdout
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._stage = ""
        self._pace = Pace(clock)
        self._last_line_s = -LINE_EVERY_S
        self._complete = False

    def stage(self, name: str) -> None:
        with self._lock:
            self._stage = one_line(name, 40)
            self._pace = Pace(self._clock)
            self._last_line_s = -LINE_EVERY_S
            self._complete = False
            self._write(f"== {self._stage}")

    def progress(self, done: int, total: int, note: str) -> None:
        with self._lock:
            left = self._pace.left_s(done, total)
            first_complete = done >= total and not self._complete
            if not (self._due() or first_complete):
                return
            self._complete = self._complete or first_complete
            share = f" ({100 * done // total} %)" if total else ""
            parts = [f"{self._stage} {done}/{total}{share}"]
            if left:
                parts.append(f"{duration(left)} left")
            if note:
                parts.append(one_line(note))
            self._write(", ".join(parts))

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            # SFT steps are short: one line each would be most of the log.
            if stage == "rl" or self._due():
                self._write(f"{one_line(stage, 40)} step {step}: {metrics_line(metrics)}")

    def evaluation(self, row: Evaluation) -> None:
        with self._lock:
            self._write(evaluation_line(row))

    def log(self, line: str) -> None:
        with self._lock:
            self._write(one_line(line, 1000))

    def _due(self) -> bool:
        now = self._clock()
        if now - self._last_line_s < LINE_EVERY_S:
            return False
        self._last_line_s = now
        return True

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        seconds = round(self._clock() - self._began)
        stamp = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
        encoding = getattr(self._file, "encoding", None) or "utf-8"  # StringIO has none
        safe = line.encode(encoding, errors="backslashreplace").decode(encoding)
        try:
            self._file.write(f"{stamp}  {safe}\n")
            self._file.flush()
        except BrokenPipeError:
            self._file = None  # whoever read the log went away: no reason for the training to die


@dataclass(slots=True)
class _Stage:
    name: str
    began: float
    seconds: float = 0.0
    state: str = "running"  # then "done" or "failed"


_MARKS = {"running": ("▸", "bold cyan"), "done": ("✓", "green"), "failed": ("✗", "red")}


class LiveScreen:
    """State that the drawing thread reads a few times a second: every method is locked."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stages: list[_Stage] = []
        self._pace = Pace(clock)
        self._done, self._total, self._note = 0, 0, ""
        self._left: float | None = None
        self._rewards: deque[float] = deque(maxlen=HISTORY)
        self._accuracies: deque[float] = deque(maxlen=HISTORY)
        self._metrics = ""
        self._lines: deque[str] = deque(maxlen=LOG_LINES)

    def stage(self, name: str) -> None:
        with self._lock:
            self._end_stage("done")
            self._stages.append(_Stage(one_line(name, 40), self._clock()))
            self._pace = Pace(self._clock)
            self._done, self._total, self._note, self._left = 0, 0, "", None

    def progress(self, done: int, total: int, note: str) -> None:
        with self._lock:
            self._left = self._pace.left_s(done, total)
            self._done, self._total, self._note = done, total, one_line(note)

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            self._metrics = f"{one_line(stage, 40)} step {step}  {metrics_line(metrics)}"
            reward = metrics.get("reward", math.nan)
            if math.isfinite(reward):
                self._rewards.append(reward)

    def evaluation(self, row: Evaluation) -> None:
        with self._lock:
            if row.split == "validation" and row.k == 1:
                self._accuracies.append(row.value)
            self._lines.append(evaluation_line(row))

    def log(self, line: str) -> None:
        with self._lock:
            self._lines.append(one_line(line, 1000))

    def close(self, *, failed: bool) -> None:
        """The last frame stays on the terminal: it shows how the current stage ended."""
        with self._lock:
            self._end_stage("failed" if failed else "done")

    def render(self) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [self._stage_list()]
            if self._total and self._stages and self._stages[-1].state == "running":
                parts.append(self._bar())
            if self._rewards or self._accuracies:
                parts.append(self._figures())
            if self._metrics:
                parts.append(_line(self._metrics, "dim"))
            if self._lines:
                parts.append(Rule(style="dim"))
                parts.extend(_line(line) for line in self._lines)
            return Group(*parts)

    def _end_stage(self, state: str) -> None:
        if self._stages and self._stages[-1].state == "running":
            last = self._stages[-1]
            last.seconds = self._clock() - last.began
            last.state = state

    def _stage_list(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for stage in self._stages:
            running = stage.state == "running"
            seconds = self._clock() - stage.began if running else stage.seconds
            mark, style = _MARKS[stage.state]
            name = Text(stage.name, style="bold" if running else "")
            table.add_row(Text(mark, style=style), name, Text(duration(seconds), style="dim"))
        return table

    def _bar(self) -> Table:
        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._total, completed=self._done, width=40)
        left = f"{duration(self._left)} left" if self._left else ""
        table.add_row("", bar, f"{self._done}/{self._total}", left, _line(self._note, "dim"))
        return table

    def _figures(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for name, values, last in (
            ("reward", self._rewards, "{:.3f}"),
            ("validation accuracy", self._accuracies, "{:.1%}"),
        ):
            if values:
                spark = Text(sparkline(list(values)), style="cyan", no_wrap=True)
                table.add_row(Text(name, style="dim"), last.format(values[-1]), spark)
        return table


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
