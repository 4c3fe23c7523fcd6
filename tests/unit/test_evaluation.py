"""evaluate: unbiased figures over problems, reproducible draws, and errors that are seen."""

from __future__ import annotations

import numpy as np
import pytest

from tailor_rl.concurrency import ROLLOUTS_IN_FLIGHT
from tailor_rl.errors import GradeError
from tailor_rl.evaluation import NUM_TRACES, Trace, _interval, evaluate
from tailor_rl.statistics import wilson_interval
from tailor_rl.types import Evaluation, Problem, Rollout, Sampling
from tests.fakes import FakePool, FakeTask


class ScriptedPool(FakePool):
    """Problem i is solved by the first `right[i]` of its samples; a wrong answer is cut off."""

    def __init__(self, right: list[int]) -> None:
        super().__init__()
        self._right = right
        self.most_open = 0

    async def generate(
        self, problem: Problem, *, num: int, sampling: Sampling, seed: int
    ) -> tuple[Rollout, ...]:
        index = int(problem.id.rpartition(":")[2])
        await super().generate(problem, num=0, sampling=sampling, seed=seed)
        self.most_open = max(self.most_open, self.num_open + 1)
        right = [
            self._rollout(problem, problem.answer, 3, Sampling(temperature=1.0, max_tokens=9)),
            self._rollout(problem, "unknown", 3, Sampling(temperature=1.0, max_tokens=2)),
        ]
        return tuple(right[0] if i < self._right[index] else right[1] for i in range(num))


async def rows(
    pool: FakePool, *, num_problems: int = 3, samples: int = 4, ks: tuple[int, ...] = (1, 2),
    seed: int = 0, task: FakeTask | None = None, traces: list[Trace] | None = None,
) -> list[Evaluation]:  # fmt: skip
    return await evaluate(
        task or FakeTask(),
        "ood/large",
        pool,
        num_problems=num_problems,
        samples=samples,
        sampling=Sampling(temperature=0.7, max_tokens=16),
        seed=seed,
        stage="sft",
        step=4,
        weight_version=3,
        ks=ks,
        on_trace=None if traces is None else traces.append,
    )


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


@pytest.mark.parametrize("ks", [(), (0,), (1, 5)])
async def test_a_k_that_cannot_be_estimated_is_refused(ks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="each k"):
        await rows(FakePool(), samples=4, ks=ks)


async def test_traces_are_of_the_first_problems_in_order() -> None:
    traces: list[Trace] = []
    await rows(ScriptedPool([1] * 20), num_problems=20, traces=traces)
    assert [trace.problem_id for trace in traces] == [
        f"addition:ood/large:{i}" for i in range(NUM_TRACES)
    ]
    assert traces[0] == Trace(
        stage="sft",
        step=4,
        split="ood/large",
        problem_id="addition:ood/large:0",
        prompt="0+3",
        answer="3",
        text="3",
        reward=1.0,
    )


async def test_engines_are_not_given_more_rollouts_than_they_can_answer_in_time() -> None:
    samples = ROLLOUTS_IN_FLIGHT // 4
    pool = ScriptedPool([1] * 12)
    await rows(pool, num_problems=12, samples=samples)
    assert pool.most_open == 4


async def test_one_defect_of_the_grader_is_raised_as_itself() -> None:
    class Defect(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            return float("inf") if problem.id.endswith(":2") else 0.0

    with pytest.raises(GradeError, match="addition:ood/large:2"):
        await rows(FakePool(), task=Defect())


def test_an_interval_has_width_even_where_every_problem_came_out_alike() -> None:
    for correct in (0, 8):
        found = _interval(np.full(20, correct), samples=8, k=1, seed=0)
        assert found.value == correct / 8
        assert 0.1 < found.high - found.low < 0.2  # Wilson's for 20 of 20: 16 points
