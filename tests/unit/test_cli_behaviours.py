"""`tailor behaviours`: from a checkpoint to a report, a forecast that is kept, and its check."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from tailor_rl.cli_behaviours import BehavioursRequest, execute, prepare, show_check
from tailor_rl.config.load import resolve_config
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.measures.answers import read_answers
from tailor_rl.protocols import Grader, RolloutPool
from tailor_rl.runs.checkpoints import CheckpointFolder
from tailor_rl.runs.folder import RunFolder
from tests.fakes import FakeGrader, FakePool, Fault
from tests.measures_fakes import ScriptedTeacher
from tests.small_recipes import write_checkpoint
from tests.tiny import byte_level_tokenizer

RECIPE = """
student = "student"
seed = 3
initialisation = "rule_based"
[task]
name = "additions.py:Additions"
[evaluation]
max_tokens = 16
[teacher.more.strict]
base_url = "http://127.0.0.1:9/v1"
model = "strict-1"
[teacher.more.own]
base_url = "vllm"
model = "own-1"
"""
TASK = """
from tests.fakes import FakeTask
class Additions(FakeTask):
    def __init__(self, *, seed: int = 0) -> None:
        pass
"""


@pytest.fixture(scope="module")
def checkpoint_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_checkpoint(tmp_path_factory.mktemp("made") / "student")
    byte_level_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, checkpoint_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, a student, and runs "demo" (with the checkpoints sft and step 10) and
    "new" (with none).
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "additions.py").write_text(TASK)
    copy(checkpoint_files, tmp_path / "student")
    resolved = resolve_config(tmp_path / "recipe.toml", command=["tailor"])
    with RunFolder.create(tmp_path / "runs", resolved, name="demo") as run:
        checkpoints = CheckpointFolder(run.path / "checkpoints")
        for name, step in (("sft", 7), ("step-000010", 10)):
            copy(checkpoint_files, checkpoints.begin(name))
            checkpoints.commit(name, step=step, state={})
    with RunFolder.create(tmp_path / "runs", resolved, name="new"):
        pass
    return tmp_path


def copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def request(here: Path, target: str = "demo", **changes: Any) -> BehavioursRequest:
    typed = BehavioursRequest(
        target=target,
        checkpoint=None,
        recipe=None,
        overrides=(),
        split="validation",
        num_problems=6,
        samples=4,
        out=None,
        runs_dir=here / "runs",
        command=("tailor", "behaviours"),
    )
    return replace(typed, **changes)


class Engines:
    """Stands for Ray: remembers what was asked of it."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.pool = FakePool(fault=fault)
        self.starts = 0

    def __call__(
        self,
        cfg: Any,
        work: Callable[[RolloutPool, Grader], Coroutine[Any, Any, None]],
        /,
        **others: Any,
    ) -> None:
        self.starts += 1
        asyncio.run(work(self.pool, FakeGrader()))


def no_judge(cfg: Any, work: Any, /, *, book: Path) -> Any:
    raise AssertionError("no judge was named")


def reported(
    asked: BehavioursRequest, engines: Engines | None = None, judge: Any = no_judge
) -> Any:
    prepared = prepare(asked)
    execute(prepared, engines or Engines(), judge, as_json=True)
    return json.loads((prepared.evaluation.out / "behaviours.json").read_text())


@pytest.mark.parametrize(
    ("target", "changes", "stage", "out", "stored"),
    [
        ("demo", {}, "sft", "demo-sft-behaviours", True),
        ("runs/demo", {}, "sft", "demo-sft-behaviours", True),
        ("new", {}, "base", "new-student-behaviours", True),
        ("demo", {"checkpoint": "latest"}, "rl", "demo-latest-behaviours", True),
        ("runs/demo/checkpoints/step-000010", {}, "rl", "demo-step-000010-behaviours", True),
        ("student", {"recipe": Path("recipe.toml")}, "checkpoint", "student-behaviours", False),
        ("demo", {"recipe": Path("recipe.toml")}, "sft", "demo-sft-behaviours", False),
    ],
)
def test_what_rl_begins_with_is_examined_and_the_forecast_stays_in_the_run(
    here: Path, target: str, changes: dict[str, Any], stage: str, out: str, stored: bool
) -> None:
    found = reported(request(here, target, **changes))
    assert (found["stage"], found["split"], found["k"]) == (stage, "validation", 4)
    assert found["num_problems"] == 6
    folder = here / "evaluations" / out
    assert json.loads((folder / "behaviours.json").read_text()) == found
    kept = list((here / "runs").glob(f"*/behaviours-{stage}.json"))
    assert len(kept) == stored
    assert all(json.loads(path.read_text()) == found for path in kept)


def test_a_run_of_somebody_else_is_examined_and_left_as_it_is(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = here / "runs" / "demo"
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != run and allowed(path, mode))
    assert reported(request(here))["num_problems"] == 6
    assert "runs/demo is not writable: it gets no copy of the report" in capsys.readouterr().err
    assert not list(run.glob("behaviours-*.json"))


def test_every_answer_is_kept_with_its_text_and_grade(here: Path) -> None:
    found = reported(request(here))
    answers = read_answers(
        here / "evaluations/demo-sft-behaviours/answers.jsonl", stage="sft", step=0
    )
    assert len(answers) == 6 * 4 == found["habits"][0]["num_answers"]
    right = sum(answer.correct for answer in answers) / len(answers)
    assert found["pass_1"]["value"] == pytest.approx(right)
    assert all((answer.text == answer.answer) == (answer.correct == 1.0) for answer in answers)


def test_a_killed_examination_goes_on_and_ends_like_one_that_was_not(here: Path) -> None:
    whole = reported(request(here, num_problems=30, out=here / "whole"))
    parts = request(here, num_problems=30, out=here / "parts")
    with pytest.raises(typer.Exit):
        reported(parts, Engines(Fault(kill_at=30)))
    rest = Engines()
    assert reported(parts, rest) == whole
    assert 0 < len(rest.pool.started) < 30
    again = Engines()
    assert reported(parts, again) == whole
    assert again.starts == 0


def test_a_judge_counts_the_habits_of_some_answers(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = ScriptedTeacher(lambda request: "Twice. <count>1</count>")
    books = []

    def judge(cfg: Any, work: Any, /, *, book: Path) -> Any:
        books.append(book)
        return asyncio.run(work(teacher))

    named = ("measures.judge=strict", "measures.judged_traces=5")
    found = reported(request(here, overrides=named), judge=judge)
    assert found["judge"] == "judge-1"
    assert [row["mean"] for row in found["judged_habits"]] == [1.0] * 4
    assert [row["num_answers"] for row in found["judged_habits"]] == [5] * 4
    assert {request.teacher for request in teacher.requests} == {"strict"}
    assert len({request.prompt for request in teacher.requests}) == len(teacher.requests) == 20
    assert books == [here / "evaluations/demo-sft-behaviours/teacher.sqlite"]
    output = capsys.readouterr()
    assert json.loads(output.out) == found
    assert "reads 5 answers" in output.err


def test_the_report_is_told_in_tables_and_sentences(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = prepare(request(here))
    execute(prepared, Engines(), no_judge, as_json=False)
    out = capsys.readouterr().out
    for part in ("pass@4", "mixed groups", "backward chaining", "Forecast: RL gains", "not calib"):
        assert part in " ".join(out.split())
    table = (prepared.evaluation.out / "table.md").read_text()
    assert "Forecast: RL gains" in table and "| mixed groups |" in table


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"target": "nothing"}, "there is no run folder"),
        ({"target": "student"}, "add --recipe"),
        ({"split": "validatoin"}, "did you mean 'validation'?"),
        ({"overrides": ("measures.judge=strikt",)}, "which has teacher, strict, own"),
        ({"overrides": ("measures.judge=own",)}, "`vllm serve own-1`"),
        ({"samples": 0}, "samples_per_problem"),
    ],
)
def test_wrong_input_is_one_sentence_before_anything_starts(
    here: Path, changes: dict[str, Any], part: str
) -> None:
    with pytest.raises((ConfigError, RunFolderError)) as caught:
        prepare(request(here, **changes))
    assert part in str(caught.value) and "\n" not in str(caught.value)
    assert not (here / "evaluations").exists()


def test_a_check_of_too_few_runs_says_how_many_it_needs(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"2 run\(s\) and needs at least 3"):
        show_check(["demo", "new"], runs_dir=here / "runs", as_json=False)
    with pytest.raises(RunFolderError, match="has no forecast"):
        show_check(["demo", "new", "demo"], runs_dir=here / "runs", as_json=False)
