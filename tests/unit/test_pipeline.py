"""The pipeline page on fakes: what a run leaves behind, and that a kill changes nothing."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import GradeError, RunFolderError
from tailor_rl.kit import Kit
from tailor_rl.pipeline import tailor, train
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.screen import PlainScreen
from tailor_rl.summary import read_rows
from tailor_rl.types import Demonstration, Problem, WeightVersion
from tests.fake_journal import FakeJournal
from tests.fakes import (
    FakeGrader,
    FakeLearner,
    FakePool,
    FakeTask,
    FakeTeacher,
    FakeTokens,
    Fault,
    Killed,
)
from tests.lives import Life, make_config, untimed


def test_a_run_measures_base_sft_and_rl_and_leaves_everything_behind(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    weights, learner = life.live(make_config())
    both = ("accuracy", "greedy")
    assert life.keys("evaluations") == [
        *(("base", 0, split, metric, 1) for split in ("test", "ood/large") for metric in both),
        *(("sft", 0, split, metric, 1) for split in ("test", "ood/large") for metric in both),
        *(("rl", step, "validation", "accuracy", 1) for step in (0, 2, 4)),
        *(("rl", 4, split, metric, 1) for split in ("test", "ood/large") for metric in both),
    ]
    examined = [(row["split"], row["problem_id"]) for row in life.rows("results/eval-sft")]
    assert examined == [
        (split, f"addition:{split}:{i}") for split in ("test", "ood/large") for i in range(3)
    ]
    versions = {(r["stage"], r["step"]): r["weight_version"] for r in life.rows("evaluations")}
    # 5 demonstrations in batches of 2, 2 epochs: 6 steps.
    assert versions == {("base", 0): 0, ("sft", 0): 6, ("rl", 0): 6, ("rl", 2): 8, ("rl", 4): 10}
    assert weights == WeightVersion(10, learner.checksum)
    assert life.keys("metrics") == [
        *(("sft", step) for step in range(1, 7)),
        *(("rl", step) for step in range(1, 5)),
    ]
    assert list(life.records.checkpoints) == ["sft", "step-000004"]
    assert [len(life.rows(f)) for f in ("attempts", "primitives", "demonstrations")] == [6, 3, 5]
    assert life.records.started == [
        "evaluate_base", "attempt", "discover", "screen", "select", "demonstrate", "curate", "sft",
        "evaluate_sft", "rl", "evaluate_rl",
    ]  # fmt: skip
    assert set(life.records.finished) == set(life.records.started)
    assert {row["split"] for row in life.rows("samples/eval-rl")} == {"test", "ood/large"}
    assert {row["step"] for row in life.rows("samples/step-000001")} == {1}
    for step in (0, 2, 4):
        answers = life.rows(f"samples/validation-{step:06d}")
        asked = [f"addition:validation:{i}" for i in range(2)]
        assert [(row["step"], row["problem_id"]) for row in answers] == [(step, p) for p in asked]


def test_the_last_partial_batch_is_trained_on_and_every_epoch_sees_every_demonstration(
    tmp_path: Path,
) -> None:
    _, learner = Life.new(tmp_path).live(make_config())
    assert learner.sft_sizes == [2, 2, 1, 2, 2, 1]


def test_the_ledger_counts_what_each_stage_spent(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(make_config())
    ledger = life.records.ledger
    assert ledger["evaluate_base"]["rollouts"] == 12  # 2 splits, 3 problems, 1 sample, greedy
    assert ledger["attempt"] == {
        "problems": 3,
        "rollouts": 6,
        "generated_tokens": sum(row["num_tokens"] for row in life.rows("attempts")),
    }
    paid = ledger["discover"]["teacher_requests"] + ledger["demonstrate"]["teacher_requests"]
    assert paid == life.book.num_paid > 0
    tokens = ledger["discover"]["teacher_tokens"] + ledger["demonstrate"]["teacher_tokens"]
    assert tokens == sum(r.prompt_tokens + r.completion_tokens for r in life.book.replies.values())
    made = life.rows("demonstrations")
    characters = sum(len(row["prompt"]) + len(row["trace"]) + 1 for row in made)
    assert ledger["sft"] == {"learner_tokens": 2 * characters, "problems": 5}
    last = life.rows("metrics")[-1]
    assert ledger["rl"]["rollouts"] == last["spent_rollouts"] == 2 * last["spent_groups"]
    assert ledger["rl"]["generated_tokens"] == last["spent_tokens"]
    assert ledger["validation"]["rollouts"] == 6  # 3 points, 2 problems, 1 sample


def test_rl_never_meets_a_problem_that_was_demonstrated(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(make_config())
    shown = {row["problem_id"] for row in life.rows("demonstrations")}
    trained = {row["problem_id"] for row in life.rows("samples/step-000001")}
    assert shown and trained and not shown & trained


def test_step_metrics_speak_of_all_generated_groups(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(make_config())
    steps = [row for row in life.rows("metrics") if row["stage"] == "rl"]
    for row, before in zip(steps, [{"spent_groups": 0}, *steps], strict=False):
        groups = row["spent_groups"] - before["spent_groups"]
        assert row["informative"] == pytest.approx(2 / groups)
        assert row["lag_max"] == 0
        assert row["loss"] > 0
        assert row["seconds_rollout"] >= 0 and row["seconds_learn"] > 0 and row["seconds_sync"] > 0
        assert row["tokens_per_s"] > 0
        assert row["learner_seconds"] == 0.5


def test_without_a_warm_start_rl_begins_from_the_student(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    _, learner = life.live(make_config(initialisation="none"))
    assert life.records.started == ["evaluate_base", "rl", "evaluate_rl"]
    assert learner.reference == "student"
    assert life.book.num_paid == 0


def test_rule_based_demonstrations_are_those_of_the_tasks_own_solver(tmp_path: Path) -> None:
    life, taught = Life.new(tmp_path / "rule"), Life.new(tmp_path / "tailor")
    life.live(make_config(initialisation="rule_based"))
    taught.live(make_config())
    assert life.book.num_paid == 0
    made = FakeJournal(life.records).read("demonstrations", Demonstration)
    assert {d.origin for d in made} == {"rule"}
    problems = [row["problem_id"] for row in taught.rows("demonstrations")]
    assert [d.problem_id for d in made] == problems


def test_a_solver_that_contradicts_the_grader_is_an_error(tmp_path: Path) -> None:
    class Wrong(FakeTask):
        def rule_based_trace(self, problem: Problem) -> str:
            return problem.answer + " or so"

    with pytest.raises(GradeError, match="rule_based_trace"):
        Life.new(tmp_path).live(make_config(initialisation="rule_based"), task=Wrong())


def test_long_answers_are_punished_in_what_is_learnt_and_not_in_what_is_reported(
    tmp_path: Path,
) -> None:
    plain, punished = Life.new(tmp_path / "a"), Life.new(tmp_path / "b")
    _, one = plain.live(make_config())
    _, other = punished.live(make_config(overlong_buffer=7))
    assert one.checksum != other.checksum
    first, second = (life.rows("metrics")[6] for life in (plain, punished))
    assert (first["stage"], first["step"]) == ("rl", 1)
    assert first["reward"] == second["reward"]


@pytest.mark.parametrize("initialisation", ["tailor", "rule_based", "none"])
def test_a_finished_run_that_is_resumed_does_nothing_again(
    tmp_path: Path, initialisation: str
) -> None:
    life = Life.new(tmp_path)
    weights, _ = life.live(make_config(initialisation=initialisation))
    before, started, paid = life.lasting(), list(life.records.started), life.book.num_paid
    again, _ = life.live(make_config(initialisation=initialisation))
    assert (again, again.checksum) == (weights, weights.checksum)
    assert life.lasting() == before
    assert (life.records.started, life.book.num_paid) == (started, paid)


def count_points(cfg: RunConfig, folder: Path) -> int:
    fault = Fault()
    Life.new(folder).live(cfg, fault=fault)
    return fault.points


def killed_and_resumed(cfg: RunConfig, folder: Path, kill_at: int) -> tuple[Life, WeightVersion]:
    life = Life.new(folder)
    with pytest.raises(Killed):
        life.live(cfg, fault=Fault(kill_at))
    return life, life.live(cfg)[0]


def test_a_kill_at_any_point_changes_nothing_in_the_end(tmp_path: Path) -> None:
    cfg = make_config()
    whole = Life.new(tmp_path / "whole")
    weights, _ = whole.live(cfg)
    num_points = count_points(cfg, tmp_path / "count")
    for kill_at in range(1, num_points + 1):
        life, resumed = killed_and_resumed(cfg, tmp_path / str(kill_at), kill_at)
        assert (resumed, resumed.checksum) == (weights, weights.checksum), kill_at
        assert life.lasting() == whole.lasting(), kill_at
        assert set(life.records.checkpoints) == set(whole.records.checkpoints), kill_at
        assert set(life.records.finished.values()) == {1}, kill_at
        assert life.book.num_paid == whole.book.num_paid, kill_at


def test_two_kills_change_nothing_either(tmp_path: Path) -> None:
    cfg = make_config(initialisation="rule_based")
    whole = Life.new(tmp_path / "whole")
    whole.live(cfg)
    num_points = count_points(cfg, tmp_path / "count")
    life = Life.new(tmp_path / "twice")
    for kill_at in (num_points * 3 // 4, num_points // 4):
        with pytest.raises(Killed):
            life.live(cfg, fault=Fault(kill_at))
    life.live(cfg)
    assert life.lasting() == whole.lasting()


def test_with_lag_a_killed_run_still_ends_with_all_its_steps(tmp_path: Path) -> None:
    cfg = make_config(max_lag=2)
    num_points = count_points(cfg, tmp_path / "count")
    for kill_at in range(num_points // 2, num_points, 7):
        life, weights = killed_and_resumed(cfg, tmp_path / str(kill_at), kill_at)
        assert weights.step == 10
        steps = [row for row in life.rows("metrics") if row["stage"] == "rl"]
        assert [row["step"] for row in steps] == [1, 2, 3, 4]
        assert max(row["lag_max"] for row in steps) <= 2


def test_a_kill_changes_nothing_in_a_real_run_folder_either(tmp_path: Path) -> None:
    cfg = make_config()

    def live(folder: RunFolder, kill_at: int | None = None) -> dict[str, Any]:
        """Goes on in the folder, to the end or to a learner that is killed."""
        kit = Kit(
            cfg=cfg,
            task=FakeTask(),
            teacher=FakeTeacher(),
            pool=FakePool(),
            grader=FakeGrader(),
            learner=FakeLearner(Fault(kill_at)),
            tokens=FakeTokens(),
            journal=RunJournal(folder, PlainScreen(io.StringIO())),
            train=train,
        )
        asyncio.run(tailor(kit))
        path = folder.path
        rows = {str(p.relative_to(path)): read_rows(p) for p in path.rglob("*.jsonl")}
        return {name: sorted(map(untimed, rows[name]), key=repr) for name in rows}

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    with RunFolder(tmp_path / "whole", cfg, lock=os.open(tmp_path, os.O_RDONLY)) as folder:
        whole = live(folder)
    with RunFolder(tmp_path / "killed", cfg, lock=os.open(tmp_path, os.O_RDONLY)) as folder:
        for kill_at in (6, 15, 14):  # in SFT, in RL before its first checkpoint, and after it
            with pytest.raises(Killed, match="sft_step" if kill_at == 6 else "policy_step"):
                live(folder, kill_at)
        assert live(folder) == whole
    assert len(whole["evaluations.jsonl"]) == 15


@pytest.mark.parametrize("lost", ["sft", "step-000004"])
def test_a_lost_checkpoint_of_a_finished_stage_is_said_so(tmp_path: Path, lost: str) -> None:
    life = Life.new(tmp_path)
    life.live(make_config())
    del life.records.checkpoints[lost]
    with pytest.raises(RunFolderError, match="missing or damaged"):
        life.live(make_config())
