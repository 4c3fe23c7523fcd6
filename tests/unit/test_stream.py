"""GroupStream: bounded lag, start order, honest accounts, the same groups after a resume."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.errors import GradeError, TailorError
from tailor_rl.methods.hooks import RLMethod
from tailor_rl.stream import PATIENCE, GroupStream, Spent
from tailor_rl.types import Draw, Group, Problem, Rollout, Sampling, WeightVersion
from tests.fakes import FakeGrader, FakePool, FakeTask

SAMPLING = Sampling(temperature=1.0, max_tokens=16)


def make_stream(
    pool: FakePool,
    *,
    num_groups: int = 1_000,
    groups_per_step: int = 3,
    max_lag: int = 1,
    dynamic_sampling: bool = True,
    seed: int = 0,
    position: int = 0,
    spent: Spent | None = None,
    task: FakeTask | None = None,
    max_error_share: float = 0.0,
    method: RLMethod | None = None,
    idle: bool = False,
) -> GroupStream:
    return GroupStream(
        task or FakeTask(),
        pool,
        FakeGrader(task, max_error_share=max_error_share),
        num_groups=num_groups,
        groups_per_step=groups_per_step,
        group_size=4,
        max_lag=max_lag,
        dynamic_sampling=dynamic_sampling,
        sampling=SAMPLING,
        seed=seed,
        version=WeightVersion(pool.step, ""),
        position=position,
        spent=spent,
        method=method,
        idle=idle,
    )


def sync(pool: FakePool, stream: GroupStream, *, idle: bool = False) -> None:
    pool.step += 1
    stream.advance(WeightVersion(pool.step, ""), idle=idle)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def train_id(order: int) -> str:
    return FakeTask().problem("train", order).id


@dataclass
class History:
    taken: list[Group]
    generated: list[Group]
    lags: list[int]
    positions: list[int]
    most_open: int
    spent: Spent
    started: list[str]


async def run(
    *, steps: int, groups_per_step: int, max_lag: int, dynamic_sampling: bool, seed: int,
    skill: float, position: int = 0, num_steps: int | None = None,
) -> History:  # fmt: skip
    pool = FakePool(skill=skill, step=5)
    history = History([], [], [], [], 0, Spent(), pool.started)
    stream = make_stream(
        pool, num_groups=(num_steps or steps) * groups_per_step, groups_per_step=groups_per_step,
        max_lag=max_lag, dynamic_sampling=dynamic_sampling, seed=seed, position=position,
    )  # fmt: skip
    async with stream:
        for _ in range(steps):
            groups = await stream.take(groups_per_step)
            history.most_open = max(history.most_open, pool.num_open)
            history.lags += [stream.lag(group) for group in groups]
            history.taken += groups
            history.generated += stream.generated
            history.positions.append(stream.position)
            await asyncio.sleep(0)
            sync(pool, stream)
        history.spent = stream.spent
    return history


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 5),
    groups_per_step=st.integers(1, 4),
    max_lag=st.integers(0, 3),
    dynamic_sampling=st.booleans(),
    seed=st.integers(0, 999),
    skill=st.sampled_from([0.3, 0.5, 0.8]),
)
def test_lag_order_and_accounts_hold_whatever_the_settings(
    steps: int, groups_per_step: int, max_lag: int, dynamic_sampling: bool, seed: int, skill: float
) -> None:
    history = asyncio.run(
        run(steps=steps, groups_per_step=groups_per_step, max_lag=max_lag, seed=seed, skill=skill,
            dynamic_sampling=dynamic_sampling)
    )  # fmt: skip
    assert len(history.taken) == steps * groups_per_step
    assert max(history.lags) <= max_lag
    assert history.most_open <= (max_lag + 1) * groups_per_step
    # Taken in the order started, and each order from 0 on has one fate: taken or passed over.
    orders = [group.order for group in history.taken]
    assert orders == sorted(orders)
    assert [group.order for group in history.generated] == list(range(history.positions[-1]))
    passed_over = [group for group in history.generated if group.order not in orders]
    assert all(dynamic_sampling and not group.informative for group in passed_over)
    # Everything that was generated is paid for, and nothing is generated that is not needed.
    assert len(history.started) == history.spent.groups == len(history.generated)
    assert history.spent.uninformative_groups == sum(not g.informative for g in history.generated)
    assert history.spent.rollouts == 4 * len(history.generated)


@settings(max_examples=30, deadline=None)
@given(
    max_lag=st.integers(0, 2),
    dynamic_sampling=st.booleans(),
    seed=st.integers(0, 999),
    stop=st.integers(1, 3),
)
def test_a_stream_that_goes_on_at_its_position_makes_the_same_groups(
    max_lag: int, dynamic_sampling: bool, seed: int, stop: int
) -> None:
    def texts(groups: list[Group]) -> list[tuple[int, tuple[str, ...]]]:
        return [(group.order, tuple(r.text for r in group.rollouts)) for group in groups]

    def ran(*, steps: int, position: int, num_steps: int) -> History:
        return asyncio.run(
            run(steps=steps, groups_per_step=2, max_lag=max_lag, seed=seed, skill=0.6,
                dynamic_sampling=dynamic_sampling, position=position, num_steps=num_steps)
        )  # fmt: skip

    whole = ran(steps=4, position=0, num_steps=4)
    first = ran(steps=stop, position=0, num_steps=4)
    rest = ran(steps=4 - stop, position=first.positions[-1], num_steps=4 - stop)
    assert texts(first.taken) + texts(rest.taken) == texts(whole.taken)
    assert texts(first.generated) + texts(rest.generated) == texts(whole.generated)


async def test_with_no_lag_nothing_is_started_between_take_and_advance() -> None:
    pool = FakePool()
    async with make_stream(pool, max_lag=0, dynamic_sampling=False) as stream:
        await stream.take(3)
        await settle()
        assert len(pool.started) == 3
        sync(pool, stream)
        await settle()
        assert len(pool.started) == 6


async def test_lag_reaches_max_lag_when_the_learner_is_slow() -> None:
    pool = FakePool()
    async with make_stream(pool, max_lag=2, dynamic_sampling=False) as stream:
        lags = []
        for _ in range(4):
            await settle()  # everything that may be generated is
            lags.append([stream.lag(group) for group in await stream.take(3)])
            sync(pool, stream)
    assert lags == [[0] * 3, [1] * 3, [2] * 3, [2] * 3]


async def test_weights_that_arrive_during_generation_do_not_make_a_group_younger() -> None:
    pool = FakePool()
    pool.hold = {train_id(3): asyncio.Event()}
    async with make_stream(pool, max_lag=1, dynamic_sampling=False) as stream:
        await stream.take(3)
        sync(pool, stream)
        pool.hold[train_id(3)].set()
        group = (await stream.take(3))[0]
        assert group.rollouts[0].last_version == 1
        assert stream.lag(group) == 1


async def test_a_step_without_an_update_makes_no_group_older() -> None:
    pool = FakePool()
    async with make_stream(pool, max_lag=0, dynamic_sampling=False) as stream:
        await stream.take(3)
        stream.advance(WeightVersion(pool.step, ""))
        assert [stream.lag(group) for group in await stream.take(3)] == [0, 0, 0]


async def test_groups_that_finish_early_wait_for_the_oldest() -> None:
    pool = FakePool()
    pool.hold = {train_id(0): asyncio.Event()}
    async with make_stream(pool, dynamic_sampling=False) as stream:
        taking = asyncio.create_task(stream.take(2))
        await settle()
        assert not taking.done()
        pool.hold[train_id(0)].set()
        assert [group.order for group in await taking] == [0, 1]


async def test_uninformative_groups_are_replaced_while_the_oldest_is_still_open() -> None:
    pool = FakePool(skill=1.0)
    pool.hold = {train_id(0): asyncio.Event()}
    async with make_stream(pool, groups_per_step=2, max_lag=0):
        await settle()
        assert len(pool.started) > 10
        assert pool.num_open <= 2


async def test_without_dynamic_sampling_uninformative_groups_are_taken() -> None:
    pool = FakePool(skill=1.0)
    async with make_stream(pool, dynamic_sampling=False) as stream:
        groups = await stream.take(3)
        assert not any(group.informative for group in groups)
        assert [group.order for group in groups] == [0, 1, 2]
        assert stream.spent.uninformative_groups == 3


async def test_a_policy_that_never_varies_ends_the_stream_with_advice() -> None:
    pool = FakePool(skill=0.0)
    async with make_stream(pool, groups_per_step=1, max_lag=0) as stream:
        with pytest.raises(TailorError, match="nothing to learn"):
            await stream.take(1)
        assert stream.spent.groups == PATIENCE


async def test_a_failure_is_raised_at_once_although_the_oldest_group_hangs() -> None:
    pool = FakePool()
    pool.hold = {train_id(0): asyncio.Event()}
    pool.fail = {train_id(2)}
    async with make_stream(pool) as stream:
        with pytest.raises(RuntimeError, match="engine 0 failed"):
            await asyncio.wait_for(stream.take(3), timeout=5)
    assert pool.num_open == 0


async def test_leaving_the_stream_ends_all_generation() -> None:
    pool = FakePool()
    pool.hold = {train_id(i): asyncio.Event() for i in range(6)}
    async with make_stream(pool):
        await settle()
        assert pool.num_open == 6
    assert pool.num_open == 0


class RaisingTask(FakeTask):
    def grade(self, problem: Problem, text: str) -> float:
        raise KeyError("no such answer")


class NanTask(FakeTask):
    def grade(self, problem: Problem, text: str) -> float:
        return float("nan")


@pytest.mark.parametrize("task", [RaisingTask(), NanTask()])
async def test_a_grader_that_fails_is_an_error_and_no_reward(task: FakeTask) -> None:
    async with make_stream(FakePool(), task=task) as stream:
        with pytest.raises(GradeError, match="addition:train:"):
            await stream.take(1)


class Fragile(FakeTask):
    """Cannot grade the wrong answers to every third problem."""

    def grade(self, problem: Problem, text: str) -> float:
        right = text == problem.answer
        if not right and int(problem.id.rpartition(":")[2]) % 3 == 0:
            raise KeyError(text)
        return float(right)


async def test_what_cannot_be_graded_is_set_aside_counted_and_paid_for() -> None:
    pool = FakePool(skill=0.5)
    stream = make_stream(pool, task=Fragile(), dynamic_sampling=False, max_error_share=1.0)
    async with stream:
        groups = await stream.take(3)
    fragile, *others = stream.generated
    assert fragile.ungraded and set(fragile.rewards) <= {1.0}
    assert len(fragile.rollouts) + len(fragile.ungraded) == 4
    assert not any(group.ungraded for group in others[:2])
    assert all(len(group.rewards) == len(group.rollouts) > 0 for group in groups)
    assert stream.spent.rollouts == 4 * len(stream.generated)
    assert stream.spent.ungraded == sum(len(group.ungraded) for group in stream.generated)


async def test_a_group_of_which_nothing_could_be_graded_is_passed_over() -> None:
    stream = make_stream(
        FakePool(skill=0.0), task=Fragile(), dynamic_sampling=False, max_error_share=1.0
    )
    async with stream:
        groups = await stream.take(3)
    assert [group.order for group in groups] == [1, 2, 4]
    assert stream.spent.ungraded == 8  # all of groups 0 and 3


class Curriculum(RLMethod):
    """Every other problem; the last rollout of a group begins with two tokens that are given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def saw(self, group: Group) -> None:
        self.seen.append(group.order)

    def problem(self, order: int) -> int:
        return 2 * order

    def draws(self, order: int, problem: Problem, *, group_size: int, seed: int) -> list[Draw]:
        return [Draw()] * (group_size - 1) + [Draw(prefix=(ord("u"), ord("n")))]


async def test_a_method_chooses_problems_and_how_rollouts_are_drawn() -> None:
    pool = FakePool()
    async with make_stream(pool, method=Curriculum(), dynamic_sampling=False) as stream:
        groups = await stream.take(3)
    assert [group.problem.id for group in groups] == [train_id(2 * i) for i in range(3)]
    assert [rollout.given for rollout in groups[0].rollouts] == [0, 0, 0, 2]
    tokens = sum(len(rollout.token_ids) for group in groups for rollout in group.rollouts)
    assert stream.spent.generated_tokens == tokens - 6  # what was given cost nothing


async def test_a_method_sees_every_group_in_order_and_those_passed_over_too() -> None:
    method = Curriculum()
    async with make_stream(FakePool(skill=0.2), method=method) as stream:
        taken = await stream.take(3)
    assert method.seen == list(range(stream.position))
    assert len(method.seen) > len(taken)


async def test_nothing_is_started_for_a_step_that_takes_none() -> None:
    pool = FakePool()
    async with make_stream(pool, max_lag=0, dynamic_sampling=False, idle=True) as stream:
        await asyncio.sleep(0)
        assert pool.started == []
        sync(pool, stream)
        groups = await stream.take(3)
        assert [stream.lag(group) for group in groups] == [0, 0, 0]
        sync(pool, stream, idle=True)
        await asyncio.sleep(0)
        assert len(pool.started) == 3
        sync(pool, stream)
        groups = await stream.take(3)
        assert [stream.lag(group) for group in groups] == [0, 0, 0]


async def test_truncated_rollouts_are_graded_and_counted() -> None:
    class ShortPool(FakePool):
        async def generate(
            self,
            problem: Problem,
            *,
            num: int,
            sampling: Sampling,
            seed: int,
            draws: Sequence[Draw] | None = None,
        ) -> tuple[Rollout, ...]:
            short = Sampling(temperature=1.0, max_tokens=1)
            return await super().generate(problem, num=num, sampling=short, seed=seed, draws=draws)

    async with make_stream(ShortPool(), dynamic_sampling=False) as stream:
        groups = await stream.take(3)
        assert stream.spent.truncated == 12
        assert stream.spent.generated_tokens == 12
        assert len(groups[0].rewards) == 4
