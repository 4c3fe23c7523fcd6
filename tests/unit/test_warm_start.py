"""SFT: what is measured and kept on the way, and that a kill at any point changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.config.checks import check_options
from tailor_rl.config.load import differences
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, RunFolderError, TailorError
from tailor_rl.kit import Kit
from tailor_rl.pipeline import train
from tailor_rl.stages.best import lowest_loss_step, most_accurate_step
from tailor_rl.stages.measure import examiner_of
from tailor_rl.stages.warm_start import set_aside, warm_start
from tailor_rl.types import Batch, Demonstration, Evaluation, WeightVersion
from tests.fake_journal import FakeJournal, Records
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

TRACES = [f"{number}+{number}" for number in range(13)]


class ScriptedLearner(FakeLearner):
    """Its held-out loss is as written, by the number of steps made; else it sinks."""

    def __init__(self, fault: Fault | None, losses: Mapping[int, float], note: str | None) -> None:
        super().__init__(fault)
        self._losses = losses
        self._note = note
        self.held_out_sizes: list[int] = []

    async def restore(self, folder: Path) -> str | None:
        await super().restore(folder)
        return self._note

    async def sft_loss(self, batch: Batch) -> float:
        self.held_out_sizes.append(batch.num_sequences)
        return self._losses.get(self.step, 1.0 / (1 + self.step))


@dataclass
class Warm:
    """Warm starts in one run folder. 12 demonstrations are trained on in batches of 4, for 2 epochs
    of 3 steps.
    """

    folder: Path
    sft: dict[str, Any] = field(default_factory=dict)
    accuracy: bool = False
    losses: Mapping[int, float] = field(default_factory=dict)
    note: str | None = None  # what the learner says of what it restores

    def __post_init__(self) -> None:
        self.records = Records(self.folder)

    @property
    def cfg(self) -> RunConfig:
        cfg = make_config()
        sft = {"epochs": 2, "batch_size": 4, **self.sft}
        evaluation = cfg.evaluation.model_copy(update={"every": 2 if self.accuracy else 0})
        return cfg.model_copy(
            update={"sft": cfg.sft.model_copy(update=sft), "evaluation": evaluation}
        )

    def live(self, kill_at: int | None = None) -> ScriptedLearner:
        fault = Fault(kill_at)
        learner = ScriptedLearner(fault, self.losses, self.note)
        kit = Kit(
            cfg=self.cfg,
            task=FakeTask(),
            teacher=FakeTeacher(),
            pool=FakePool(fault=fault),
            grader=FakeGrader(),
            learner=learner,
            tokens=FakeTokens(),
            journal=FakeJournal(self.records, fault),
            train=train,
        )
        asyncio.run(warm_start(kit, demonstrations(), examiner_of(kit)))
        self.points = fault.points
        return learner

    def version(self) -> WeightVersion:
        learner = self.live()
        return WeightVersion(learner.step, learner.checksum)

    def kept(self) -> dict[str, int]:
        return {name: found.step for name, found in self.records.checkpoints.items()}

    def lasting(self) -> dict[str, Any]:
        rows = {name: [untimed(row) for row in rows] for name, rows in self.records.files.items()}
        ledger = {k: v for k, v in self.records.ledger.items() if not k.endswith("_lost")}
        return {**rows, "ledger": ledger}


def demonstrations() -> list[Demonstration]:
    """13, of 13 problems."""
    return [
        Demonstration(f"d{i}", f"p{i}", trace, trace[::-1], 1.0, "rule", None, 0, 0)
        for i, trace in enumerate(TRACES)
    ]


MEASURED = {"held_out": 1, "evaluate_every": 2, "checkpoint_every": 3}


def test_on_the_way_the_newest_and_the_best_are_kept_and_in_the_end_the_last_and_the_best(
    tmp_path: Path,
) -> None:
    warm = Warm(tmp_path, {**MEASURED, "keep": "last"}, losses={2: 0.5, 4: 0.3, 6: 0.4})
    learner = warm.live()
    assert warm.kept() == {"sft-000004": 4, "sft": 6}
    assert (learner.step, learner.held_out_sizes) == (6, [1, 1, 1])
    rows = [(row["step"], row.get("held_out_loss")) for row in warm.records.files["metrics"]]
    assert rows == [(1, None), (2, 0.5), (3, None), (4, 0.3), (5, None), (6, 0.4)]


def test_the_best_goes_on_to_rl_under_a_version_of_its_own(tmp_path: Path) -> None:
    best = Warm(tmp_path / "a", {**MEASURED, "num_steps": 4})
    at_4 = best.version()
    warm = Warm(tmp_path / "b", {**MEASURED, "keep": "best"}, losses={2: 0.5, 4: 0.3, 6: 0.4})
    learner = warm.live()
    # A cosine's end is at the last step, which a fake's checksum knows of.
    assert (learner.step, at_4.step) == (7, 4)
    assert learner.skill == pytest.approx(0.3 + 4 * 0.02)
    assert warm.kept() == {"sft-000006": 6, "sft": 4}
    assert any("hands on step 4" in line for line in warm.records.said)
    again = warm.live()
    assert (again.step, again.checksum, again.skill) == (7, learner.checksum, learner.skill)


def test_accuracy_decides_where_it_was_measured(tmp_path: Path) -> None:
    losses = {2: 0.1, 4: 0.3, 6: 0.4}
    warm = Warm(tmp_path, {**MEASURED, "keep": "best"}, accuracy=True, losses=losses)
    warm.live()
    rows = FakeJournal(warm.records).read("evaluations", Evaluation)
    assert [(row.stage, row.step) for row in rows] == [("sft", 2), ("sft", 4), ("sft", 6)]
    best = max(rows, key=lambda row: row.value)
    assert best.step != 2, "the draws of the fake pool would not tell loss and accuracy apart"
    assert warm.kept()["sft"] == best.step


def test_without_measurements_only_the_last_is_kept(tmp_path: Path) -> None:
    # 13 demonstrations: 4 steps an epoch.
    for number, every in enumerate((0, 2, 3, 8)):
        warm = Warm(tmp_path / str(number), {"checkpoint_every": every})
        warm.live()
        assert warm.kept() == {"sft": 8}


@pytest.mark.parametrize(
    ("changes", "accuracy"),
    [
        ({"keep": "last"}, False),
        ({"keep": "best"}, False),
        ({"keep": "best"}, True),
        ({"stop_at_accuracy": 0.5, "epochs": 4, "checkpoint_every": 1}, True),
        ({"checkpoint_every": 0, "evaluate_every": 0, "held_out": 0}, False),
    ],
)
def test_a_kill_at_any_point_of_sft_changes_nothing_in_the_end(
    tmp_path: Path, changes: dict[str, Any], accuracy: bool
) -> None:
    def warm(name: str) -> Warm:
        losses = {2: 0.5, 4: 0.3, 6: 0.4}
        return Warm(tmp_path / name, {**MEASURED, **changes}, accuracy, losses)

    whole = warm("whole")
    weights = whole.version()
    for kill_at in range(1, whole.points + 1):
        life = warm(str(kill_at))
        with pytest.raises(Killed):
            life.live(kill_at)
        assert life.version() == weights, kill_at
        assert life.lasting() == whole.lasting(), kill_at
        assert life.kept() == whole.kept(), kill_at
    if "stop_at_accuracy" in changes:
        assert whole.kept()["sft"] < 12, "it never became good enough: nothing was tested"


def test_a_resumed_sft_makes_no_step_up_to_its_checkpoint_again(tmp_path: Path) -> None:
    warm = Warm(tmp_path, {"checkpoint_every": 3})
    for kill_at in range(1, 200):
        try:
            warm.live(kill_at)
        except Killed:
            if "sft-000006" in warm.records.checkpoints:
                break
    assert warm.live().sft_sizes == [4, 1]  # steps 7 and 8


def test_what_keeps_a_resumed_sft_from_being_exact_is_said(tmp_path: Path) -> None:
    warm = Warm(tmp_path, {"checkpoint_every": 1}, note="learner.ranks was 1 and is 2")
    with pytest.raises(Killed):
        warm.live(16)
    assert "sft-000001" in warm.records.checkpoints
    assert warm.records.said == []
    warm.live()
    assert warm.records.said == ["learner.ranks was 1 and is 2"]


def test_a_run_goes_on_with_another_cut_of_the_learner_and_no_other_recipe() -> None:
    cfg = make_config()
    learner = {"ranks": 2, "zero_stage": 3, "micro_batch_tokens": 64, "threads": 2}
    other = cfg.model_copy(update={"learner": cfg.learner.model_copy(update=learner)})
    assert differences(cfg, other) == []
    exact = other.model_copy(
        update={"learner": other.learner.model_copy(update={"dtype": "bfloat16"})}
    )
    assert [key for key, *_ in differences(cfg, exact)] == ["learner.dtype"]


def test_what_a_kill_made_worthless_is_counted_in_a_row_of_its_own(tmp_path: Path) -> None:
    whole, killed = Warm(tmp_path / "a"), Warm(tmp_path / "b")
    whole.live()
    with pytest.raises(Killed, match="metrics"):
        killed.live(10)
    done = dict(killed.records.ledger["sft"])
    assert done["learner_tokens"] > 0
    killed.live()
    assert killed.records.ledger["sft"] == whole.records.ledger["sft"]
    assert killed.records.ledger["sft_lost"] == done


def test_a_lost_best_checkpoint_is_said_so(tmp_path: Path) -> None:
    warm = Warm(tmp_path, {**MEASURED, "keep": "best"}, losses={2: 0.1})
    for kill_at in range(1, 200):
        try:
            warm.live(kill_at)
        except Killed:
            if "sft-000003" in warm.records.checkpoints:
                break
    del warm.records.checkpoints["sft-000002"]
    with pytest.raises(RunFolderError, match=r"checkpoints/sft-000002\) is missing or damaged"):
        warm.live()


@given(
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=12),
    num=st.integers(0, 6),
    seed=st.integers(0, 9),
)
def test_held_out_problems_are_never_trained_on(counts: list[int], num: int, seed: int) -> None:
    made = [
        Demonstration(f"d{p}-{i}", f"p{p}", "q", "t", 1.0, "rule", None, 0, 0)
        for p, count in enumerate(counts)
        for i in range(count)
    ]
    try:
        held_out, trained = set_aside(made, num=num, seed=seed)
    except TailorError:
        assert sum(counts) - max(counts) < num  # else one problem could have been left
        return
    assert not {d.problem_id for d in held_out} & {d.problem_id for d in trained}
    assert sorted(d.id for d in (*held_out, *trained)) == sorted(d.id for d in made)
    assert len(held_out) >= num
    assert len(held_out) < num + max(counts)
    assert set_aside(made, num=num, seed=seed) == (held_out, trained)


def test_nothing_left_to_train_on_is_one_sentence() -> None:
    with pytest.raises(TailorError, match=r"sft\.held_out = 13 leaves none of the 13 .* smaller"):
        set_aside(demonstrations(), num=13, seed=0)


@pytest.mark.parametrize(
    ("sft", "every", "part"),
    [
        ({"evaluate_every": 2}, 0, "nothing to measure"),
        ({"held_out": 2}, 2, "set sft.evaluate_every"),
        ({"keep": "best"}, 2, "set sft.evaluate_every"),
        ({"held_out": 5, "evaluate_every": 1}, 2, "demonstrations.num_problems = 5"),
    ],
)
def test_measurements_that_cannot_be_made_are_found_before_the_start(
    sft: dict[str, Any], every: int, part: str
) -> None:
    cfg = make_config()
    cfg = cfg.model_copy(
        update={
            "sft": cfg.sft.model_copy(update=sft),
            "evaluation": cfg.evaluation.model_copy(update={"every": every}),
        }
    )
    with pytest.raises(ConfigError, match=part):
        check_options(cfg)


def accuracy(step: int, value: float, **changes: Any) -> Evaluation:
    fields: dict[str, Any] = {
        "stage": "rl", "step": step, "split": "validation", "metric": "accuracy", "k": 1,
        "value": value, "low": 0.0, "high": 1.0, "num_problems": 9, "num_samples": 1,
        "temperature": 1.0, "mean_tokens": 1.0, "truncated": 0.0, "weight_version": step,
    }  # fmt: skip
    return Evaluation(**{**fields, **changes})


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([], None),
        ([accuracy(0, 0.9)], None),  # the policy that RL began with
        ([accuracy(0, 0.9), accuracy(2, 0.5), accuracy(4, 0.6), accuracy(6, 0.6)], 4),
        ([accuracy(2, 0.5), accuracy(4, 0.9, split="test")], 2),
        ([accuracy(2, 0.5), accuracy(4, 0.9, metric="greedy")], 2),
        ([accuracy(2, 0.5), accuracy(4, 0.9, k=8)], 2),
        ([accuracy(2, 0.5), accuracy(4, 0.9, stage="sft")], 2),
    ],
)
def test_the_best_step_is_the_first_of_the_most_accurate_on_validation(
    rows: Sequence[Evaluation], best: int | None
) -> None:
    assert most_accurate_step(rows, stage="rl") == best


def test_the_lowest_loss_is_the_first_of_its_stage() -> None:
    rows: list[dict[str, Any]] = [
        {"stage": "sft", "step": 1, "loss": 0.1},
        {"stage": "sft", "step": 2, "held_out_loss": 0.5},
        {"stage": "sft", "step": 3, "held_out_loss": 0.5},
        {"stage": "rl", "step": 4, "held_out_loss": 0.1},
    ]
    assert lowest_loss_step(rows, stage="sft") == 2
    assert lowest_loss_step(rows[:1], stage="sft") is None


def test_rl_keeps_its_best_checkpoint_beside_the_newest(tmp_path: Path) -> None:
    cfg = make_config(initialisation="none")
    rl = {"keep_best": True, "num_steps": 7, "checkpoint_every": 7, "keep_checkpoints": 1}
    cfg = cfg.model_copy(
        update={
            "rl": cfg.rl.model_copy(update=rl),
            "evaluation": cfg.evaluation.model_copy(update={"every": 1}),
        }
    )
    life = Life.new(tmp_path)
    life.live(cfg)
    rows = FakeJournal(life.records).read("evaluations", Evaluation)
    best = most_accurate_step(rows, stage="rl")
    assert best is not None and best < 7, "the draws of the fake pool would not tell them apart"
    assert set(life.records.checkpoints) == {f"step-{best:06d}", "step-000007"}
