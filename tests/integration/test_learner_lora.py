"""LoRA in real DeepSpeed ranks: adapters that only the learner sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learners.group import LearnerGroup
from tailor_rl.config.learning import LoRAConfig, RLConfig, SFTConfig
from tailor_rl.errors import TailorError
from tailor_rl.types import Batch, Update
from tailor_rl.weights import WeightBundle, unpack
from tests.learner_processes import RankProcesses
from tests.learner_reference import make_batch

OPTIMIZER = {"learning_rate": 1e-2, "warmup_steps": 0, "max_grad_norm": 0.5}
SFT = SFTConfig(**OPTIMIZER)
RL = RLConfig(**OPTIMIZER, algorithm="grpo", kl_coefficient=0.05, temperature=0.8)
LORA = LoRAConfig(rank=4, alpha=8.0)
# (ranks, ZeRO stage, tokens of a micro-batch, gradient checkpointing)
CUTS = [
    (1, 0, 1, False),
    (1, 0, 60, True),
    (1, 1, 60, False),
    (1, 2, 60, False),
    (1, 3, 60, False),
    (2, 0, 60, False),
    (2, 1, 40, False),
    (2, 2, 40, True),
    (2, 3, 10_000, False),
    (2, 3, 40, True),
]


async def group_of(processes: RankProcesses, student: Path, **settings: Any) -> LearnerGroup:
    values = {"zero_stage": 0, "micro_batch_tokens": 60, "lora": LORA, **settings}
    return LearnerGroup(await processes.start(student=str(student), **values), sft=SFT, rl=RL)


class Sink:
    bundle: Any = None

    async def offer(self, payload: Any) -> None:
        self.bundle = payload

    async def accept(self) -> Any:
        return self.bundle


async def weights_of(group: LearnerGroup) -> dict[str, torch.Tensor]:
    sink = Sink()
    await group.send(await group.version(), sink)
    assert isinstance(sink.bundle, WeightBundle)
    return {name: unpack(packed) for name, packed in sink.bundle.tensors.items()}


async def learn(group: LearnerGroup, batch: Batch) -> Update:
    scores = await group.score(batch)
    batch = replace(batch, reference_logprobs=scores.reference_logprobs)
    return await group.policy_step(batch, kl_coefficient=0.05)


def logprobs_of(folder: Path, batch: Batch, temperature: float) -> np.ndarray:
    """By transformers alone, from a saved model."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.from_numpy(batch.tokens)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[:, :-1] / temperature
    picked = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return torch.nn.functional.pad(picked, (1, 0)).numpy() * batch.mask


@pytest.fixture(scope="module")
async def uncut(
    processes: dict[int, RankProcesses], student: Path
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """One rank, one micro-batch: what every cut must come to."""
    return await trained(processes[1], student, micro_batch_tokens=10_000)


async def trained(
    processes: RankProcesses, student: Path, **settings: Any
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Adam's first moments after two policy steps (B is zero before the first), and metrics."""
    group = await group_of(processes, student, **settings)
    await group.begin_rl(num_steps=10)
    updates = [await learn(group, make_batch(step)) for step in range(2)]
    moments = (await processes.all("first_moments"))[0]
    return moments, [dict(update.metrics) for update in updates]


@pytest.mark.parametrize(("ranks", "zero_stage", "micro_batch_tokens", "checkpointing"), CUTS)
async def test_no_cut_changes_the_gradient_of_an_adapter(
    processes: dict[int, RankProcesses],
    student: Path,
    uncut: tuple[dict[str, np.ndarray], list[dict[str, float]]],
    ranks: int,
    zero_stage: int,
    micro_batch_tokens: int,
    checkpointing: bool,
) -> None:
    moments, metrics = await trained(
        processes[ranks],
        student,
        zero_stage=zero_stage,
        micro_batch_tokens=micro_batch_tokens,
        gradient_checkpointing=checkpointing,
    )
    assert moments.keys() == uncut[0].keys()
    assert all("lora_" in name for name in moments)
    difference = sum(float(((moments[n] - uncut[0][n]) ** 2).sum()) for n in moments)
    size = sum(float((uncut[0][n] ** 2).sum()) for n in moments)
    assert (difference / size) ** 0.5 < 1e-5
    for ours, theirs in zip(metrics, uncut[1], strict=True):
        assert ours["kl_reference"] == pytest.approx(theirs["kl_reference"], rel=1e-4, abs=1e-8)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5)
    assert metrics[0]["kl_reference"] == 0.0 < metrics[1]["kl_reference"]


@pytest.mark.parametrize(("ranks", "zero_stage"), [(1, 0), (1, 1), (2, 2), (2, 3)])
async def test_merged_weights_say_what_the_adapted_model_says(
    processes: dict[int, RankProcesses],
    student: Path,
    tmp_path: Path,
    ranks: int,
    zero_stage: int,
) -> None:
    """...and the reference is the model at the beginning of the stage."""
    group = await group_of(processes[ranks], student, zero_stage=zero_stage)
    await group.begin_sft(num_steps=3)
    for step in range(3):
        await group.sft_step(make_batch(step))
    await group.save(tmp_path / "sft")
    await group.begin_rl(num_steps=3)
    await learn(group, make_batch(3))
    await group.save(tmp_path / "rl")
    batch = make_batch(4)
    scores = await group.score(batch)
    policy = logprobs_of(tmp_path / "rl", batch, 0.8)
    reference = logprobs_of(tmp_path / "sft", batch, 0.8)
    assert np.abs(scores.learner_logprobs - policy).max() < 1e-5
    assert np.abs(scores.reference_logprobs - reference).max() < 1e-5
    assert np.abs(policy - reference).max() > 1e-2


async def test_only_layers_with_an_adapter_move_and_under_their_hugging_face_names(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    lora = LORA.model_copy(update={"targets": ("q_proj", "layers.1.mlp.down_proj")})
    group = await group_of(processes[1], student, lora=lora)
    before = await weights_of(group)
    await group.begin_sft(num_steps=3)
    assert same(await weights_of(group), before) == set(before)
    for step in range(2):
        await group.sft_step(make_batch(step))
    after = await weights_of(group)
    assert set(before) - same(after, before) == {
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.self_attn.q_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
    }


def same(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> set[str]:
    assert some.keys() == others.keys()
    return {name for name in some if torch.equal(some[name], others[name])}


async def test_a_target_that_is_no_layer_is_refused_with_the_layers_there_are(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    for target in ("query", "lm_head", "proj"):
        lora = LoRAConfig(rank=2, targets=("q_proj", target))
        group = await group_of(processes[1], student, lora=lora)
        with pytest.raises(TailorError, match=f"names '{target}', which is no .*down_proj, gate"):
            await group.begin_sft(num_steps=3)


@pytest.mark.parametrize(
    ("ranks", "zero_stage", "dtype", "algorithm"),
    [
        (1, 0, "float32", "grpo"),
        (2, 2, "float32", "grpo"),
        (2, 3, "float32", "ppo"),
        (2, 1, "bfloat16", "ppo"),
        (2, 3, "bfloat16", "grpo"),
    ],
)
async def test_restored_adapters_and_critic_go_on_bit_by_bit(
    processes: dict[int, RankProcesses],
    student: Path,
    tmp_path: Path,
    ranks: int,
    zero_stage: int,
    dtype: str,
    algorithm: str,
) -> None:
    rl = RL.model_copy(update={"algorithm": algorithm})

    async def fresh() -> LearnerGroup:
        settings = {"zero_stage": zero_stage, "dtype": dtype}
        group = await group_of(processes[ranks], student, **settings)
        group = LearnerGroup(processes[ranks].handles, sft=SFT, rl=rl)
        await group.begin_rl(num_steps=10)
        return group

    async def step(group: LearnerGroup, seed: int) -> dict[str, float]:
        batch = make_batch(seed)
        scores = await group.score(batch)
        returns = np.where(batch.mask, np.float32(seed % 2), 0).astype(np.float32)
        returns = returns + batch.advantages
        batch = replace(batch, old_values=scores.values, returns=returns)
        batch = replace(batch, reference_logprobs=scores.reference_logprobs)
        metrics = (await group.policy_step(batch, kl_coefficient=0.05)).metrics
        return {name: value for name, value in metrics.items() if "second" not in name}

    group = await fresh()
    for seed in range(2):
        await step(group, seed)
    await group.save(tmp_path)
    straight = [await step(group, seed) for seed in (2, 3)]
    end = await group.version()

    group = await fresh()
    await group.restore(tmp_path)
    assert [await step(group, seed) for seed in (2, 3)] == straight
    again = await group.version()
    assert (again.step, again.checksum) == (end.step, end.checksum)
    assert ("critic_grad_norm" in straight[0]) is (algorithm == "ppo")
