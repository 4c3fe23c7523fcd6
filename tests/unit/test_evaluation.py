"""evaluate: unbiased figures over problems, reproducible draws, and errors that are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tailor_rl.concurrency import ROLLOUTS_IN_FLIGHT
from tailor_rl.errors import GradeError
from tailor_rl.evaluation import Trace, examine_problems, tabulate
from tailor_rl.statistics import problem_interval, wilson_interval
from tailor_rl.types import Draw, Evaluation, Problem, ProblemResult, Rollout, Sampling
from tests.fakes import FakeGrader, FakePool, FakeTask


class ScriptedPool(FakePool):
    """Problem i is solved by the first `right[i]` of its samples; a wrong answer is cut off."""

    def __init__(self, right: list[int]) -> None:
        super().__init__()
        self._right = right
        self.most_open = 0

    async def generate(
        self,
        problem: Problem,
        *,
        num: int,
        sampling: Sampling,
        seed: int,
        draws: Sequence[Draw] | None = None,
    ) -> tuple[Rollout, ...]:
        index = int(problem.id.rpartition(":")[2])
        await super().generate(problem, num=0, sampling=sampling, seed=seed)
        self.most_open = max(self.most_open, self.num_open + 1)
        right = [
            self._rollout(problem, problem.answer, 3, Sampling(temperature=1.0, max_tokens=9)),
            self._rollout(problem, "unknown", 3, Sampling(temperature=1.0, max_tokens=2)),
        ]
        return tuple(right[0] if i < self._right[index] else right[1] for i in range(num))


async def results(
    pool: FakePool, *, num_problems: int = 3, samples: int = 4, seed: int = 0,
    task: FakeTask | None = None, traces: list[Trace] | None = None, greedy: bool = False,
    max_error_share: float = 0.0,
) -> list[ProblemResult]:  # fmt: skip
    return await examine_problems(
        task or FakeTask(),
        "ood/large",
        pool,
        FakeGrader(task, max_error_share=max_error_share),
        indices=range(num_problems),
        samples=samples,
        sampling=Sampling(temperature=0.7, max_tokens=16),
        greedy=greedy,
        seed=seed,
        stage="sft",
        step=4,
        on_trace=None if traces is None else traces.append,
    )


async def rows(
    pool: FakePool, *, ks: tuple[int, ...] = (1, 2), seed: int = 0, **settings: Any
) -> list[Evaluation]:
    found = await results(pool, seed=seed, **settings)
    return tabulate(found, ks=ks, seed=seed, temperature=0.7, weight_version=3)


async def test_figures_equal_those_worked_out_by_hand() -> None:
    # Problems with 0, 1 and 4 right of 4: pass@1 (0 + 1/4 + 1) / 3; pass@2 (0 + 1/2 + 1) / 3.
    accuracy, pass_at_2 = await rows(ScriptedPool([0, 1, 4]))
    assert (accuracy.metric, accuracy.k, pass_at_2.metric, pass_at_2.k) == (
        "accuracy", 1, "pass@k", 2,
    )  # fmt: skip
    assert accuracy.value == pytest.approx(1.25 / 3)
    assert pass_at_2.value == pytest.approx(1.5 / 3)
    assert accuracy.low <= accuracy.value <= accuracy.high
    # 7 of 12 samples are wrong, cut off at 2 tokens; answers "3", "5" and "7" and the end of turn
    # are 2 tokens too.
    assert accuracy.truncated == pytest.approx(7 / 12)
    assert accuracy.mean_tokens == pytest.approx(2.0)
    assert (accuracy.stage, accuracy.step, accuracy.split) == ("sft", 4, "ood/large")
    assert (accuracy.num_problems, accuracy.num_samples) == (3, 4)
    assert (accuracy.weight_version, accuracy.temperature) == (3, 0.7)


async def test_one_sample_a_problem_gets_wilsons_interval() -> None:
    (row,) = await rows(ScriptedPool([0, 1, 1]), samples=1, ks=(1,))
    wilson = wilson_interval(2, 3)
    assert (row.value, row.low, row.high) == (wilson.value, wilson.low, wilson.high)


async def test_figures_depend_on_the_seed_alone_and_not_on_the_order_of_completion() -> None:
    first = await rows(FakePool(), num_problems=30, seed=1)
    again = await rows(FakePool(), num_problems=30, seed=1)
    other = await rows(FakePool(), num_problems=30, seed=2)
    assert first == again
    assert first[0].value != other[0].value


async def test_every_problem_leaves_a_trace_and_a_result_in_the_order_of_indices() -> None:
    traces: list[Trace] = []
    found = await results(ScriptedPool([1, 0]), num_problems=2, traces=traces)
    assert [r.problem_id for r in found] == ["addition:ood/large:0", "addition:ood/large:1"]
    assert [r.correct for r in found] == [(1.0, 0.0, 0.0, 0.0), (0.0,) * 4]
    assert found[0].truncated == (False, True, True, True) and found[0].greedy is None
    assert sorted(trace.problem_id for trace in traces) == [r.problem_id for r in found]
    assert (
        Trace(
            stage="sft",
            step=4,
            split="ood/large",
            problem_id="addition:ood/large:0",
            prompt="0+3",
            answer="3",
            text="3",
            reward=1.0,
            correct=1.0,
        )
        in traces
    )


async def test_any_part_can_be_made_later_with_the_same_draws() -> None:
    whole = await results(FakePool(), num_problems=6)
    last = await examine_problems(
        FakeTask(), "ood/large", FakePool(), FakeGrader(), indices=[5], samples=4, greedy=False,
        sampling=Sampling(temperature=0.7, max_tokens=16), seed=0, stage="sft", step=4,
    )  # fmt: skip
    assert last == whole[5:]


async def test_the_greedy_answer_is_one_more_and_no_sample() -> None:
    accuracy, greedy = await rows(ScriptedPool([1, 0, 1]), samples=2, ks=(1,), greedy=True)
    # The script gives any first answer to problems 0 and 2 right, the greedy one too.
    assert (accuracy.value, greedy.value) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (greedy.metric, greedy.k, greedy.num_samples, greedy.temperature) == ("greedy", 1, 1, 0)
    assert (accuracy.num_samples, greedy.interval) == (2, "wilson")


async def test_every_answer_that_was_drawn_is_paid_for() -> None:
    class Picky(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            if text != problem.answer:
                raise KeyError(text)
            return 1.0

    made = await results(
        ScriptedPool([0, 1, 2]), samples=2, greedy=True, task=Picky(), max_error_share=1.0
    )
    assert [result.ungraded for result in made] == [2, 1, 0]
    assert [result.drawn_tokens for result in made] == [6, 6, 6]  # three answers of two tokens


async def test_entropy_is_the_mean_surprise_at_the_tokens_drawn() -> None:
    class Surprised(FakePool):
        async def generate(
            self,
            problem: Problem,
            *,
            num: int,
            sampling: Sampling,
            seed: int,
            draws: Sequence[Draw] | None = None,
        ) -> tuple[Rollout, ...]:
            made = await super().generate(problem, num=num, sampling=sampling, seed=seed)
            return tuple(
                replace(r, rollout_logprobs=(-0.5,) + (0.0,) * (len(r.token_ids) - 1)) for r in made
            )

    (result,) = await results(Surprised(), num_problems=1, samples=2)
    assert result.entropy == tuple(0.5 / num for num in result.num_tokens)


async def test_what_cannot_be_graded_is_left_out_of_the_figures_and_counted() -> None:
    class Picky(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            if text != problem.answer:
                raise KeyError(text)
            return 1.0

    accuracy, pass_at_2 = await rows(
        ScriptedPool([0, 1, 2]), samples=2, task=Picky(), max_error_share=1.0
    )
    # Graded: none of problem 0, one right answer to problem 1, two to problem 2.
    assert (accuracy.value, accuracy.num_problems, accuracy.ungraded) == (1.0, 2, 3)
    assert (pass_at_2.value, pass_at_2.num_problems) == (1.0, 1)


async def test_siblings_widen_the_interval() -> None:
    class Siblings(FakeTask):
        def problem(self, split: str, index: int) -> Problem:
            return replace(super().problem(split, index), family=str(index // 4))

    pools = [ScriptedPool([4 * (i // 4 % 2) for i in range(40)]) for _ in range(2)]
    (alone,) = await rows(pools[0], num_problems=40, ks=(1,))
    (family,) = await rows(pools[1], num_problems=40, ks=(1,), task=Siblings())
    assert alone.value == family.value == 0.5
    assert (alone.num_families, family.num_families) == (40, 10)
    # Ten independent problems in place of forty: the interval is twice as wide.
    assert (family.high - family.low) / (alone.high - alone.low) == pytest.approx(2, rel=0.2)


async def test_engines_are_not_given_more_rollouts_than_they_can_answer_in_time() -> None:
    samples = ROLLOUTS_IN_FLIGHT // 4
    pool = ScriptedPool([1] * 12)
    await rows(pool, num_problems=12, samples=samples)
    assert pool.most_open == 4


async def test_more_failures_of_the_grader_than_allowed_are_raised_with_an_example() -> None:
    class Defect(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            return float("inf") if problem.id.endswith(":2") else 0.0

    with pytest.raises(GradeError, match="addition:ood/large:2"):
        await rows(FakePool(), task=Defect())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_interval_has_width_even_where_every_problem_came_out_alike(value: float) -> None:
    found, name = problem_interval(np.full(40, value), families_P=list("abcde" * 8), seed=0)
    assert (found, name) == (wilson_interval(round(5 * value), 5), "wilson")
