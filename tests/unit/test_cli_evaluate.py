"""`tailor evaluate`: what it finds, what it refuses, and how a killed one goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from tailor_rl.cli import main
from tailor_rl.cli_evaluate import EvaluateRequest, PreparedEvaluation, execute, prepare
from tailor_rl.config.load import resolve_config
from tailor_rl.errors import ConfigError, EngineError, RunFolderError
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.protocols import Grader, RolloutPool
from tailor_rl.runs.checkpoints import CheckpointFolder
from tailor_rl.runs.evaluation_folder import EvaluationFolder, read_results
from tailor_rl.runs.folder import RunFolder
from tailor_rl.types import Grade, GradeFailure, Problem
from tests.fakes import FakeGrader, FakePool, Fault
from tests.small_recipes import write_checkpoint
from tests.tiny import byte_level_tokenizer

RECIPE = """
student = "student"
seed = 3
initialisation = "none"
[task]
name = "additions.py:Additions"
[evaluation]
num_problems = 12
num_ood_problems = 5
samples_per_problem = 4
max_tokens = 16
"""
TASK = """
from tests.fakes import FakeTask
class Additions(FakeTask):
    def __init__(self, *, seed: int = 0, base: int = 10) -> None:
        pass
"""


@pytest.fixture(scope="module")
def checkpoint_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_checkpoint(tmp_path_factory.mktemp("made") / "student")
    byte_level_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, checkpoint_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, a student, and run "demo" with the checkpoints sft and step 10."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "additions.py").write_text(TASK)
    copy(checkpoint_files, tmp_path / "student")
    resolved = resolve_config(tmp_path / "recipe.toml", command=["tailor"])
    with RunFolder.create(tmp_path / "runs", resolved, name="demo") as run:
        checkpoints = CheckpointFolder(run.path / "checkpoints")
        for name, step in (("sft", 7), ("step-000005", 5), ("step-000010", 10)):
            copy(checkpoint_files, checkpoints.begin(name))
            checkpoints.commit(name, step=step, state={})
    return tmp_path


def copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def request(here: Path, target: str = "demo", **changes: Any) -> EvaluateRequest:
    typed = EvaluateRequest(
        target=target,
        checkpoint="latest",
        recipe=None,
        overrides=(),
        splits=(),
        num_problems=None,
        out=None,
        runs_dir=here / "runs",
        command=("tailor", "evaluate"),
    )
    return replace(typed, **changes)


class Engines:
    """Stands for Ray: remembers what was asked of it."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.pool = FakePool(fault=fault)
        self.weights = ""
        self.starts = 0

    def __call__(
        self,
        cfg: Any,
        work: Callable[[RolloutPool, Grader], Coroutine[Any, Any, None]],
        /,
        *,
        weights: str,
        on_failure: Callable[..., None],
        log: Callable[[str], None],
    ) -> None:
        self.starts += 1
        self.weights = weights
        assert (cfg.learner.ranks, cfg.initialisation) == (0, "none")
        asyncio.run(work(self.pool, FakeGrader()))


def evaluated(prepared: PreparedEvaluation, launch: Any = None) -> list[Any]:
    """The table of an evaluation that ends well."""
    execute(prepared, launch or Engines(), as_json=True)
    rows: list[Any] = json.loads((prepared.out / "table.json").read_text())
    return rows


# ----- what is evaluated


@pytest.mark.parametrize(
    ("target", "checkpoint", "folder", "stage", "step", "out"),
    [
        ("demo", "latest", "runs/demo/checkpoints/step-000010", "rl", 10, "demo-step-000010"),
        ("demo", "step-000005", "runs/demo/checkpoints/step-000005", "rl", 5, "demo-step-000005"),
        ("runs/demo", "sft", "runs/demo/checkpoints/sft", "sft", 0, "demo-sft"),
        ("demo", "student", "student", "base", 0, "demo-student"),
        ("runs/demo/checkpoints/sft", "latest", "runs/demo/checkpoints/sft", "sft", 0, "demo-sft"),
        ("student", "latest", "student", "checkpoint", 0, "student"),
    ],
)
def test_a_target_is_found_and_carries_the_stage_of_its_rows_in_the_run(
    here: Path, target: str, checkpoint: str, folder: str, stage: str, step: int, out: str
) -> None:
    recipe = Path("recipe.toml") if target == "student" else None
    prepared = prepare(request(here, target, checkpoint=checkpoint, recipe=recipe))
    assert prepared.subject.weights == (here / folder).resolve()
    engines = Engines()
    evaluated(prepared, engines)
    assert engines.weights == str(here / folder)
    assert prepared.out == here / "evaluations" / out
    results = read_results(prepared.out / "results.jsonl")
    assert {(r.stage, r.step) for r in results} == {(stage, step)}
    assert [r.split for r in results].count("test") == 12 and len(results) == 17


def test_a_damaged_checkpoint_is_passed_over_by_latest_and_refused_by_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "runs/demo/checkpoints/step-000010/tokenizer.json").write_text("{} ")
    assert prepare(request(here)).subject.step == 5
    assert "trying an earlier checkpoint" in capsys.readouterr().err
    with pytest.raises(RunFolderError, match=r"damaged: tokenizer\.json was changed"):
        prepare(request(here, checkpoint="step-000010"))
    (here / "runs/demo/checkpoints/sft/MANIFEST.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"damaged: MANIFEST\.json cannot be read"):
        prepare(request(here, "runs/demo/checkpoints/sft"))


def test_a_recipe_and_overrides_change_what_a_run_is_examined_on(here: Path) -> None:
    (here / "other.toml").write_text(RECIPE.replace("samples_per_problem = 4", "greedy = false"))
    prepared = prepare(
        request(
            here,
            recipe=Path("other.toml"),
            overrides=("evaluation.temperature=0.5",),
            num_problems=3,
            splits=("ood/large,test", "test"),
        )
    )
    rows = evaluated(prepared)
    splits = [row for row in rows if row["part"] == "split" and row["k"] == 1]
    assert [row["split"] for row in splits] == ["ood/large", "test"]
    assert {(row["num_problems"], row["num_samples"], row["metric"]) for row in splits} == {
        (3, 8, "accuracy")
    }
    assert {row["temperature"] for row in splits} == {0.5}


# ----- what is refused


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nothing"], "there is no run folder"),
        (["dem"], "did you mean runs/demo?"),
        (["demo", "--checkpoint", "step-00010"], "did you mean 'step-000010'?"),
        (["student", "--checkpoint", "sft"], "leave it out"),
        (["student"], "add --recipe"),
        (["student", "--recipe", "no.toml"], "there is no recipe no.toml"),
        (["demo", "--split", "ood/larg"], "did you mean 'ood/large'?"),
        (["demo", "--num-problems", "0"], "num-problems"),
        (["demo", "evaluation.smaples_per_problem=2"], "samples_per_problem"),
        (["demo", "evaluation.max_tokens=600"], "rollout.max_model_len=512"),
        (["demo", "rollout.engines=4096"], "cores"),
        (["demo", "task.options.bsae=2"], "did you mean 'base'?"),
        (["demo", "reward.weights.process=1"], "has no reward 'process'"),
        (["demo", "--out", "student"], "is no evaluation"),
        (["demo", "--out", "recipe.toml"], "is no evaluation"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    before = sorted(path for path in here.rglob("*") if "__pycache__" not in path.parts)
    assert main(["evaluate", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ") and output.err.count("\n") == 1
    assert part in output.err
    assert sorted(p for p in here.rglob("*") if "__pycache__" not in p.parts) == before


def test_a_run_without_checkpoints_says_what_can_be_evaluated(here: Path) -> None:
    resolved = resolve_config(here / "recipe.toml", command=["tailor"])
    with RunFolder.create(here / "runs", resolved, name="new"):
        pass
    with pytest.raises(RunFolderError, match=r"no checkpoint that verifies.*--checkpoint student"):
        prepare(request(here, "new"))
    assert prepare(request(here, "new", checkpoint="student")).subject.stage == "base"


def test_learners_that_this_machine_cannot_carry_do_not_matter(here: Path) -> None:
    many = ("learner.ranks=32", "learner.gpus_per_rank=8")
    prepared = prepare(request(here, overrides=many))
    assert (prepared.config.learner.ranks, prepared.config.initialisation) == (0, "none")


# ----- going on


def test_a_killed_evaluation_goes_on_and_ends_like_one_that_was_not(here: Path) -> None:
    whole = evaluated(prepare(request(here, out=here / "whole")))
    prepared = prepare(request(here, out=here / "parts"))
    with pytest.raises(typer.Exit):  # a defect: exit code 1, told on stderr
        evaluated(prepared, Engines(Fault(kill_at=15)))
    first = read_results(here / "parts" / "results.jsonl")
    assert 0 < len(first) < 17
    with (here / "parts" / "results.jsonl").open("a") as file:
        file.write('{"stage": "rl", "st')  # a kill in the middle of a line
    rest = Engines()
    assert evaluated(prepare(request(here, out=here / "parts")), rest) == whole
    assert not {result.problem_id for result in first} & set(rest.pool.started)
    results = read_results(here / "parts" / "results.jsonl")
    assert results[: len(first)] == first
    assert len({(r.split, r.problem_id) for r in results}) == len(results) == 17
    samples = (here / "parts" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == 8 + 5  # the first eight of test, all five out of distribution


def test_a_finished_evaluation_starts_no_engine(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(prepare(request(here)))
    capsys.readouterr()
    engines = Engines()
    assert evaluated(prepare(request(here)), engines) == rows
    output = capsys.readouterr()
    assert engines.starts == 0
    assert json.loads(output.out) == rows
    assert "every problem is done already" in output.err


def test_more_problems_and_splits_may_be_asked_for_later(here: Path) -> None:
    evaluated(prepare(request(here, num_problems=4, splits=("test",))))
    engines = Engines()
    rows = evaluated(prepare(request(here, num_problems=6)), engines)
    assert len(engines.pool.started) == 2 * (2 + 6)  # samples and greedy answers
    counts = {row["split"]: row["num_problems"] for row in rows if row["part"] == "split"}
    assert counts == {"test": 6, "ood/large": 6}
    few = evaluated(prepare(request(here, num_problems=2, splits=("test",))))
    assert {row["num_problems"] for row in few if row["part"] == "split"} == {2}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"overrides": ("seed=4",)}, "seed is 3 there and 4 here"),
        ({"overrides": ("evaluation.temperature=0.5",)}, "evaluation.temperature is 1.0 there"),
        ({"overrides": ("task.options.base=8",)}, "task.options.base is absent there and 8 here"),
        ({"checkpoint": "sft"}, "it is of "),
    ],
)
def test_another_evaluation_in_the_same_folder_is_refused(
    here: Path, changes: dict[str, Any], part: str
) -> None:
    evaluated(prepare(request(here, out=here / "out")))
    with pytest.raises(RunFolderError, match="choose another folder") as caught:
        prepare(request(here, out=here / "out", **changes))
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_how_fast_problems_are_done_may_change(here: Path) -> None:
    evaluated(prepare(request(here)))
    faster = prepare(request(here, overrides=("rollout.threads=2", "rl.num_steps=9")))
    before = (faster.out / "results.jsonl").read_bytes()
    evaluated(faster)
    assert (faster.out / "results.jsonl").read_bytes() == before != b""


def test_two_evaluations_do_not_fill_one_folder(here: Path) -> None:
    prepared = prepare(request(here))
    with (
        EvaluationFolder.open(prepared.out, prepared.record),
        pytest.raises(RunFolderError, match="another `tailor evaluate`"),
    ):
        evaluated(prepare(request(here)))


# ----- what is written and shown


def test_the_folder_says_what_was_evaluated_and_how(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = prepare(request(here))
    execute(prepared, Engines(), as_json=False)
    record = json.loads((prepared.out / "evaluation.json").read_text())
    assert record["target"] == "demo" and record["splits"] == ["test", "ood/large"]
    assert record["checkpoint"]["folder"] == str(here / "runs/demo/checkpoints/step-000010")
    assert len(record["checkpoint"]["checksum"]) == 32
    assert record["recipe"]["config"]["seed"] == 3 and record["recipe"]["fingerprint"]
    assert record["command"] == ["tailor", "evaluate"]
    assert "python" in record["environment"]
    shown = capsys.readouterr().out
    text = (prepared.out / "table.md").read_text()
    assert text.startswith("# demo-step-000010\n")
    for word in ("greedy", "pass@1", "pass@2", "pass@4", "Wilson", "by difficulty", "large"):
        assert word in shown and word in text
    assert "evaluate test 12/12" in shown


def test_a_task_that_cannot_be_graded_is_told_and_its_answers_are_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def bench(problem: Problem, texts: Sequence[str]) -> list[Grade | GradeFailure]:
        return [GradeFailure(problem.id, text, "no luck") for text in texts]

    def launch(cfg: Any, work: Any, /, *, on_failure: Any, **_: Any) -> None:
        grader = CountingGrader(bench, max_error_share=0.1, on_failure=on_failure)
        asyncio.run(work(FakePool(), grader))

    prepared = prepare(request(here))
    with pytest.raises(typer.Exit) as caught:
        execute(prepared, launch, as_json=False)
    assert caught.value.exit_code == 3
    assert "no luck" in capsys.readouterr().err
    assert "no luck" in (prepared.out / "grade_failures.jsonl").read_text()
    assert "Traceback" in (prepared.out / "error.log").read_text()


def test_an_engine_that_dies_is_a_sentence_and_a_way_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(*_: Any, **__: Any) -> None:
        raise EngineError("rollout engine 0 died:\nout of memory")

    with pytest.raises(typer.Exit) as caught:
        execute(prepare(request(here)), launch, as_json=False)
    assert caught.value.exit_code == 3
    assert capsys.readouterr().err == (
        "error: rollout engine 0 died: out of memory\n"
        "go on with the same command: what is done stays done\n"
    )


def test_wrong_input_found_by_the_launcher_leaves_no_folder(here: Path) -> None:
    def launch(*_: Any, **__: Any) -> None:
        raise ConfigError("too small")

    with pytest.raises(ConfigError):
        execute(prepare(request(here)), launch, as_json=False)
    assert not (here / "evaluations" / "demo-step-000010").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_an_evaluation(
    here: Path, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    def launch(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), number)
        signal.pause()

    with pytest.raises(typer.Exit) as caught:
        execute(prepare(request(here)), launch, as_json=False)
    assert caught.value.exit_code == code
    assert (
        capsys.readouterr().err == "stopped; go on with the same command: what is done stays done\n"
    )
