"""Demonstrations and groups for tests of methods: token ids are letters, a problem is a number."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.types import Demonstration, Grade, Group, Problem, Rollout
from tests.fakes import FakeTask


def demonstration(index: int, trace: str = "123456789") -> Demonstration:
    problem = FakeTask().problem("train", index)
    return Demonstration(
        id=f"d{index}",
        problem_id=problem.id,
        prompt=problem.prompt,
        trace=trace,
        reward=1.0,
        origin="teacher",
        primitive_id=None,
        prompt_tokens=1,
        completion_tokens=len(trace),
    )


def rollout(problem: Problem, num_tokens: int, *, given: int = 0) -> Rollout:
    drawn = num_tokens - given
    return Rollout(
        problem_id=problem.id,
        prompt_ids=(1, 2),
        token_ids=tuple(range(10, 10 + num_tokens)),
        rollout_logprobs=(*[0.0] * given, *[-0.5] * drawn),
        text="",
        finish_reason="stop",
        first_version=0,
        last_version=0,
        given=given,
    )


def group(rollouts: Sequence[Rollout], rewards: Sequence[float]) -> Group:
    return Group(
        problem=FakeTask().problem("train", 0),
        rollouts=tuple(rollouts),
        grades=tuple(Grade(correct=r, reward=r, components={"correct": r}) for r in rewards),
        order=0,
    )
