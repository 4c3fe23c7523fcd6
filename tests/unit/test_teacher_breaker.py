"""Laws of the circuit breaker, on a clock that goes on only while all wait for it."""

from __future__ import annotations

import asyncio

import pytest

from tailor_rl.teachers.breaker import CircuitBreaker
from tailor_rl.teachers.faults import Transient, Unavailable
from tailor_rl.teachers.patience import Deadline, Pace, Patience

pytestmark = pytest.mark.looptime(start=0)

QUICK = Patience(failures=3, cool_down_s=0.0625, longest_cool_down_s=0.125)  # exact in binary
DOWN = Transient("POST http://h failed with ConnectError")


def opened() -> CircuitBreaker:
    breaker = CircuitBreaker("http://h", QUICK)
    for _ in range(3):
        breaker.failed(DOWN, probe=False)
    return breaker


async def admitted(breaker: CircuitBreaker, *, within_s: float = 5.0) -> tuple[bool, float]:
    """Whether it was a probe, and the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return await breaker.admit(until=began + within_s), loop.time() - began


async def test_failures_in_a_row_open_the_circuit_and_a_success_between_does_not() -> None:
    breaker = CircuitBreaker("http://h", QUICK)
    for _ in range(5):
        breaker.failed(DOWN, probe=False)
        breaker.failed(DOWN, probe=False)
        breaker.worked(probe=False)
    assert not breaker.is_open
    assert not (await admitted(breaker))[0]
    for _ in range(3):
        breaker.failed(DOWN, probe=False)
    assert breaker.is_open


async def test_one_probe_is_let_through_after_the_cool_down_and_its_success_frees_all() -> None:
    breaker = opened()
    waiting = [asyncio.create_task(admitted(breaker)) for _ in range(4)]
    await asyncio.sleep(0.1)
    (first,) = [task for task in waiting if task.done()]
    assert first.result() == (True, 0.0625)
    breaker.worked(probe=True)
    breaker.left(probe=True)
    others = [await task for task in waiting if task is not first]
    assert [probe for probe, _ in others] == [False] * 3 and not breaker.is_open


async def test_every_probe_that_fails_doubles_the_wait_up_to_the_longest() -> None:
    breaker = opened()
    waits = []
    for _ in range(4):
        probe, took_s = await admitted(breaker)
        assert probe
        waits.append(took_s)
        breaker.failed(DOWN, probe=True)
        breaker.left(probe=True)
    assert waits == [0.0625, 0.125, 0.125, 0.125]


async def test_what_was_sent_before_the_circuit_opened_neither_closes_nor_prolongs_it() -> None:
    breaker = opened()
    breaker.worked(probe=False)
    assert breaker.is_open
    breaker.failed(DOWN, probe=False)
    assert await admitted(breaker) == (True, 0.0625)


async def test_a_probe_that_is_cancelled_lets_another_one_go() -> None:
    breaker = opened()
    assert (await admitted(breaker))[0]
    waiting = asyncio.create_task(admitted(breaker))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    breaker.left(probe=True)
    assert (await waiting)[0] and breaker.is_open


async def test_who_cannot_be_served_in_time_is_told_at_once_and_why() -> None:
    breaker = CircuitBreaker("http://h", QUICK)
    breaker.hold(Transient("got HTTP 429: quota", wait_s=3600.0, status=429), 3600.0)
    with pytest.raises(Unavailable, match=r"http://h .* 3600 s: got HTTP 429: quota") as caught:
        await admitted(breaker, within_s=60)
    assert caught.value.status == 429


async def test_a_wait_that_the_server_asks_for_is_not_shortened_by_the_cool_down() -> None:
    breaker = CircuitBreaker("http://h", QUICK)
    for _ in range(3):
        breaker.failed(Transient("busy", wait_s=0.25, status=429), probe=False)
    assert await admitted(breaker) == (True, 0.25)


async def test_whoever_passes_at_once_without_a_pace_passes_one_after_another_with_it() -> None:
    loop = asyncio.get_running_loop()
    pace, began = Pace(0.01), loop.time()
    passed: list[float] = []

    async def one() -> None:
        await pace.keep()
        passed.append(loop.time() - began)

    await asyncio.gather(*(one() for _ in range(10)))
    assert passed == pytest.approx([0.01 * i for i in range(10)])
    await asyncio.sleep(0.05)
    before = loop.time()
    await pace.keep()  # after a pause nobody waits
    assert loop.time() == before


async def test_a_deadline_does_not_run_while_it_is_paused() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with Deadline(0.1) as deadline:
            with deadline.paused():
                await asyncio.sleep(0.2)
            assert deadline.when == pytest.approx(began + 0.3)
            await asyncio.sleep(5)
    assert loop.time() - began == pytest.approx(0.3)


def test_cool_downs_fit_several_times_into_a_deadline() -> None:
    within = Patience(cool_down_s=2.0, longest_cool_down_s=60.0).within
    assert (within(8.0).cool_down_s, within(8.0).longest_cool_down_s) == (1.0, 1.0)
    assert (within(600.0).cool_down_s, within(600.0).longest_cool_down_s) == (2.0, 60.0)
