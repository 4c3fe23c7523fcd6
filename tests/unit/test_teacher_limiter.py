"""Laws of the adaptive limit on open tries."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.teachers.limiter import AdaptiveLimiter


async def windows(limiter: AdaptiveLimiter, num: int) -> None:
    for _ in range(num):
        for _ in range(limiter.limit):
            limiter.succeeded()


async def test_a_refusal_halves_the_limit_and_never_below_one() -> None:
    limiter = AdaptiveLimiter(9)
    seen = []
    for _ in range(5):
        turn = await limiter.acquire()
        limiter.refused(turn)
        limiter.release()
        seen.append(limiter.limit)
    assert seen == [4, 2, 1, 1, 1]


async def test_refusals_of_tries_that_were_open_together_count_once() -> None:
    limiter = AdaptiveLimiter(8)
    turns = [await limiter.acquire() for _ in range(8)]
    for turn in turns:
        limiter.refused(turn)
        limiter.release()
    assert limiter.limit == 4
    limiter.refused(await limiter.acquire())
    assert limiter.limit == 2


async def test_a_window_of_successes_adds_one_up_to_the_most() -> None:
    limiter = AdaptiveLimiter(16)
    limiter.refused(await limiter.acquire())
    seen = []
    for _ in range(4):
        await windows(limiter, 1)
        seen.append(limiter.limit)
    assert seen == [9, 10, 11, 12]
    await windows(limiter, 100)
    assert limiter.limit == 16


async def test_a_limit_that_was_too_much_is_tried_again_later_than_others() -> None:
    limiter = AdaptiveLimiter(64)
    limiter.refused(await limiter.acquire())
    await windows(limiter, 31)
    assert limiter.limit == 63
    await windows(limiter, 7)
    assert limiter.limit == 63
    await windows(limiter, 1)
    assert limiter.limit == 64


async def test_a_refusal_begins_the_window_anew() -> None:
    limiter = AdaptiveLimiter(8)
    limiter.refused(await limiter.acquire())
    for _ in range(3):
        limiter.succeeded()
    limiter.refused(-1)  # an old try, which says nothing about the limit
    limiter.succeeded()
    assert limiter.limit == 4


async def test_a_server_that_takes_four_refuses_one_in_forty_in_the_end() -> None:
    limiter = AdaptiveLimiter(64)
    num_open, outcomes = 0, []

    async def ask() -> None:
        nonlocal num_open
        while True:
            turn = await limiter.acquire()
            num_open += 1
            is_refused = num_open > 4
            outcomes.append(is_refused)
            for _ in range(1 if is_refused else 5):  # turns of the loop that an answer takes
                await asyncio.sleep(0)
            num_open -= 1
            limiter.refused(turn) if is_refused else limiter.succeeded()
            limiter.release()
            if not is_refused:
                return

    await asyncio.gather(*(ask() for _ in range(1000)))
    settled = outcomes[len(outcomes) // 2 :]
    assert sum(settled) / len(settled) < 0.03


async def test_turns_are_given_first_come_first_served() -> None:
    limiter = AdaptiveLimiter(1)
    served: list[int] = []

    async def one(number: int) -> None:
        await limiter.acquire()
        served.append(number)
        await asyncio.sleep(0)
        limiter.release()

    await asyncio.gather(*(one(number) for number in range(6)))
    assert served == [0, 1, 2, 3, 4, 5]


async def test_whoever_stops_waiting_takes_no_turn_along() -> None:
    limiter = AdaptiveLimiter(1)
    await limiter.acquire()
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    limiter.release()  # to the second, for the first is gone
    waiting[1].cancel()  # ... who has its turn, but does not know yet
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    assert await asyncio.wait_for(waiting[2], 1) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["acquire", "release", "succeeded", "refused"]), max_size=200))
def test_open_tries_never_exceed_the_most_and_the_limit_stays_in_bounds(steps: list[str]) -> None:
    async def play() -> None:
        limiter = AdaptiveLimiter(5)
        turns: list[int] = []
        waiting: list[asyncio.Task[int]] = []
        for step in steps:
            if step == "acquire":
                waiting.append(asyncio.create_task(limiter.acquire()))
            elif step == "succeeded":
                limiter.succeeded()
            elif turns and step == "refused":
                limiter.refused(turns[-1])
            elif turns:
                turns.pop()
                limiter.release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            turns += [task.result() for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            assert 1 <= limiter.limit <= 5 and len(turns) <= 5
            assert not waiting or len(turns) >= limiter.limit, "a free turn was not given"
        for task in waiting:
            task.cancel()

    asyncio.run(play())
