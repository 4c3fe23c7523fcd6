"""`tailor bench` on a small study whose runs are made of fakes, in this process."""

from __future__ import annotations

import asyncio
import io
import shutil
from pathlib import Path
from typing import ClassVar

import pytest

from tailor_rl.bench import process
from tailor_rl.cli import main
from tailor_rl.config.load import resolve_config
from tailor_rl.config.schema import RunConfig
from tailor_rl.kit import Kit
from tailor_rl.pipeline import tailor, train
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.screen import PlainScreen
from tests.fakes import FakeGrader, FakeLearner, FakePool, FakeTask, FakeTeacher, FakeTokens
from tests.tiny import make_student

STUDY = """
question = "Which?"
recipe = "recipe.toml"
seeds = [1, 2]
thresholds = [0.5]
[arms.tailor]
[arms.rule_based]
initialisation = "rule_based"
[[comparisons]]
arm = "tailor"
against = "rule_based"
"""
CELLS = ["tailor-seed-1", "rule_based-seed-1", "tailor-seed-2", "rule_based-seed-2"]


class RunOnFakes:
    """In place of a process: the same pipeline in the same folder, with fakes for what is heavy."""

    made: ClassVar[list[str]] = []
    failing: ClassVar[frozenset[str]] = frozenset()
    ran: ClassVar[dict[str, RunConfig]] = {}  # what each last ran by

    def __init__(self, run: Path, log: Path, recipe: Path | None) -> None:
        RunOnFakes.made.append(run.name)
        log.write_text("what a run prints\n")
        asked = None if recipe is None else resolve_config(recipe, command=())
        with RunFolder.resume(run, asked) as folder:
            RunOnFakes.ran[run.name] = folder.config
            if run.name in RunOnFakes.failing:
                folder.record_outcome("failed", "the teacher left")
                self.code = 3
                return
            kit = Kit(
                cfg=folder.config,
                task=FakeTask(),
                teacher=FakeTeacher(),
                pool=FakePool(),
                grader=FakeGrader(),
                learner=FakeLearner(),
                tokens=FakeTokens(),
                journal=RunJournal(folder, PlainScreen(io.StringIO())),
                train=train,
            )
            asyncio.run(tailor(kit))
            folder.record_outcome("finished")
            self.code = 0

    def poll(self) -> int | None:
        return self.code

    def stop(self, *, hard: bool) -> None:
        raise AssertionError("it has ended already")


def begin_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """study.toml with its recipe and student, in the folder that becomes the current one."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setattr(process, "RunProcess", RunOnFakes)
    monkeypatch.setattr(RunOnFakes, "made", [])
    monkeypatch.setattr(RunOnFakes, "failing", frozenset())
    make_student(folder / "student")
    shutil.copy(Path(__file__).parent / "recipes" / "tiny.toml", folder / "recipe.toml")
    (folder / "study.toml").write_text(STUDY)
    return folder


def bench(*arguments: str) -> int:
    return main(["bench", "study.toml", "student=student", "--plain", *arguments])
