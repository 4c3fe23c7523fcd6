"""Real DeepSpeed ranks: whatever their number, ZeRO stage and micro-batches, the same learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from learners.group import LearnerGroup
from learners.packing import split_batch
from tailor_rl.config.schema import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.types import Batch, Update
from tailor_rl.weights import WeightBundle, unpack
from tests.learner_processes import RankProcesses
from tests.tiny import CHAT_TEMPLATE, VOCABULARY, make_student

OPTIMIZER = {"learning_rate": 1e-3, "warmup_steps": 2, "weight_decay": 0.01, "max_grad_norm": 0.5}
SFT = SFTConfig(**OPTIMIZER, schedule="cosine")
RL = RLConfig(**OPTIMIZER, algorithm="grpo", clip_high=0.28, kl_coefficient=0.05, temperature=0.8)
# (ranks, ZeRO stage, tokens of a micro-batch, gradient checkpointing)
CUTS = [
    (1, 0, 10_000, False),
    (1, 0, 1, False),
    (1, 1, 60, False),
    (1, 2, 60, False),
    (1, 3, 60, False),
    (2, 0, 60, False),
    (2, 1, 10_000, False),
    (2, 1, 40, False),
    (2, 2, 10_000, False),
    (2, 2, 40, False),
    (2, 3, 10_000, False),
    (2, 3, 40, False),
    (2, 3, 40, True),
]


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[int, RankProcesses]]:
    started = {num: RankProcesses(num) for num in (1, 2)}
    yield started
    for some in started.values():
        some.close()


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_student(tmp_path_factory.mktemp("student"))


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


async def learn(group: LearnerGroup, batch: Batch) -> Update:
    """A policy step with the KL term in the loss."""
    scores = await group.score(batch)
    batch = replace(batch, reference_logprobs=scores.reference_logprobs)
    return await group.policy_step(batch, kl_coefficient=0.05)


def make_batch(seed: int, *, sequences: int = 7, longest: int = 30) -> Batch:
    random = np.random.default_rng(seed)
    lengths = random.integers(8, longest + 1, sequences)
    tokens = random.integers(3, VOCABULARY, (sequences, longest))
    mask = np.zeros(tokens.shape, dtype=np.bool_)
    for row, length in enumerate(lengths):
        mask[row, 3:length] = True
    return Batch(
        tokens=tokens,
        mask=mask,
        rollout_logprobs=(random.normal(-5.5, 0.3, tokens.shape) * mask).astype(np.float32),
        advantages=(random.normal(size=(sequences, 1)) * mask).astype(np.float32),
        lengths=lengths,
    )


class PlainLearner:
    """The same updates without DeepSpeed, micro-batches or our losses: formulas written out."""

    def __init__(self, student: Path) -> None:
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=0.01)

    def logprobs(self, batch: Batch, temperature: float) -> torch.Tensor:
        tokens = torch.from_numpy(batch.tokens)
        logits = self.model(input_ids=tokens).logits[:, :-1] / temperature
        picked = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
        return torch.nn.functional.pad(picked, (1, 0))

    def update(self, loss: torch.Tensor, learning_rate: float) -> float:
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        return float(norm)

    def sft_loss(self, batch: Batch) -> torch.Tensor:
        mask = torch.from_numpy(batch.mask)
        return -self.logprobs(batch, 1.0)[mask].mean()

    def policy_loss(self, batch: Batch, reference: torch.Tensor) -> torch.Tensor:
        learner = self.logprobs(batch, 0.8)
        ratio = (learner - torch.from_numpy(batch.rollout_logprobs)).exp()
        advantages = torch.from_numpy(batch.advantages)
        surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages)
        kl = (reference - learner).exp() - (reference - learner) - 1
        losses = -surrogate + 0.05 * kl
        masks = torch.from_numpy(batch.mask)
        means = [row[mask].mean() for row, mask in zip(losses, masks, strict=True)]
        return torch.stack(means).mean()


@pytest.fixture(scope="module")
def plain(student: Path) -> dict[str, Any]:
    """What a learner without cuts does: an SFT step; or, from the student, two policy steps."""
    supervised = PlainLearner(student)
    sft_norm = supervised.update(supervised.sft_loss(make_batch(0)), 5e-4)
    policy = PlainLearner(student)
    losses, norms = [], []
    for step, learning_rate in enumerate([5e-4, 1e-3]):
        batch = make_batch(step)
        with torch.no_grad():
            reference = PlainLearner(student).logprobs(batch, 0.8)
        loss = policy.policy_loss(batch, reference)
        norms.append(policy.update(loss, learning_rate))
        losses.append(loss.item())
    return {
        "sft_norm": sft_norm,
        "sft_moments": {
            name: supervised.optimizer.state[p]["exp_avg"].numpy()
            for name, p in supervised.model.named_parameters()
        },
        "policy_losses": losses,
        "policy_norms": norms,
        "policy_weights": {n: p.detach().numpy() for n, p in policy.model.named_parameters()},
    }


def relative_difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    assert ours.keys() == theirs.keys()
    difference = sum(float(((ours[n] - theirs[n]).astype(np.float64) ** 2).sum()) for n in ours)
    size = sum(float((theirs[n].astype(np.float64) ** 2).sum()) for n in theirs)
    return float(np.sqrt(difference / size))


@pytest.mark.parametrize(("ranks", "zero_stage", "micro_batch_tokens", "checkpointing"), CUTS)
async def test_no_cut_changes_a_gradient_or_an_update(
    processes: dict[int, RankProcesses],
    student: Path,
    plain: dict[str, Any],
    ranks: int,
    zero_stage: int,
    micro_batch_tokens: int,
    checkpointing: bool,
) -> None:
    async def fresh_group() -> LearnerGroup:
        handles = await processes[ranks].start(
            student=str(student),
            zero_stage=zero_stage,
            micro_batch_tokens=micro_batch_tokens,
            gradient_checkpointing=checkpointing,
        )
        return LearnerGroup(handles, sft=SFT, rl=RL)

    group = await fresh_group()
    await group.begin_sft(num_steps=10)
    update = await group.sft_step(make_batch(0))
    moments = (await processes[ranks].all("first_moments"))[0]
    assert relative_difference(moments, plain["sft_moments"]) < 1e-5
    assert update.metrics["grad_norm"] == pytest.approx(plain["sft_norm"], rel=1e-5)

    group = await fresh_group()
    await group.begin_rl(num_steps=10)
    for step in range(2):
        update = await learn(group, make_batch(step))
        assert update.metrics["loss"] == pytest.approx(plain["policy_losses"][step], rel=1e-4)
        assert update.metrics["grad_norm"] == pytest.approx(plain["policy_norms"][step], rel=1e-4)
    bundle = await bundle_of(group)
    weights = {name: unpack(packed).numpy() for name, packed in bundle.tensors.items()}
    assert relative_difference(weights, plain["policy_weights"]) < 1e-5


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


async def test_a_checkpoint_of_another_cut_is_refused(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    handles = await processes[1].start(student=str(student), zero_stage=0, micro_batch_tokens=60)
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    await group.begin_sft(num_steps=2)
    await group.save(tmp_path)
    handles = await processes[1].start(student=str(student), zero_stage=1, micro_batch_tokens=60)
    other = LearnerGroup(handles, sft=SFT, rl=RL)
    await other.begin_sft(num_steps=2)
    with pytest.raises(LearnerError, match=r"ZeRO 0 in float32 and cannot .* ZeRO 1"):
        await other.restore(tmp_path)


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
