"""What each stage spent: the x-axis of every plot. What a kill made worthless has a row of its own.

ledger.json   {"rl": {"rollouts": 2560, "generated_tokens": 401233, "seconds": 312.4},
               "rl_lost": {"rollouts": 128, ...}, ...}
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, read_tables, write_json

LOST = "_lost"  # steps after the last checkpoint, which are made again after a kill

# Seconds are written at most this often, so a kill forgets no more than this of a stage's time.
_WRITE_EVERY_S = 1.0


class Ledger:
    """Amounts by stage, on disk after every `add`; seconds accumulate over sittings.

    `clock` gives monotonic seconds.
    """

    def __init__(self, run: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._path = run / "ledger.json"
        self._clock = clock
        self._stages = read_ledger(run)
        self._counted_until: dict[str, float] = {}  # open stages
        self._written_at = -math.inf

    def open(self, stage: str) -> None:
        """Seconds of `stage` count from now on."""
        self._counted_until.setdefault(stage, self._clock())

    def close(self, stage: str) -> None:
        """Seconds of `stage` stop counting."""
        self._count_seconds()
        self._counted_until.pop(stage, None)
        self._write()

    def add(self, stage: str, amounts: Mapping[str, float]) -> None:
        """Add amounts, all finite and at least 0. On disk when this returns."""
        before = self._stages.get(stage, {})
        self.settle(stage, {name: before.get(name, 0) + n for name, n in amounts.items()})

    def settle(self, stage: str, amounts: Mapping[str, float]) -> None:
        """`stage` has spent these amounts, whatever was added of them. On disk on return."""
        bad = {name: n for name, n in amounts.items() if not (math.isfinite(n) and n >= 0)}
        assert not bad, f"{stage}: amounts must be finite and at least 0: {bad}"
        spent = self._stages.setdefault(stage, {})
        spent.update((name, _number(amount)) for name, amount in amounts.items())
        self._count_seconds()
        self._write()

    def tick(self) -> None:
        """Count the time since the last call; written once a second."""
        self._count_seconds()
        if self._clock() - self._written_at >= _WRITE_EVERY_S:
            self._write()

    def rewind(self, stage: str, amounts: Mapping[str, float]) -> None:
        """`stage` has spent `amounts` again, as at a checkpoint; the rest goes to "STAGE_lost"."""
        self._count_seconds()
        spent = self._stages.get(stage, {})
        lost = {name: n - amounts.get(name, 0) for name, n in spent.items()}
        lost = {name: n for name, n in lost.items() if n > 0}
        if not lost:
            return
        row = self._stages.setdefault(f"{stage}{LOST}", {})
        for name, amount in lost.items():
            row[name] = row.get(name, 0) + amount
        self._stages[stage] = dict(amounts)
        self._write()

    def snapshot(self) -> dict[str, dict[str, float]]:
        """A copy of every row."""
        self._count_seconds()
        return {stage: dict(spent) for stage, spent in self._stages.items()}

    def spent(self, stage: str) -> Mapping[str, float]:
        """A copy of what `stage` has spent so far."""
        return dict(self._stages.get(stage, {}))

    def _count_seconds(self) -> None:
        now = self._clock()
        for stage, since in self._counted_until.items():
            spent = self._stages.setdefault(stage, {})
            spent["seconds"] = spent.get("seconds", 0.0) + now - since
            self._counted_until[stage] = now

    def _write(self) -> None:
        with explaining_disk_errors(self._run, self._path.name):
            write_json(self._path, self._stages)
        self._written_at = self._clock()


def read_ledger(run: Path) -> dict[str, dict[str, float]]:
    """Amounts by stage; {} before anything was spent. RunFolderError for a damaged file."""
    path = run / "ledger.json"
    stages = read_tables(path)
    for stage, spent in stages.items():
        for name, amount in spent.items():
            if isinstance(amount, bool) or not isinstance(amount, int | float):
                raise RunFolderError(
                    f"{path} is damaged ({name!r} of {stage!r} is no number): restore it or start a"
                    " new run"
                )
    return stages


def _number(amount: float) -> float:
    """Plain int or float: numpy's numbers cannot be written as JSON."""
    return int(amount) if float(amount).is_integer() else float(amount)
