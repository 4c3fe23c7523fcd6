"""Out of memory in a pass: fewer tokens at a time, the same gradient; or one clear sentence."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learners.group import LearnerGroup
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tests.learner_processes import RankProcesses
from tests.learner_reference import make_batch, relative_difference
from tests.tiny import make_student

SFT = SFTConfig(learning_rate=1e-3, schedule="constant")
RL = RLConfig(algorithm="dapo", learning_rate=1e-3, warmup_steps=0, kl_coefficient=0.0)
BATCH = make_batch(0)


def fail_in_forward(rank: Any, *, at: int, only: int) -> None:
    """The `at`-th forward pass of rank `only` runs out of memory, and no other."""
    if rank._rank != only:
        return
    engine, count = rank._engine, [0]
    forward = type(engine).forward

    def fail(**inputs: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(engine, **inputs)

    engine.forward = fail


def fail_in_backward(rank: Any, *, at: int, only: int) -> None:
    """The same half-way through a backward pass, when the layers above have their gradients."""
    if rank._rank != only:
        return
    count = [0]

    def fail(grad: torch.Tensor) -> None:
        count[0] += 1
        if count[0] == at:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't "
                "allocate memory: you tried to allocate 1048576 bytes."
            )

    def watch(_: Any, __: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(fail)

    rank._model.base_model.layers[0].register_forward_hook(watch)


FAILURES = {"forward": fail_in_forward, "backward": fail_in_backward}


def arrange(rank: Any, failure: str, at: int, only: int) -> None:
    FAILURES[failure](rank, at=at, only=only)


async def start(
    processes: RankProcesses, student: Path, *, zero_stage: int, dtype: str = "float32"
) -> LearnerGroup:
    handles = await processes.start(
        student=str(student), zero_stage=zero_stage, micro_batch_tokens=60, dtype=dtype
    )
    group = LearnerGroup(handles, sft=SFT, rl=RL)
    await group.begin_sft(num_steps=10)
    return group


@pytest.mark.parametrize("failure", list(FAILURES))
@pytest.mark.parametrize(
    ("ranks", "zero_stage", "dtype"),
    [
        (1, 0, "float32"),
        (1, 1, "float32"),
        (1, 2, "float32"),
        (1, 1, "bfloat16"),
        (1, 2, "bfloat16"),
        (2, 0, "float32"),
        (2, 1, "float32"),
        (2, 1, "bfloat16"),
    ],
)
async def test_a_step_is_made_again_with_half_the_tokens_and_the_same_gradient(
    processes: dict[int, RankProcesses],
    student: Path,
    ranks: int,
    zero_stage: int,
    dtype: str,
    failure: str,
) -> None:
    """...also when one rank alone ran out of memory, and gradients were there already."""
    settings: dict[str, Any] = {"zero_stage": zero_stage, "dtype": dtype}
    group = await start(processes[ranks], student, **settings)
    straight = await group.sft_step(BATCH)
    expected = (await processes[ranks].all("first_moments"))[0]
    assert "micro_batch_tokens" not in straight.metrics

    group = await start(processes[ranks], student, **settings)
    await processes[ranks].all("do", arrange, failure, 2, ranks - 1)
    update = await group.sft_step(BATCH)
    moments = (await processes[ranks].all("first_moments"))[0]
    bound = 1e-5 if dtype == "float32" else 0.02
    assert relative_difference(moments, expected) < bound
    assert update.metrics["grad_norm"] == pytest.approx(straight.metrics["grad_norm"], rel=bound)
    assert update.metrics["loss"] == pytest.approx(straight.metrics["loss"], rel=1e-2)
    assert 15 <= update.metrics["micro_batch_tokens"] <= 30
    again = await group.sft_step(BATCH)
    assert again.metrics["micro_batch_tokens"] == update.metrics["micro_batch_tokens"]


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_resume_says_that_a_budget_was_halved_whichever_rank_it_was_on(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path, failing: int
) -> None:
    group = await start(processes[2], student, zero_stage=1)
    await processes[2].all("do", arrange, "forward", 2, failing)
    await group.sft_step(BATCH)
    await group.save(tmp_path / "checkpoint")
    resumed = await start(processes[2], student, zero_stage=1)
    note = await resumed.restore(tmp_path / "checkpoint")
    assert note is not None
    assert "micro_batch_tokens was" in note


@pytest.mark.parametrize("zero_stage", [2, 3])
@pytest.mark.parametrize("failure", list(FAILURES))
async def test_where_other_ranks_are_waiting_inside_one_sentence_names_the_key(
    student: Path, zero_stage: int, failure: str
) -> None:
    processes = RankProcesses(2)
    try:
        group = await start(processes, student, zero_stage=zero_stage)
        await processes.all("do", arrange, failure, 1, 1)
        with pytest.raises(LearnerError, match=r"set learner.micro_batch_tokens = 2\d \(it is 60"):
            await group.sft_step(BATCH)
    finally:
        processes.close()


async def test_scores_are_those_without_the_failure(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    group = await start(processes[2], student, zero_stage=1)
    expected = await group.score(BATCH)
    await processes[2].all("do", arrange, "forward", 2, 1)
    scores = await group.score(BATCH)
    difference = np.abs(scores.learner_logprobs - expected.learner_logprobs).max()
    assert difference < 1e-5
    update = await group.sft_step(BATCH)
    assert update.metrics["micro_batch_tokens"] < 60


def limit_memory(rank: Any, spare_mib: int) -> None:
    """This process gets no more address space than it has, and `spare_mib`."""
    status = Path("/proc/self/status").read_text()
    kib = int(next(line for line in status.splitlines() if line.startswith("VmSize")).split()[1])
    limit = (kib + 1024 * spare_mib) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


async def test_the_allocator_itself_refuses_and_the_step_is_made(tmp_path: Path) -> None:
    """A batch that takes 350 MiB at once, in 200 MiB."""
    student = make_student(tmp_path, hidden=128, max_length=1024)
    batch = make_batch(1, sequences=24, shortest=600, longest=600)
    rl = RL.model_copy(update={"temperature": 1.0})
    metrics = []
    for spare_mib in (None, 200):
        processes = RankProcesses(1)
        try:
            handles = await processes.start(
                student=str(student), zero_stage=0, micro_batch_tokens=100_000, packing=False
            )
            group = LearnerGroup(handles, sft=SFT, rl=rl)
            await group.begin_rl(num_steps=10)
            await group.policy_step(make_batch(2))  # what is allocated once, is allocated
            if spare_mib is not None:
                await processes.all("do", limit_memory, spare_mib)
            metrics.append((await group.policy_step(batch)).metrics)
        finally:
            processes.close()
    free, limited = metrics
    assert "micro_batch_tokens" not in free
    assert limited["micro_batch_tokens"] < 24 * 600
    for name in ("loss", "grad_norm", "entropy"):
        assert limited[name] == pytest.approx(free[name], rel=1e-4)
