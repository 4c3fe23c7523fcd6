"""A run folder in memory: what it holds survives the journal that wrote it."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from tailor_rl.curation.lineage import Lineage
from tailor_rl.protocols import Checkpoint, Learner
from tailor_rl.types import Demonstration, Evaluation
from tests.fakes import Fault

Row = TypeVar("Row")

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # making one takes longer than a whole fake run


class Records:
    """What a run folder holds: survives the journal that wrote it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.finished: dict[str, int] = {}  # stage -> how often
        self.started: list[str] = []
        self.said: list[str] = []
        self.ledger: dict[str, dict[str, float]] = {}
        self.ledger_at: dict[str, dict[str, dict[str, float]]] = {}  # the start of a stage
        self.pages: dict[str, str] = {}
        self.published: list[tuple[int, str]] = []
        self.inside: dict[str, Records] = {}
        self.checkpoints: dict[str, Checkpoint] = {}


class FakeJournal:
    """Rows as JSON objects in memory; a kill comes before or after a call, as in a real one."""

    def __init__(self, records: Records, fault: Fault | None = None) -> None:
        self.records = records
        self._fault = fault or Fault()

    def finished(self, stage: str) -> bool:
        return stage in self.records.finished

    def start(self, stage: str) -> None:
        assert stage not in self.records.finished, f"{stage} is repeated"
        self._fault.point(f"start {stage}")
        self.records.ledger_at.setdefault(stage, copy.deepcopy(self.records.ledger))
        self.records.started.append(stage)

    def finish(self, stage: str) -> None:
        assert stage in self.records.started
        self._fault.point(f"finish {stage}")
        self.records.finished[stage] = self.records.finished.get(stage, 0) + 1
        self._fault.point(f"finished {stage}")

    def write(self, name: str, rows: Sequence[Any]) -> None:
        self._fault.point(f"write {name}")
        self.records.files[name] = [_json(row) for row in rows]
        self._fault.point(f"written {name}")

    def append(self, name: str, row: Any) -> None:
        self._fault.point(f"append {name}")
        self.records.files.setdefault(name, []).append(_json(row))
        self._fault.point(f"appended {name}")

    def read(self, name: str, kind: type[Row]) -> list[Row]:
        adapter = _adapter(kind)
        return [adapter.validate_python(row) for row in self.records.files.get(name, [])]

    def rewind(self, name: str, *, stage: str, step: int) -> None:
        self._fault.point(f"rewind {name}")
        rows = self.records.files.get(name, [])
        kept = [row for row in rows if row["stage"] != stage or row["step"] <= step]
        self.records.files[name] = kept

    def rewind_ledger(self, stage: str, checkpoint: Checkpoint | None) -> None:
        self._fault.point(f"rewind the ledger of {stage}")
        if stage not in self.records.ledger_at:
            return
        then = self.records.ledger_at[stage] if checkpoint is None else checkpoint.state["ledger"]
        for each in (stage, "validation"):
            before, now = then.get(each, {}), self.records.ledger.get(each, {})
            lost = {name: n - before.get(name, 0) for name, n in now.items()}
            if any(lost.values()):
                self.spend(f"{each}_lost", lost)
                self.records.ledger[each] = dict(before)

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        assert not {"stage", "step"} & set(metrics)
        self.append("metrics", {"stage": stage, "step": step, **metrics})

    def evaluation(self, row: Evaluation) -> None:
        self.append("evaluations", row)

    def spend(self, stage: str, amounts: Mapping[str, float]) -> None:
        spent = self.records.ledger.setdefault(stage, {})
        for name, amount in amounts.items():
            assert amount >= 0
            spent[name] = spent.get(name, 0) + amount

    def settle(self, stage: str, amounts: Mapping[str, float]) -> None:
        self.records.ledger.setdefault(stage, {}).update(amounts)

    def spent(self, stage: str) -> Mapping[str, float]:
        return dict(self.records.ledger.get(stage, {}))

    def record(self, name: str, value: Mapping[str, Any]) -> None:
        self.write(name, [value])

    def page(self, name: str, text: str) -> None:
        self._fault.point(f"page {name}")
        self.records.pages[name] = text

    def publish(self, demonstrations: Sequence[Demonstration], lineage: Lineage) -> None:
        self.write("lineage", [lineage])
        self.records.published.append((len(demonstrations), lineage.initialisation))

    def progress(self, done: int, total: int, note: str = "") -> None:
        assert 0 <= done <= total

    def log(self, line: str) -> None:
        self.records.said.append(line)

    def nested(self, name: str) -> FakeJournal:
        inner = self.records.inside.setdefault(name, Records(self.records.folder / name))
        return FakeJournal(inner, self._fault)

    async def checkpoint(
        self, name: str, *, step: int, learner: Learner, state: Mapping[str, Any]
    ) -> Path:
        temporary, final = self.records.folder / "tmp", self.records.folder / name
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        await learner.save(temporary)
        self._fault.point(f"checkpoint {name}")
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        saved = json.loads(json.dumps({**state, "ledger": self.records.ledger}))
        self.records.checkpoints[name] = Checkpoint(step=step, folder=final, state=saved)
        self._fault.point(f"checkpoint {name} made")
        return final

    def latest_checkpoint(self, prefix: str) -> Checkpoint | None:
        found = [c for name, c in self.records.checkpoints.items() if name.startswith(prefix)]
        return max(found, key=lambda checkpoint: checkpoint.step, default=None)

    def named_checkpoint(self, name: str) -> Checkpoint | None:
        return self.records.checkpoints.get(name)

    def prune_checkpoints(
        self, prefix: str, *, keep: int, spare: Collection[int | None] = ()
    ) -> None:
        self._fault.point(f"prune {prefix}")
        names = [name for name in self.records.checkpoints if name.startswith(prefix)]
        names.sort(key=lambda name: self.records.checkpoints[name].step)
        for name in names[: max(0, len(names) - keep)]:
            if self.records.checkpoints[name].step not in spare:
                del self.records.checkpoints[name]


def _adapter(kind: type[Row]) -> TypeAdapter[Row]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _json(row: Any) -> dict[str, Any]:
    is_dataclass = dataclasses.is_dataclass(row) and not isinstance(row, type)
    value = dataclasses.asdict(row) if is_dataclass else dict(row)
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain
