"""SFT methods in real ranks: their gradients and features, whatever the cuts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from learners.group import LearnerGroup
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.methods.hooks import SFTMethod
from tailor_rl.methods.uds import Uds
from tests.learner_processes import RankProcesses
from tests.learner_reference import PlainLearner, make_batch, relative_difference

OPTIMIZER = {"learning_rate": 1e-3, "weight_decay": 0.01, "max_grad_norm": 0.5}
CUTS: list[dict[str, Any]] = [
    {"ranks": 1, "zero_stage": 0, "micro_batch_tokens": 10_000},
    {"ranks": 1, "zero_stage": 1, "micro_batch_tokens": 60, "packing": True},
    {"ranks": 2, "zero_stage": 2, "micro_batch_tokens": 40},
]
# About what the tiny student says itself, so that no bound of PEAR holds every token.
BATCH = make_batch(0)
BATCH = replace(BATCH, rollout_logprobs=(BATCH.rollout_logprobs + np.float32(0.2)) * BATCH.mask)


async def start(
    processes: dict[int, RankProcesses], student: Path, cut: dict[str, Any], **sft: object
) -> LearnerGroup:
    settings = {"packing": False, "attention": "sdpa", **cut}
    handles = await processes[settings.pop("ranks")].start(student=str(student), **settings)
    config = SFTConfig.model_validate({**OPTIMIZER, "schedule": "constant", **sft})
    group = LearnerGroup(handles, sft=config, rl=RLConfig())
    await group.begin_sft(num_steps=10)
    return group


@pytest.mark.parametrize("cut", CUTS, ids=str)
async def test_a_weighted_gradient_is_that_of_the_formula(
    processes: dict[int, RankProcesses], student: Path, cut: dict[str, Any]
) -> None:
    plain = PlainLearner(student)
    logprobs, losses, weights = plain.logprobs(BATCH, 1.0), [], []
    for row, mask in enumerate(torch.from_numpy(BATCH.mask)):
        own = logprobs[row][mask]
        deltas = own.detach() - torch.from_numpy(BATCH.rollout_logprobs)[row][mask]
        deltas = deltas.double().clamp(-0.08, 0.3)
        num = len(deltas)
        weights += [
            float(np.clip(0.9 ** (num - 1 - t) * deltas[t + 1 :].sum().exp().item(), 0.1, 10))
            for t in range(num)
        ]
        losses.append(-own)
    assert 0.1 < np.mean(weights) < 10 and len(set(weights)) > 50
    plain.update((torch.tensor(weights) * torch.cat(losses)).mean(), 1e-3)

    group = await start(processes, student, cut, method="pear", options={"gamma": 0.9})
    await group.sft_step(BATCH)
    moments = (await processes[cut["ranks"]].all("first_moments"))[0]
    assert relative_difference(moments, plain.first_moments()) < 1e-5


@pytest.mark.parametrize("cut", CUTS, ids=str)
async def test_features_are_those_of_the_trained_tokens_logits(
    processes: dict[int, RankProcesses], student: Path, cut: dict[str, Any]
) -> None:
    options = {"candidates": 2, "rows": 2, "columns": 3, "seed": 4}
    group = await start(processes, student, cut, method="uds", options=options)
    features = await group.sft_features(BATCH)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    method = Uds(**options)
    for row, length in enumerate(BATCH.lengths):
        tokens = torch.from_numpy(BATCH.tokens[row : row + 1, :length])
        with torch.no_grad():
            logits = model(input_ids=tokens).logits[0, 2:-1]  # what predicts tokens 3, 4, ...
        expected = method.features(logits, tokens[0, 3:]).numpy()
        assert features[row] == pytest.approx(expected, rel=1e-3, abs=1e-3)


class Thrice(SFTMethod):
    """The cross-entropy twice more, as a loss of its own."""

    def extra_losses(
        self,
        learner_logprobs_N: torch.Tensor,
        behaviour_logprobs_N: torch.Tensor,
        sequences_N: torch.Tensor,
    ) -> torch.Tensor:
        return -2 * learner_logprobs_N


async def test_an_extra_loss_adds_its_gradient(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    norms = {}
    for method in ("", f"{__name__}:Thrice"):
        group = await start(processes, student, CUTS[0], method=method)
        norms[method] = (await group.sft_step(BATCH)).metrics["grad_norm"]
    plain, thrice = norms.values()
    assert thrice == pytest.approx(3 * plain, rel=1e-5)


async def test_behaviour_without_a_folder_is_the_student_as_it_was(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    group = await start(processes, student, CUTS[0])
    with torch.no_grad():
        expected = (PlainLearner(student).logprobs(BATCH, 1.0).numpy()) * BATCH.mask
    for _ in range(2):
        said = await group.logprobs_of(None, BATCH)
        assert np.abs(said - expected).max() < 1e-5
        await group.sft_step(BATCH)


async def test_a_writer_of_another_vocabulary_is_refused(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    group = await start(processes, student, CUTS[0])
    other = Path(__file__).parents[2] / "students/knights-qwen2"
    with pytest.raises(LearnerError, match="vocabulary of"):
        await group.logprobs_of(other, BATCH)
