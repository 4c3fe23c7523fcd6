"""What a stage held is gone before the next one's model is read: both may not fit."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from learners.models import Models
from learners.packing import Shard, shard_batch
from learners.settings import StageSettings
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.config.learning import LoRAConfig, RLConfig, SFTConfig
from tests.learner_processes import RankProcesses
from tests.learner_reference import make_batch

SFT = StageSettings(config=SFTConfig(learning_rate=1e-3), num_steps=2)
PPO = StageSettings(config=RLConfig(algorithm="ppo", learning_rate=1e-3), num_steps=2)
LORA = LoRAConfig(rank=2)


@pytest.fixture(scope="module")
def processes() -> Iterator[RankProcesses]:
    started = RankProcesses(1)
    yield started
    started.close()


def held_by(engine: Any) -> list[weakref.ref[torch.Tensor]]:
    """Weights, master weights and moments of an engine."""
    optimizer = engine._engine.basic_optimizer
    tensors = list(engine.model.parameters())
    tensors += engine.optimizer_state._masters()
    tensors += [each for state in optimizer.state.values() for each in state.values()]
    return [weakref.ref(tensor) for tensor in tensors if isinstance(tensor, torch.Tensor)]


def left_over(rank: Any, stages: tuple[StageSettings, StageSettings]) -> tuple[int, int]:
    """(tensors of the first stage, those left when the second reads its model)."""
    # Only what is done on purpose counts: when Python would collect by itself is chance.
    gc.disable()
    load = Models.load
    left: list[int] = []

    def counting(models: Models, path: str) -> Any:
        left.append(sum(each() is not None for each in held))
        return load(models, path)

    first, second = stages
    rank.begin(first)
    shard = first_shard()
    if isinstance(first.config, SFTConfig):
        rank.sft_step(shard)
    else:
        rank.policy_step([shard], 0.0)
    held = [tensor for engine in rank._engines().values() for tensor in held_by(engine)]
    Models.load = counting  # type: ignore[method-assign, assignment]
    try:
        rank.begin(second)
    finally:
        Models.load = load  # type: ignore[method-assign]
        gc.enable()
    return len(held), left[0]


def first_shard() -> Shard:
    batch = make_batch(0)
    zeros = batch.rollout_logprobs * 0
    batch = replace(batch, returns=zeros, old_values=zeros)
    return shard_batch(batch, token_mean(batch.mask), num_ranks=1)[0]


@pytest.mark.parametrize("lora", [None, LORA], ids=["whole", "adapters"])
@pytest.mark.parametrize(
    ("zero_stage", "dtype"),
    [(0, "float32"), (1, "float32"), (2, "bfloat16"), (3, "float32"), (3, "bfloat16")],
)
@pytest.mark.parametrize("stages", [(SFT, PPO), (PPO, PPO)], ids=["sft-ppo", "ppo-ppo"])
async def test_a_new_stage_begins_with_nothing_of_the_old_one_in_memory(
    processes: RankProcesses,
    student: Path,
    stages: tuple[StageSettings, StageSettings],
    zero_stage: int,
    dtype: str,
    lora: LoRAConfig | None,
) -> None:
    settings: dict[str, Any] = {"zero_stage": zero_stage, "dtype": dtype, "lora": lora}
    await processes.start(student=str(student), micro_batch_tokens=60, **settings)
    [(before, after)] = await processes.all("do", left_over, stages)
    assert before > 20
    assert after == 0
