"""Real DeepSpeed ranks: whatever their number, ZeRO stage and micro-batches, the same learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from learners.group import LearnerGroup
from learners.packing import split_batch
from tailor_rl.batch import rows_of
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.types import Batch, Update
from tailor_rl.weights import WeightBundle, unpack
from tests.learner_processes import RankProcesses
from tests.learner_reference import (
    CUTS,
    OPTIMIZER,
    VARIANTS,
    VARIED_CUTS,
    Cut,
    Loss,
    PlainLearner,
    make_batch,
    relative_difference,
)
from tests.tiny import CHAT_TEMPLATE, make_student

SFT = SFTConfig(**OPTIMIZER, schedule="cosine")
RL = RLConfig(**OPTIMIZER, algorithm="grpo", clip_high=0.28, kl_coefficient=0.05, temperature=0.8)


class Sink:
    """A weight channel that keeps what was offered last."""

    bundle: Any = None

    async def offer(self, payload: Any) -> None:
        self.bundle = payload

    async def accept(self) -> Any:
        return self.bundle


async def bundle_of(group: LearnerGroup) -> WeightBundle:
    sink = Sink()
    await group.send(await group.version(), sink)
    bundle = sink.bundle
    assert isinstance(bundle, WeightBundle)
    return bundle


async def start(
    processes: dict[int, RankProcesses], student: Path, cut: Cut, *, rl: RLConfig = RL
) -> LearnerGroup:
    settings = asdict(cut)
    handles = await processes[settings.pop("ranks")].start(student=str(student), **settings)
    return LearnerGroup(handles, sft=SFT, rl=rl)


async def learn(group: LearnerGroup, batch: Batch, *, kl_coefficient: float = 0.05) -> Update:
    """A policy step with the KL term in the loss, where a reference is kept."""
    scores = await group.score(batch)
    batch = replace(batch, reference_logprobs=scores.reference_logprobs)
    return await group.policy_step(batch, kl_coefficient=kl_coefficient)


@pytest.fixture(scope="module")
def plain(student: Path) -> dict[str, Any]:
    """What a learner without cuts does: an SFT step; or, from the student, two policy steps."""
    supervised = PlainLearner(student)
    sft_norm = supervised.update(supervised.sft_loss(make_batch(0)), 5e-4)
    policy, loss = PlainLearner(student), Loss(kl_coefficient=0.05)
    losses, norms = [], []
    for step, learning_rate in enumerate([5e-4, 1e-3]):
        batch = make_batch(step)
        with torch.no_grad():
            reference = PlainLearner(student).logprobs(batch, 0.8)
        value = policy.policy_loss(batch, loss, reference=reference, proximal=reference)
        norms.append(policy.update(value, learning_rate))
        losses.append(value.item())
    return {
        "sft_norm": sft_norm,
        "sft_moments": supervised.first_moments(),
        "policy_losses": losses,
        "policy_norms": norms,
        "policy_weights": policy.weights(),
    }


@pytest.mark.parametrize("cut", CUTS, ids=str)
async def test_no_cut_changes_a_gradient_or_an_update(
    processes: dict[int, RankProcesses], student: Path, plain: dict[str, Any], cut: Cut
) -> None:
    group = await start(processes, student, cut)
    await group.begin_sft(num_steps=10)
    update = await group.sft_step(make_batch(0))
    moments = (await processes[cut.ranks].all("first_moments"))[0]
    assert relative_difference(moments, plain["sft_moments"]) < 1e-5
    assert update.metrics["grad_norm"] == pytest.approx(plain["sft_norm"], rel=1e-5)
    if cut.packing and cut.ranks == 1:  # no fill-ins
        assert update.metrics["padding"] == 0

    group = await start(processes, student, cut)
    await group.begin_rl(num_steps=10)
    for step in range(2):
        update = await learn(group, make_batch(step))
        assert update.metrics["loss"] == pytest.approx(plain["policy_losses"][step], rel=1e-4)
        assert update.metrics["grad_norm"] == pytest.approx(plain["policy_norms"][step], rel=1e-4)
    bundle = await bundle_of(group)
    weights = {name: unpack(packed).numpy() for name, packed in bundle.tensors.items()}
    assert relative_difference(weights, plain["policy_weights"]) < 1e-5


@pytest.mark.parametrize("cut", VARIED_CUTS, ids=str)
@pytest.mark.parametrize("variant", list(VARIANTS))
async def test_no_cut_changes_the_gradient_of_any_part_of_a_loss(
    processes: dict[int, RankProcesses], student: Path, variant: str, cut: Cut
) -> None:
    given, loss = VARIANTS[variant].recipe, VARIANTS[variant].loss
    batch = make_batch(5, supervised=VARIANTS[variant].supervised)
    plain = PlainLearner(student)
    with torch.no_grad():
        before = plain.logprobs(batch, 0.8)
    value = plain.policy_loss(batch, loss, reference=before, proximal=before)
    norm = plain.update(value, 1e-3)

    rl = RLConfig(**(OPTIMIZER | {"warmup_steps": 0}), temperature=0.8, **given)
    group = await start(processes, student, cut, rl=rl)
    await group.begin_rl(num_steps=10)
    if loss.recomputed:
        scores = await group.score(batch)
        assert np.abs(scores.learner_logprobs - before.numpy())[batch.mask].max() < 1e-5
        batch = replace(batch, proximal_logprobs=scores.learner_logprobs)
    update = await learn(group, batch, kl_coefficient=loss.kl_coefficient)
    moments = (await processes[cut.ranks].all("first_moments"))[0]
    assert relative_difference(moments, plain.first_moments()) < 1e-5
    assert update.metrics["grad_norm"] == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("cut", VARIED_CUTS, ids=str)
async def test_epochs_are_updates_on_the_same_batch(
    processes: dict[int, RankProcesses], student: Path, cut: Cut
) -> None:
    batch, loss = make_batch(5), Loss(token_mean=True)
    plain = PlainLearner(student)
    nothing = torch.zeros(batch.mask.shape)
    for _ in range(2):
        plain.update(plain.policy_loss(batch, loss, reference=nothing, proximal=nothing), 1e-3)

    rl = RLConfig(
        **(OPTIMIZER | {"warmup_steps": 0}), algorithm="dapo", temperature=0.8, epochs_per_step=2
    )
    group = await start(processes, student, cut, rl=rl)
    await group.begin_rl(num_steps=10)
    await learn(group, batch, kl_coefficient=0.0)
    bundle = await bundle_of(group)
    weights = {name: unpack(packed).numpy() for name, packed in bundle.tensors.items()}
    assert relative_difference(weights, plain.weights()) < 1e-5


async def test_the_order_of_sequences_changes_nothing(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    batch = make_batch(0)
    moments = []
    for order in (np.arange(7), np.random.default_rng(1).permutation(7)):
        group = await start(processes, student, Cut(2, 2, 60))
        await group.begin_sft(num_steps=10)
        await group.sft_step(rows_of(batch, order))
        moments.append((await processes[2].all("first_moments"))[0])
    assert relative_difference(*moments) < 1e-5


@pytest.mark.parametrize(("ranks", "zero_stage"), [(1, 1), (2, 1), (2, 2), (2, 3)])
async def test_bfloat16_gradients_differ_by_rounding_alone(
    processes: dict[int, RankProcesses],
    student: Path,
    plain: dict[str, Any],
    ranks: int,
    zero_stage: int,
) -> None:
    handles = await processes[ranks].start(
        student=str(student), zero_stage=zero_stage, micro_batch_tokens=40, dtype="bfloat16"
    )
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    await group.begin_sft(num_steps=10)
    update = await group.sft_step(make_batch(0))
    moments = (await processes[ranks].all("first_moments"))[0]
    # bfloat16 has 8 bits: 0.4 % an operation. A forgotten rank or micro-batch is 30 % and more.
    assert relative_difference(moments, plain["sft_moments"]) < 0.03
    assert update.metrics["grad_norm"] == pytest.approx(plain["sft_norm"], rel=0.01)
    weights = {name: packed.dtype for name, packed in (await bundle_of(group)).tensors.items()}
    assert set(weights.values()) == {"bfloat16"}


@pytest.mark.parametrize(
    ("ranks", "zero_stage", "dtype"),
    [
        (1, 0, "float32"),
        (2, 1, "float32"),
        (2, 2, "float32"),
        (2, 3, "float32"),
        (2, 1, "bfloat16"),
        (2, 2, "bfloat16"),
        (2, 3, "bfloat16"),
    ],
)
async def test_a_restored_learner_goes_on_bit_by_bit(
    processes: dict[int, RankProcesses],
    student: Path,
    tmp_path: Path,
    ranks: int,
    zero_stage: int,
    dtype: str,
) -> None:
    async def fresh_group() -> LearnerGroup:
        handles = await processes[ranks].start(
            student=str(student), zero_stage=zero_stage, micro_batch_tokens=60, dtype=dtype
        )
        return LearnerGroup(handles, sft=SFT, rl=RL)

    group = await fresh_group()
    await group.begin_sft(num_steps=3)
    await group.sft_step(make_batch(0))
    await group.begin_rl(num_steps=10)
    for step in range(2):
        await learn(group, make_batch(step))
    await group.save(tmp_path)
    saved = await group.version()
    straight = [await learn(group, make_batch(step)) for step in (2, 3)]
    end = await group.version()

    group = await fresh_group()
    await group.begin_rl(num_steps=10)
    await group.restore(tmp_path)
    restored = await group.version()
    assert (restored.step, restored.checksum) == (saved.step, saved.checksum) == (3, saved.checksum)
    resumed = [await learn(group, make_batch(step)) for step in (2, 3)]
    for one, other in zip(straight, resumed, strict=True):
        assert one.step == other.step
        assert timeless(one.metrics) == timeless(other.metrics)
    again = await group.version()
    assert (again.step, again.checksum) == (end.step, end.checksum)
    assert end.checksum != saved.checksum


@pytest.mark.parametrize(("ranks", "zero_stage"), [(1, 0), (2, 1), (2, 3)])
async def test_the_student_comes_back_as_it_was_under_a_version_of_its_own(
    processes: dict[int, RankProcesses], student: Path, ranks: int, zero_stage: int
) -> None:
    handles = await processes[ranks].start(
        student=str(student), zero_stage=zero_stage, micro_batch_tokens=60
    )
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    first = await group.version()

    async def trained() -> tuple[int, str]:
        await group.begin_sft(num_steps=3)
        update = await group.sft_step(make_batch(0))
        return update.step, (await group.version()).checksum

    step, checksum = await trained()
    await group.load(None, step=5)
    again = await group.version()
    assert (again.step, again.checksum) == (5, first.checksum)
    assert step == 1 and checksum != first.checksum
    assert await trained() == (6, checksum)


def timeless(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if "second" not in name}


@pytest.mark.parametrize(
    ("ranks", "zero_stage", "family", "tied"),
    [(1, 0, "qwen2", True), (2, 3, "qwen2", True), (2, 3, "llama", False), (2, 2, "llama", True)],
)
async def test_sent_weights_are_those_of_the_saved_model(
    processes: dict[int, RankProcesses],
    tmp_path: Path,
    ranks: int,
    zero_stage: int,
    family: Literal["qwen2", "llama"],
    tied: bool,
) -> None:
    """...under the names and values that transformers loads, with its log-probabilities."""
    student = make_student(tmp_path / "student", family=family, tied=tied)
    handles = await processes[ranks].start(
        student=str(student), zero_stage=zero_stage, micro_batch_tokens=60
    )
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    before = await bundle_of(group)
    assert before.version.step == 0
    assert_same_model(before, student, tied=tied)

    await group.begin_sft(num_steps=2)
    await group.sft_step(make_batch(0))
    after = await bundle_of(group)
    assert after.version.step == 1
    assert after.version.checksum != before.version.checksum
    await group.save(tmp_path / "saved")
    assert_same_model(after, tmp_path / "saved", tied=tied)

    await group.begin_rl(num_steps=2)
    unchanged = await group.version()
    assert (unchanged.step, unchanged.checksum) == (1, after.version.checksum)


def assert_same_model(bundle: WeightBundle, folder: Path, *, tied: bool) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = dict(model.named_parameters())
    assert bundle.tensors.keys() == expected.keys()
    assert ("lm_head.weight" in bundle.tensors) is not tied
    for name, packed in bundle.tensors.items():
        assert torch.equal(unpack(packed), expected[name]), name
    tokens = torch.tensor([bundle.canary_tokens])
    logprobs = model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
    said = logprobs.gather(-1, tokens[0, 1:, None]).squeeze(-1)
    assert torch.allclose(said, torch.tensor(bundle.canary_logprobs), atol=1e-5)
    assert AutoTokenizer.from_pretrained(folder).chat_template == CHAT_TEMPLATE


async def test_several_updates_a_step_are_several_steps_on_parts_of_the_batch(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    async def trained(batches: list[Batch], *, updates_per_step: int) -> tuple[int, WeightBundle]:
        changes = {"aggregation": "token_mean", "warmup_steps": 0, "kl_coefficient": 0.0}
        rl = RL.model_copy(update={**changes, "updates_per_step": updates_per_step})
        handles = await processes[1].start(
            student=str(student), zero_stage=0, micro_batch_tokens=10_000
        )
        group = LearnerGroup(handles, sft=SFT, rl=rl)
        await group.begin_rl(num_steps=10)
        for batch in batches:
            update = await learn(group, batch)
        return update.step, await bundle_of(group)

    batch = make_batch(0)
    step, together = await trained([batch], updates_per_step=2)
    steps, apart = await trained(split_batch(batch, 2), updates_per_step=1)
    assert (step, steps) == (1, 2)
    assert together.version.checksum == apart.version.checksum


async def test_rewards_that_are_no_numbers_stop_the_learner(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    handles = await processes[1].start(student=str(student), zero_stage=0, micro_batch_tokens=60)
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    await group.begin_rl(num_steps=2)
    batch = make_batch(0)
    batch.advantages[0] = np.nan
    with pytest.raises(LearnerError, match="gradient norm is nan"):
        await learn(group, batch)


async def test_a_killed_rank_is_a_learner_error_not_a_hang(student: Path) -> None:
    processes = RankProcesses(2)
    try:
        handles = await processes.start(student=str(student), zero_stage=2, micro_batch_tokens=60)
        group = LearnerGroup(handles, sft=SFT, rl=RL)
        await group.begin_sft(num_steps=2)
        handles[1].kill()
        with pytest.raises(LearnerError, match="rank"):
            await group.sft_step(make_batch(0))
    finally:
        processes.close()
