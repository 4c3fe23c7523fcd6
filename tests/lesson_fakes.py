"""A learner that keeps what it was told, and groups made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tailor_rl.config.learning import RLConfig
from tailor_rl.stages.lesson import Lesson
from tailor_rl.types import (
    Batch,
    Demonstration,
    FinishReason,
    Grade,
    Group,
    Problem,
    Rollout,
    Scores,
    Update,
)
from tests.fakes import FakeLearner, FakeTokens

PROMPT = (9, 8)


class RecordingLearner(FakeLearner):
    """`reports` are the metrics of its updates, in turn; then none."""

    def __init__(self, *reports: Mapping[str, float]) -> None:
        super().__init__()
        self.stage = "rl of 10"
        self.learnt: list[Batch] = []
        self.coefficients: list[float] = []
        self.scored: list[Batch] = []
        self.reference = "kept"
        self.kl = 0.5  # log(learner / reference) at every token
        self._reports = list(reports)

    async def score(self, batch: Batch) -> Scores:
        self.scored.append(batch)
        logprobs = np.where(batch.mask, np.float32(-1.0), np.float32(0.0))
        below = np.where(batch.mask, np.float32(self.kl), np.float32(0.0))
        return Scores(
            learner_logprobs=logprobs,
            entropies=-logprobs,
            reference_logprobs=logprobs - below,
            values=np.where(batch.mask, np.float32(0.25), np.float32(0.0)),
        )

    async def policy_step(self, batch: Batch, *, kl_coefficient: float = 0.0) -> Update:
        self.learnt.append(batch)
        self.coefficients.append(kl_coefficient)
        update = await super().policy_step(batch)
        given = self._reports.pop(0) if self._reports else {}
        return replace(update, metrics={**update.metrics, **given})


def make_group(
    rewards: Sequence[float], *, order: int = 0, cut: Sequence[int] = (), length: int = 3
) -> Group:
    """Rollouts of `length` tokens; those in `cut` were cut off."""
    problem = Problem(id=f"p{order}", prompt="", answer="", split="train", difficulty=1)
    return Group(
        problem=problem,
        rollouts=tuple(
            make_rollout(length, finish="length" if i in cut else "stop")
            for i in range(len(rewards))
        ),
        grades=tuple(Grade(correct=r, reward=r, components={"correct": r}) for r in rewards),
        order=order,
    )


def make_rollout(length: int, *, finish: FinishReason = "stop") -> Rollout:
    return Rollout(
        problem_id="p",
        prompt_ids=PROMPT,
        token_ids=tuple(range(3, 3 + length)),
        rollout_logprobs=(-0.5,) * length,
        text="",
        finish_reason=finish,
        first_version=0,
        last_version=0,
    )


def make_demonstration(number: int) -> Demonstration:
    return Demonstration(
        id=f"d{number}",
        problem_id=f"p{number}",
        prompt="ab",
        trace="c" * (1 + number),
        reward=1.0,
        origin="rule",
        primitive_id=None,
        prompt_tokens=0,
        completion_tokens=0,
    )


def make_lesson(learner: RecordingLearner, **rl: Any) -> Lesson:
    return Lesson(
        RLConfig(**{"max_tokens": 8, **rl}),
        learner=learner,
        tokens=FakeTokens(),
        demonstrations=[make_demonstration(i) for i in range(6)],
        batch_size=4,
        seed=1,
    )
