"""`protocols.Journal` on a run folder, with a screen beside it.

    stages.json         {"sft": {"started": "2026-05-01T10:00:00+00:00", "sittings": 2, ...}};
                        "ledger" is what had been spent when the stage was started
    metrics.jsonl       {"stage": "rl", "step": 3, "time": 1777629600.1, "reward": 0.41, ...}
    evaluations.jsonl   the fields of `Evaluation`, and "axis" of an "ood/<axis>" split, else null

Knows nothing about what the stages do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tailor_rl.curation.lineage import Lineage
from tailor_rl.errors import RunFolderError
from tailor_rl.protocols import Checkpoint, Learner, Screen
from tailor_rl.runs.checkpoints import CheckpointFolder
from tailor_rl.runs.files import (
    NO_SPACE,
    NOT_ALLOWED,
    append_line,
    disk_full,
    explaining_disk_errors,
    is_one_of,
    no_longer_writable,
    read_tables,
    read_typed_lines,
    write_atomic,
    write_json,
)
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.ledger import Ledger
from tailor_rl.types import Demonstration, Evaluation

Row = TypeVar("Row")

VALIDATION = "validation"  # the ledger's row of measurements within SFT and RL

_OWN_KEYS = frozenset({"stage", "step", "time"})


class RunJournal:
    """One writer: the process that holds the folder's lock. RunFolderError on a full disk."""

    def __init__(self, folder: RunFolder, screen: Screen, *, parent: str = "") -> None:
        run = folder.path
        self._folder = folder
        self._run = run
        self._screen = screen
        self._parent = parent  # shown before the names of stages of a run inside another
        self._ledger = Ledger(run)
        self._stages = read_stages(run)
        self._checkpoints = CheckpointFolder(run / "checkpoints")
        for line in self._checkpoints.sweep():
            screen.log(line)

    def finished(self, stage: str) -> bool:
        return "finished" in self._stages.get(stage, {})

    def start(self, stage: str) -> None:
        begun = {"started": _now(), "sittings": 0, "ledger": self._ledger.snapshot()}
        entry = self._stages.setdefault(stage, begun)
        entry["sittings"] += 1
        self._write_stages()
        self._ledger.open(stage)
        self._screen.stage(f"{self._parent}{stage}")

    def finish(self, stage: str) -> None:
        assert stage in self._stages, f"{stage} was finished before it was started"
        # Seconds first: a stage that counts as finished is never opened again.
        self._ledger.close(stage)
        self._stages[stage].setdefault("finished", _now())
        self._write_stages()

    def write(self, name: str, rows: Sequence[Any]) -> None:
        self._replace(name, [_line(row) for row in rows])
        self._ledger.tick()

    def append(self, name: str, row: Any) -> None:
        path = self._rows_path(name)
        with explaining_disk_errors(self._run, path.name):
            append_line(path, _line(row))
        self._ledger.tick()

    def read(self, name: str, kind: type[Row]) -> list[Row]:
        return read_typed_lines(
            self._rows_path(name),
            kind,
            what="damaged or of another version of tailor_rl",
            fix="remove the line or start a new run",
        )

    def rewind(self, name: str, *, stage: str, step: int) -> None:
        rows = self.read(name, dict[str, Any])
        kept = [row for row in rows if row.get("stage") != stage or row.get("step", 0) <= step]
        if len(kept) < len(rows):
            self._replace(name, [_line(row) for row in kept])

    def rewind_ledger(self, stage: str, checkpoint: Checkpoint | None) -> None:
        before = self._stages.get(stage)
        if before is None:  # the first sitting
            return
        spent = (before if checkpoint is None else checkpoint.state).get("ledger", {})
        for each in (stage, VALIDATION):
            self._ledger.rewind(each, spent.get(each, {}))

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        assert not _OWN_KEYS & set(metrics), f"metrics may not be called {_OWN_KEYS & set(metrics)}"
        self.append(
            "metrics", {"stage": stage, "step": step, "time": round(time.time(), 3), **metrics}
        )
        self._screen.metrics(f"{self._parent}{stage}", step, metrics)

    def evaluation(self, row: Evaluation) -> None:
        axis = row.split.partition("/")[2] or None
        self.append("evaluations", {**dataclasses.asdict(row), "axis": axis})
        self._screen.evaluation(row)

    def spend(self, stage: str, amounts: Mapping[str, float]) -> None:
        self._ledger.add(stage, amounts)

    def settle(self, stage: str, amounts: Mapping[str, float]) -> None:
        self._ledger.settle(stage, amounts)

    def progress(self, done: int, total: int, note: str = "") -> None:
        self._ledger.tick()
        self._screen.progress(done, total, note)

    def log(self, line: str) -> None:
        self._screen.log(line)

    def spent(self, stage: str) -> Mapping[str, float]:
        return self._ledger.spent(stage)

    def record(self, name: str, value: Mapping[str, Any]) -> None:
        with explaining_disk_errors(self._run, name):
            write_json(self._run / name, value)

    def page(self, name: str, text: str) -> None:
        path = self._run / f"{name}.md"
        with explaining_disk_errors(self._run, path.name):
            write_atomic(path, text)

    def publish(self, demonstrations: Sequence[Demonstration], lineage: Lineage) -> None:
        from tailor_rl.curation.dataset import write_dataset

        self.write("lineage", [lineage])
        with explaining_disk_errors(self._run, "dataset"):
            write_dataset(self._run / "dataset", demonstrations, lineage)

    def nested(self, name: str) -> RunJournal:
        return RunJournal(self._folder.inside(name), self._screen, parent=f"{self._parent}{name}: ")

    async def checkpoint(
        self, name: str, *, step: int, learner: Learner, state: Mapping[str, Any]
    ) -> Path:
        what = f"checkpoint {name}"
        with explaining_disk_errors(self._run, what):
            try:
                folder = self._checkpoints.begin(name)
                await learner.save(folder)
                # In a thread: hashing gigabytes must not stop the rollouts that are under way.
                final = await asyncio.to_thread(
                    self._checkpoints.commit,
                    name,
                    step=step,
                    state={**state, "ledger": self._ledger.snapshot()},
                )
            except Exception as error:
                self._checkpoints.discard(name)
                if (explained := self._explained(what, error)) is not None:
                    raise explained from error
                raise
        self._ledger.tick()
        return final

    def _explained(self, what: str, error: Exception) -> RunFolderError | None:
        """A rank's error comes wrapped by its process and by safetensors: as text."""
        if is_one_of(NO_SPACE, error):
            return disk_full(self._run, what, error)
        if is_one_of(NOT_ALLOWED, error):
            return no_longer_writable(self._run, what, error)
        return None

    def latest_checkpoint(self, prefix: str) -> Checkpoint | None:
        return self._checkpoints.latest(prefix, log=self._screen.log)

    def named_checkpoint(self, name: str) -> Checkpoint | None:
        return self._checkpoints.named(name, log=self._screen.log)

    def prune_checkpoints(
        self, prefix: str, *, keep: int, spare: Collection[int | None] = ()
    ) -> None:
        self._checkpoints.prune(prefix, keep=keep, spare=spare)

    def close(self) -> None:
        """Count the seconds of a stage that was broken off, so far as they are known."""
        self._ledger.tick()

    def _rows_path(self, name: str) -> Path:
        return self._run / f"{name}.jsonl"

    def _replace(self, name: str, lines: Iterable[str]) -> None:
        path = self._rows_path(name)
        with explaining_disk_errors(self._run, path.name):
            path.parent.mkdir(parents=True, exist_ok=True)  # "samples/step-000010"
            write_atomic(path, "".join(f"{line}\n" for line in lines))

    def _write_stages(self) -> None:
        with explaining_disk_errors(self._run, "stages.json"):
            write_json(self._run / "stages.json", self._stages)


def read_stages(run: Path) -> dict[str, dict[str, Any]]:
    """Stage -> when it was started and finished; {} before the first."""
    return read_tables(run / "stages.json")


def _line(row: Any) -> str:
    """A dataclass or a mapping as one line of JSON; numpy's scalars become plain numbers."""
    is_dataclass = dataclasses.is_dataclass(row) and not isinstance(row, type)
    value = dataclasses.asdict(row) if is_dataclass else dict(row)
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} cannot be written as JSON")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
