"""Cells run one after another, or several at a time, each as a `tailor run` of its own.

    waiting --(room, and no running cell is about to make what it could share)--> running
    running --(its process ended)--> finished | failed

A failed cell holds up no other. Knows nothing about what a cell does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.folder import StudyFolder
from tailor_rl.bench.parts import makes_by, wants
from tailor_rl.bench.sharing import Made, awaits, made_parts
from tailor_rl.config.load import Provenance
from tailor_rl.runs.folder import holder

LOOK_EVERY_S = 0.5
STOP_S = 90.0  # for a run to write down where it is
HOPELESS = 3  # cells that failed in a row and none that finished: something is wrong for all


class Process(Protocol):
    """A run that was started."""

    def poll(self) -> int | None:
        """Its exit code; None while it goes on."""
        ...

    def stop(self, *, hard: bool) -> None:
        """Ask it to stop, or end it."""
        ...


# A run folder, the file for what the run prints, and the recipe that it goes on by, if not its own.
Start = Callable[[Path, Path, Path | None], Process]


@dataclass(frozen=True, slots=True)
class Job:
    cell: Cell
    process: Process
    began: float  # by the clock


@dataclass
class Progress:
    """What an overview shows. Seconds are those of cells that were run in this sitting."""

    cells: Sequence[Cell]
    finished: list[str] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)  # cell -> seconds so far
    failed: dict[str, int] = field(default_factory=dict)  # cell -> exit code
    seconds: list[float] = field(default_factory=list)
    at_once: int = 1
    stopped: str = ""  # why no cell was begun any more

    @property
    def left_s(self) -> float | None:
        """Until all are done, by the mean of those that were run here; None before the first. No
        cell is done sooner for there being room beside it.
        """
        if not self.seconds:
            return None
        each = sum(self.seconds) / len(self.seconds)
        waiting = len(self.cells) - len(self.finished) - len(self.failed) - len(self.running)
        left = [max(0.0, each - spent) for spent in self.running.values()] + [each] * waiting
        return max(sum(left) / self.at_once, max(left, default=0.0))


class Overview(Protocol):
    """What a person watches."""

    def began(self, cell: Cell, shared: dict[str, str], progress: Progress) -> None: ...
    def ended(self, cell: Cell, code: int, seconds: float, progress: Progress) -> None: ...
    def show(self, progress: Progress) -> None: ...
    def log(self, line: str) -> None: ...


class Queue:
    """Works cells off; `run` returns when none is left, or none that could be helped.

    `changed` says what is no longer as it was when the study was checked, "" for nothing: else no
    other cell is begun.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        folder: StudyFolder,
        *,
        start: Start,
        reuse: Sequence[Path],
        provenance: Provenance,
        overview: Overview,
        at_once: int,
        changed: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._start = start
        self._reuse = reuse
        self._provenance = provenance
        self._overview = overview
        self._clock = clock
        self._sleep = sleep
        self._jobs: list[Job] = []
        self._wants = {cell.name: wants(cell.config) for cell in cells}
        self._makes = {cell.name: makes_by(folder.recipes(cell)) for cell in cells}
        done = [cell.name for cell in cells if folder.finished(cell)]
        self._waiting = [cell for cell in cells if cell.name not in done]
        self._changed = changed
        self._in_a_row = 0
        self._idle_since = clock()
        self.progress = Progress(cells, finished=done, at_once=at_once)

    def run(self) -> Progress:
        """Raises KeyboardInterrupt after the running cells have stopped."""
        try:
            while self._jobs or (self._waiting and self._may_begin()):
                self._look()
                self._fill()
                self._show()
                if self._blocked():
                    break
                if self._jobs or self._waiting:
                    self._sleep(LOOK_EVERY_S)
        finally:
            self._stop_all()
        return self.progress

    def _look(self) -> None:
        for job in [job for job in self._jobs if job.process.poll() is not None]:
            self._jobs.remove(job)
            code, seconds = job.process.poll() or 0, self._clock() - job.began
            if self._folder.finished(job.cell):
                self.progress.finished.append(job.cell.name)
                self.progress.seconds.append(seconds)
                self._in_a_row = 0
            else:
                self.progress.failed[job.cell.name] = code
                self._in_a_row += 1
            self._times()
            self._overview.ended(job.cell, code, seconds, self.progress)

    def _fill(self) -> None:
        free = self.progress.at_once
        while self._waiting and len(self._jobs) < free and self._may_begin():
            made = made_parts(self._donors())
            cell = next((cell for cell in self._waiting if self._ready(cell, made)), None)
            if cell is None:
                return
            if self._stopped_by_change():
                return
            self._waiting.remove(cell)
            self._begin(cell)

    def _may_begin(self) -> bool:
        return self._in_a_row < HOPELESS and not self.progress.stopped

    def _stopped_by_change(self) -> bool:
        """A cell of other code would be of another study."""
        self.progress.stopped = self._changed()
        if self.progress.stopped and self._jobs:
            names = ", ".join(job.cell.name for job in self._jobs)
            self._overview.log(
                f"{self.progress.stopped}: no cell is begun any more; waiting for {names}"
            )
        return bool(self.progress.stopped)

    def _blocked(self) -> bool:
        """Whether all that is left is in other processes' hands, and has been for a while: long
        enough for runs of a study that was killed to end.
        """
        if self._jobs or not self._waiting:
            self._idle_since = self._clock()
            return False
        if self._clock() - self._idle_since < STOP_S:
            return False
        names = ", ".join(cell.name for cell in self._waiting)
        self._overview.log(f"in use by other processes, and left alone: {names}")
        return True

    def _ready(self, cell: Cell, made: Made) -> bool:
        """Not while another process has it, nor while another cell is to make a part of it."""
        path = self._folder.cell(cell.name)
        if path.is_dir():
            return holder(path) is None
        busy = (self._makes[job.cell.name] for job in self._jobs)
        others = (self._makes[other.name] for other in self._waiting if other is not cell)
        return not awaits(self._wants[cell.name], busy, others, made)

    def _donors(self) -> list[Path]:
        return [*self._folder.runs(), *self._reuse]

    def _begin(self, cell: Cell) -> None:
        path, shared, recipe = self._folder.cell(cell.name), {}, None
        if path.is_dir():
            recipe, changes = self._folder.recipe_to_go_on_by(cell)
            if changes:
                self._overview.log(f"{cell.name} goes on with {', '.join(changes)}")
        else:
            shared = self._folder.prepare(cell, self._donors(), self._provenance)
        if self._folder.finished(cell):  # another study has made it, whole
            self.progress.finished.append(cell.name)
            self._overview.began(cell, shared, self.progress)
            return
        process = self._start(path, self._folder.log(cell.name), recipe)
        self._jobs.append(Job(cell, process, self._clock()))
        self._times()
        self._overview.began(cell, shared, self.progress)

    def _times(self) -> None:
        now = self._clock()
        self.progress.running = {job.cell.name: now - job.began for job in self._jobs}

    def _show(self) -> None:
        self._times()
        self._overview.show(self.progress)

    def _stop_all(self) -> None:
        """Ask every run to stop, wait, and end what does not."""
        for hard in (False, True):
            for job in self._jobs:
                if job.process.poll() is None:
                    job.process.stop(hard=hard)
            until = self._clock() + STOP_S
            while any(job.process.poll() is None for job in self._jobs):
                if self._clock() > until:
                    break
                self._sleep(LOOK_EVERY_S)
