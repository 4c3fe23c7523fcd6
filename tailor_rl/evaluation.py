"""What a policy can do: accuracy and pass@k on one split, with intervals over problems.

Knows nothing about learners, run folders or which weights the engines hold: the caller says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.concurrency import rollout_slots, together
from tailor_rl.grading import grade
from tailor_rl.protocols import RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import bootstrap_interval, pass_at_k, wilson_interval
from tailor_rl.types import Evaluation, Interval, Problem, Rollout, Sampling

NUM_TRACES = 8  # problems of a split whose first sample is kept for people to read


@dataclass(frozen=True, slots=True)
class Trace:
    """One graded rollout, for people: a row of samples/*.jsonl."""

    stage: str
    step: int
    split: str
    problem_id: str
    prompt: str
    answer: str
    text: str
    reward: float


def trace(problem: Problem, rollout: Rollout, reward: float, *, stage: str, step: int) -> Trace:
    return Trace(
        stage=stage,
        step=step,
        split=problem.split,
        problem_id=problem.id,
        prompt=problem.prompt,
        answer=problem.answer,
        text=rollout.text,
        reward=reward,
    )


@dataclass(frozen=True, slots=True)
class _Graded:
    problem: Problem
    rollouts: tuple[Rollout, ...]
    rewards: tuple[float, ...]


async def evaluate(
    task: Task,
    split: str,
    pool: RolloutPool,
    *,
    num_problems: int,
    samples: int,
    sampling: Sampling,
    seed: int,
    stage: str,
    step: int,
    weight_version: int,
    ks: Sequence[int] = (1, 8),
    on_progress: Callable[[int, int], None] | None = None,
    on_trace: Callable[[Trace], None] | None = None,
) -> list[Evaluation]:
    """Rows for one split: "accuracy" where k = 1 (pass@1, the mean over samples), else "pass@k".

    Problems 0 .. num_problems - 1 and the draws depend on (seed, split) alone, so that stages are
    compared on the same problems. Intervals are 95 %, over problems: Wilson's where every
    problem is a plain yes or no, else the bootstrap. Raises ValueError for a k above `samples`,
    GradeError.
    """
    if not ks or min(ks) < 1 or max(ks) > samples:
        raise ValueError(
            f"ks={tuple(ks)} with {samples} samples a problem: each k is from 1 to samples"
        )
    done = 0
    slots = rollout_slots(samples)

    async def one(index: int) -> _Graded:
        nonlocal done
        problem = task.problem(split, index)
        draw = derive_seed(seed, "evaluate", split, index)
        async with slots:
            rollouts = await pool.generate(problem, num=samples, sampling=sampling, seed=draw)
        rewards = tuple(grade(task, problem, rollout.text) for rollout in rollouts)
        done += 1
        if on_progress is not None:
            on_progress(done, num_problems)
        return _Graded(problem, rollouts, rewards)

    graded = await together(one(index) for index in range(num_problems))
    if on_trace is not None:
        for item in graded[:NUM_TRACES]:
            on_trace(trace(item.problem, item.rollouts[0], item.rewards[0], stage=stage, step=step))
    return [
        _row(
            graded,
            k,
            stage=stage,
            step=step,
            weight_version=weight_version,
            seed=seed,
            temperature=sampling.temperature,
        )
        for k in ks
    ]


def _row(
    graded: Sequence[_Graded],
    k: int,
    *,
    stage: str,
    step: int,
    temperature: float,
    seed: int,
    weight_version: int,
) -> Evaluation:
    rollouts = [rollout for item in graded for rollout in item.rollouts]
    samples = len(graded[0].rollouts)
    correct_P = np.array([sum(reward >= 1.0 for reward in item.rewards) for item in graded])
    interval = _interval(correct_P, samples=samples, k=k, seed=derive_seed(seed, "bootstrap"))
    return Evaluation(
        stage=stage,
        step=step,
        split=graded[0].problem.split,
        metric="accuracy" if k == 1 else "pass@k",
        k=k,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        num_problems=len(graded),
        num_samples=samples,
        temperature=temperature,
        mean_tokens=float(np.mean([len(rollout.token_ids) for rollout in rollouts])),
        truncated=float(np.mean([rollout.finish_reason == "length" for rollout in rollouts])),
        weight_version=weight_version,
    )


def _interval(correct_P: np.ndarray, *, samples: int, k: int, seed: int) -> Interval:
    """Wilson where every problem is a yes or a no: the bootstrap has no width when all agree."""
    values_P = np.array([pass_at_k(samples, int(correct), k) for correct in correct_P])
    if np.isin(values_P, (0.0, 1.0)).all():
        return wilson_interval(int(values_P.sum()), values_P.size)
    return bootstrap_interval(values_P, seed=seed)
