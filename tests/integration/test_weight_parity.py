"""Log-probabilities of engine, transformers and learner agree, before and after a weight sync."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actors.engine import RolloutEngine
from actors.handles import RawRollout, ReceiveReport
from learners.forward import PolicyModel, trained_tokens
from learners.packing import micro_batches, shard_batch
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.types import Batch
from tailor_rl.weights import WeightBundle
from tests.integration.engine_process import (
    EngineProcess,
    bundle_of,
    load_model,
    moved,
    worst_difference,
)
from tests.tiny import make_student

PROMPT = tuple(range(40, 70))
TEMPERATURES = (1.0, 0.7)
TOLERANCE = 1e-4  # 1e-6 is seen
BFLOAT16_WORST, BFLOAT16_MEAN = 0.04, 0.005  # 0.011 and 0.0011 are seen


async def sample(engine: RolloutEngine, temperature: float) -> list[RawRollout]:
    return await engine.generate(
        PROMPT, num=4, temperature=temperature, top_p=1.0, max_tokens=40, seed=1, stall_s=60
    )


async def sync(engine: RolloutEngine, bundle: WeightBundle) -> ReceiveReport:
    return await engine.receive(bundle, deadline_s=60)


@pytest.mark.parametrize(("family", "tied"), [("qwen2", True), ("qwen2", False), ("llama", True)])
def test_engine_and_transformers_agree_before_and_after_every_sync(
    tmp_path: Path, family: str, tied: bool
) -> None:
    make_student(tmp_path, family=family, tied=tied)  # type: ignore[arg-type]
    model = load_model(tmp_path)
    engine = EngineProcess(tmp_path)
    try:
        for step in range(3):
            stale = None
            if step:
                before = engine.run(sample, 1.0)
                report = engine.run(sync, bundle_of(moved(model, seed=step), step))
                assert report.canary_difference < TOLERANCE
                stale = worst_difference(model, PROMPT, before, temperature=1.0)
            for temperature in TEMPERATURES:
                rollouts = engine.run(sample, temperature)
                assert {(r.first_version, r.last_version) for r in rollouts} == {(step, step)}
                difference = worst_difference(model, PROMPT, rollouts, temperature=temperature)
                assert difference < TOLERANCE
                for packed in (False, True):
                    assert (
                        learner_difference(model, rollouts, temperature=temperature, packed=packed)
                        < TOLERANCE
                    )
            # The law means something only if the weights that were sent are far from the old ones.
            assert stale is None or stale > 100 * TOLERANCE
    finally:
        engine.close()


@pytest.mark.parametrize(("family", "tied"), [("qwen2", True), ("llama", False)])
def test_in_bfloat16_engine_and_learner_differ_by_rounding_alone(
    tmp_path: Path, family: str, tied: bool
) -> None:
    make_student(tmp_path, family=family, tied=tied)  # type: ignore[arg-type]
    model = moved(load_model(tmp_path), seed=1).bfloat16()
    model.save_pretrained(tmp_path)
    engine = EngineProcess(tmp_path, dtype="bfloat16")
    try:
        for temperature in TEMPERATURES:
            rollouts = engine.run(sample, temperature)
            for packed in (False, True):
                worst, mean = learner_differences(
                    model, rollouts, temperature=temperature, packed=packed
                )
                assert worst < BFLOAT16_WORST
                assert mean < BFLOAT16_MEAN
    finally:
        engine.close()


def learner_difference(
    model: Any, rollouts: Sequence[RawRollout], *, temperature: float, packed: bool
) -> float:
    return learner_differences(model, rollouts, temperature=temperature, packed=packed)[0]


@torch.no_grad()
def learner_differences(
    model: Any, rollouts: Sequence[RawRollout], *, temperature: float, packed: bool
) -> tuple[float, float]:
    """(largest, mean) |log-probability difference| of engine and learner, a token."""
    lengths = np.array([len(PROMPT) + len(rollout.token_ids) for rollout in rollouts])
    tokens = np.zeros((len(rollouts), lengths.max()), dtype=np.int64)
    logprobs = np.zeros(tokens.shape, dtype=np.float32)
    for row, rollout in enumerate(rollouts):
        own = slice(len(PROMPT), lengths[row])
        tokens[row, : lengths[row]] = [*PROMPT, *rollout.token_ids]
        logprobs[row, own] = rollout.logprobs
    columns = np.arange(tokens.shape[1])
    mask = (columns >= len(PROMPT)) & (columns < lengths[:, None])
    zeros = np.zeros(tokens.shape, dtype=np.float32)
    batch = Batch(tokens, mask, logprobs, zeros, lengths)
    (shard,) = shard_batch(batch, token_mean(mask), num_ranks=1)
    differences = []
    for micro in micro_batches(shard, max_tokens=200, packed=packed):
        said = trained_tokens(
            PolicyModel(model), micro, temperature=temperature, device=torch.device("cpu")
        )
        differences.append(said.logprobs - said.must(micro, "rollout_logprobs"))
    every = torch.cat(differences).abs()
    assert len(every) == mask.sum()
    return float(every.max()), float(every.mean())
