"""Runs of the pipeline on fakes: lives that end, and what outlives them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.config.schema import (
    AttemptConfig,
    DemonstrationConfig,
    EvaluationConfig,
    PrimitiveConfig,
    RunConfig,
    TaskConfig,
)
from tailor_rl.kit import Kit
from tailor_rl.pipeline import tailor, train
from tailor_rl.types import WeightVersion
from tests.fake_journal import FakeJournal, Records
from tests.fakes import (
    FakeGrader,
    FakeLearner,
    FakePool,
    FakeTask,
    FakeTeacher,
    FakeTokens,
    Fault,
    PurchaseBook,
)


def make_config(
    *, initialisation: str = "tailor", max_lag: int = 0, overlong_buffer: int = 0
) -> RunConfig:
    return RunConfig(
        student="fake",
        initialisation=initialisation,
        task=TaskConfig(name="addition"),
        attempts=AttemptConfig(num_problems=3, samples_per_problem=2),
        primitives=PrimitiveConfig(
            num_primitives=3, attempts_per_request=2, primitives_per_request=2, max_requests=4
        ),
        demonstrations=DemonstrationConfig(num_problems=5),
        sft=SFTConfig(epochs=2, batch_size=2),
        rl=RLConfig(
            num_steps=4,
            groups_per_step=2,
            group_size=2,
            max_tokens=8,
            max_lag=max_lag,
            checkpoint_every=3,
            keep_checkpoints=1,
            overlong_buffer=overlong_buffer,
        ),
        evaluation=EvaluationConfig(
            num_problems=3,
            samples_per_problem=1,
            max_tokens=8,
            every=2,
            num_validation_problems=2,
        ),
    )


@dataclass
class Life:
    """All that outlives a process."""

    records: Records
    book: PurchaseBook

    @classmethod
    def new(cls, folder: Path) -> Life:
        return cls(Records(folder), PurchaseBook())

    def live(
        self, cfg: RunConfig, *, fault: Fault | None = None, task: FakeTask | None = None
    ) -> tuple[WeightVersion, FakeLearner]:
        """One process: every part is new but for what is on disk."""
        learner = FakeLearner(fault)
        kit = Kit(
            cfg=cfg,
            task=task or FakeTask(),
            teacher=FakeTeacher(
                self.book, fault, wrong_at_first=cfg.teacher.model == "wrong-at-first"
            ),
            pool=FakePool(fault=fault),
            grader=FakeGrader(task),
            learner=learner,
            tokens=FakeTokens(),
            journal=FakeJournal(self.records, fault),
            train=train,
        )
        return asyncio.run(tailor(kit)), learner

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.records.files.get(name, [])

    def keys(self, name: str) -> list[tuple[Any, ...]]:
        fields = ("stage", "step", "split", "metric", "k")
        return [tuple(row[f] for f in fields if f in row) for row in self.rows(name)]

    def lasting(self) -> dict[str, Any]:
        """Every file, without what differs between two runs: seconds."""
        return _lasting(self.records)

    def paid(self) -> dict[str, Any]:
        """Of the ledger what a kill may not change: what was bought, and what was learnt from
        (rollouts that were being made are made again, and cost again).
        """
        return _paid(self.records)


def _paid(records: Records) -> dict[str, Any]:
    names = ("teacher_requests", "teacher_tokens", "learner_tokens")
    rows = {
        stage: {name: spent[name] for name in names if name in spent}
        for stage, spent in records.ledger.items()
        if not stage.endswith("_lost")
    }
    inside = {f"{name}/": _paid(inner) for name, inner in records.inside.items()}
    return {stage: row for stage, row in rows.items() if row} | inside


def _lasting(records: Records) -> dict[str, Any]:
    files = {
        name: sorted((untimed(row) for row in rows), key=repr)
        for name, rows in records.files.items()
    }
    inside = {f"{name}/": _lasting(inner) for name, inner in records.inside.items()}
    return {**files, **inside}


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    # What a lineage says was spent counts work that a kill made double.
    timed = ("seconds", "learner_seconds", "tokens_per_s", "time", "spent")
    return {
        key: value
        for key, value in row.items()
        if not key.startswith(timed) or key.startswith("spent_")
    }
