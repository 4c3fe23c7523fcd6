"""One step of a named algorithm, from graded groups to the optimizer, in ranks cut up one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from learners.group import LearnerGroup
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.methods.hooks import Mix
from tailor_rl.stages.lesson import Lesson
from tailor_rl.types import Grade, Group, Problem, Rollout
from tests.fakes import FakeTokens
from tests.learner_processes import RankProcesses
from tests.learner_reference import OPTIMIZER, Cut
from tests.tiny import VOCABULARY


async def step_of(
    algorithm: str, cut: Cut, processes: RankProcesses, student: Path
) -> Mapping[str, np.ndarray]:
    """Adam's first moments after the second step (a critic's backbone has no gradient before), of
    the policy and, where there is one, of the critic.

    Everything is as in a run: advantages, scores, a KL penalty, the loss.
    """
    settings = asdict(cut)
    del settings["ranks"]
    rl = RLConfig(**(OPTIMIZER | {"warmup_steps": 0}), algorithm=algorithm, temperature=0.8)
    group = LearnerGroup(
        await processes.start(student=str(student), **settings), sft=SFTConfig(), rl=rl
    )
    await group.begin_rl(num_steps=10)
    lesson = Lesson(rl, learner=group, tokens=FakeTokens(), demonstrations=[], batch_size=1, seed=0)
    for step in range(2):
        learnt = await lesson.learn(step, Mix(), make_groups(step))
    moments = (await processes.all("first_moments"))[0]
    if learnt.batch.returns is not None:
        critic = (await processes.all("critic_moments"))[0]
        moments |= {f"critic {name}": values for name, values in critic.items()}
    assert all(np.isfinite(values).all() for values in moments.values())
    return dict(moments)


def make_groups(seed: int) -> list[Group]:
    """Three groups of four answers of 2 to 20 random tokens, right or wrong by chance; in each
    group at least one of both.
    """
    random = np.random.default_rng(seed)
    return [_group(order, random) for order in range(3)]


def _group(order: int, random: np.random.Generator) -> Group:
    rewards = [1.0, 0.0, *map(float, random.integers(2, size=2))]
    problem = Problem(
        id=f"p{order}", prompt="", answer="", split="train", difficulty=0, metadata={}
    )
    grades = tuple(Grade(correct=each, reward=each, components={}) for each in rewards)
    return Group(problem, tuple(_rollout(problem, random) for _ in rewards), grades, order)


def _rollout(problem: Problem, random: np.random.Generator) -> Rollout:
    answer = random.integers(3, VOCABULARY, random.integers(2, 21))
    return Rollout(
        problem_id=problem.id,
        prompt_ids=(1, 50, 60),
        token_ids=tuple(map(int, answer)),
        rollout_logprobs=tuple(map(float, random.normal(-5.5, 0.05, answer.size))),
        text="",
        finish_reason="stop",
        first_version=0,
        last_version=0,
    )
