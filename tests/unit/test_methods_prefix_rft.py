"""Prefix-RFT: which prefixes are given, and what is learnt from them, on hand-worked numbers."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi

import numpy as np
import pytest

from tailor_rl.batch import collate_groups
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import ConfigError
from tailor_rl.methods.find import rl_method
from tailor_rl.methods.hooks import Beginning, Mix
from tailor_rl.methods.prefix_rft import PrefixRft
from tailor_rl.stages.lesson import Lesson
from tailor_rl.types import Batch, Draw, Group, Scores, Update
from tests.fakes import FakeLearner, FakeTask, FakeTokens
from tests.method_fakes import demonstration, group, rollout

TASK = FakeTask()
PROBLEM = TASK.problem("train", 0)


def begun(*, traces: dict[int, str] | None = None, **options: float) -> PrefixRft:
    demonstrations = [demonstration(i, t) for i, t in (traces or {3: "123456789"}).items()]
    tokens = FakeTokens()
    method = PrefixRft(**options)  # type: ignore[arg-type]
    method.begin(
        Beginning(
            num_steps=10,
            max_tokens=12,
            demonstrations=demonstrations,
            completions=[tokens.encode_completion(each.trace) for each in demonstrations],
        )
    )
    return method


def prefixes(method: PrefixRft, *, draws: int = 200) -> list[tuple[int, ...]]:
    problem = TASK.problem("train", 3)
    return [
        method.draws(order, problem, group_size=4, seed=order)[-1].prefix for order in range(draws)
    ]


def test_the_last_of_a_group_continue_a_demonstration_and_the_others_nothing() -> None:
    problem = TASK.problem("train", 3)
    *plain, one, other = begun(continuations=2).draws(0, problem, group_size=5, seed=7)
    assert plain == [Draw()] * 3
    assert one == other
    completion = FakeTokens().encode_completion("123456789")
    assert 0 < len(one.prefix) < len(completion)
    assert one.prefix == completion[: len(one.prefix)]


def test_the_least_share_falls_by_a_cosine() -> None:
    method = begun(high=0.9, low_end=0.1)
    assert method.low == pytest.approx(0.9)
    method.learnt(5, Mix(), {})
    assert method.low == pytest.approx(0.5)
    method.learnt(8, Mix(), {})
    assert method.low == pytest.approx(0.1 + 0.8 * (1 + cos(0.8 * pi)) / 2)
    method.learnt(10, Mix(), {})
    assert method.low == pytest.approx(0.1)


def test_shares_are_drawn_between_low_and_high() -> None:
    method = begun(high=0.9, low_end=0.1)  # a completion has ten tokens
    assert {len(prefix) for prefix in prefixes(method)} == {9}
    method.learnt(10, Mix(), {})
    assert {len(prefix) for prefix in prefixes(method)} == set(range(1, 9))


def test_the_same_group_is_drawn_alike_after_a_resume() -> None:
    first, second = begun(), begun()
    first.learnt(6, Mix(), {})
    second.load(dict(first.state()))
    assert prefixes(first) == prefixes(second)


def test_groups_go_through_the_problems_with_a_demonstration_once_a_pass() -> None:
    method = begun(traces={3: "12345", 5: "12345", 8: "12345"})
    passes = [[method.problem(3 * turn + i) for i in range(3)] for turn in range(8)]
    assert all(sorted(each) == [3, 5, 8] for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_a_demonstration_that_could_not_be_finished_is_not_begun() -> None:
    method = begun(traces={3: "1234567890ab", 5: "12345"})
    assert {method.problem(i) for i in range(9)} == {5}
    with pytest.raises(ConfigError, match="all are longer"):
        begun(traces={3: "1234567890ab"})


# Two plain rollouts of two tokens, right and wrong, and one of four that continues two given ones.
GROUP = group(
    [rollout(PROBLEM, 2), rollout(PROBLEM, 2), rollout(PROBLEM, 4, given=2)], [1.0, 0.0, 1.0]
)
# Columns: two of prompt, then the completion.
ENTROPIES = [[0.0] * 6, [0.0] * 6, [0.0, 0.0, 0.7, 0.2, 0.9, 0.9]]


def shaped(method: PrefixRft, groups: list[Group]) -> tuple[Batch, Batch]:
    batch = collate_groups(groups, learn_given=True)
    scores = Scores(
        learner_logprobs=np.where(batch.mask, np.float32(-2.0), np.float32(0.0)),
        entropies=np.array(ENTROPIES * len(groups), dtype=np.float32),
        reference_logprobs=None,
        values=None,
    )
    return batch, method.shape(batch, groups, scores)


def test_given_tokens_earn_what_the_whole_is_above_the_plain_rollouts() -> None:
    _, batch = shaped(begun(learnt_share=1.0), [GROUP])
    # given: 1 - mean(1, 0) = 0.5; drawn after them: a lone continuation's reward, 1
    assert batch.advantages[2].tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert batch.mask.astype(int).tolist() == [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 1],
    ]


def test_only_the_least_certain_given_tokens_are_learnt() -> None:
    _, batch = shaped(begun(learnt_share=0.5), [GROUP])
    assert batch.mask[2].astype(int).tolist() == [0, 0, 1, 0, 1, 1]
    _, batch = shaped(begun(learnt_share=0.0), [GROUP])
    assert batch.mask[2].astype(int).tolist() == [0, 0, 0, 0, 1, 1]


def test_ratios_of_given_tokens_begin_at_one() -> None:
    before, batch = shaped(begun(), [GROUP])
    assert batch.rollout_logprobs[2].tolist() == [0, 0, -2, -2, -0.5, -0.5]
    assert (batch.rollout_logprobs[:2] == before.rollout_logprobs[:2]).all()


def test_several_continuations_share_the_worth_of_what_they_were_given() -> None:
    two = group(
        [rollout(PROBLEM, 2), rollout(PROBLEM, 4, given=2), rollout(PROBLEM, 4, given=2)],
        [0.0, 1.0, 0.0],
    )
    _, batch = shaped(begun(continuations=2, learnt_share=1.0), [two])
    assert batch.advantages[1, 2:4].tolist() == [0.5, 0.5]  # (1 - 0) / 2
    assert batch.advantages[2, 2:4].tolist() == [0.0, 0.0]
    assert not batch.advantages[1:, 4:].any()  # the algorithm's own, not made here


async def test_what_the_learner_gets_compares_rollouts_of_the_same_beginning() -> None:
    class Recording(FakeLearner):
        async def score(self, batch: Batch) -> Scores:
            scores = await super().score(batch)
            return replace(scores, entropies=np.array(ENTROPIES, dtype=np.float32))

        async def policy_step(self, batch: Batch, *, kl_coefficient: float = 0.0) -> Update:
            self.batch = batch
            return await super().policy_step(batch, kl_coefficient=kl_coefficient)

    learner = Recording()
    await learner.begin_rl(num_steps=1)
    lesson = Lesson(
        RLConfig(algorithm="grpo", method="prefix_rft", max_tokens=12),
        learner=learner,
        tokens=FakeTokens(),
        demonstrations=[demonstration(0)],
        batch_size=1,
        seed=0,
    )
    await lesson.learn(1, lesson.mix(1), [GROUP])
    # Plain: (R - 1/2) / (1/2 + eps). Given, the least certain fifth of two tokens: 1/2.
    rows = [
        row[mask].round(4).tolist()
        for row, mask in zip(learner.batch.advantages, learner.batch.mask, strict=True)
    ]
    assert rows == [[1.0, 1.0], [-1.0, -1.0], [0.5, 1.0, 1.0]]


def test_groups_too_small_and_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"rl\.group_size=3 .* rl\.group_size=4 or more"):
        PrefixRft(continuations=2).check(RLConfig(group_size=3))
    for options, said in (
        ({"continuations": 0}, "continuations=0"),
        ({"high": 1.0}, "high=1.0"),
        ({"learnt_share": 2}, "learnt_share=2"),
    ):
        with pytest.raises(ConfigError, match=said):
            rl_method("prefix_rft", options)
