"""StepThread over a fake vLLM: whatever goes wrong nobody waits forever, and idleness is free."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from actors.step_thread import StepThread
from tailor_rl.errors import EngineError


@dataclass
class Completion:
    token_ids: list[int]


@dataclass
class Output:
    request_id: str
    outputs: list[Completion]
    finished: bool


class FakeLLM:
    """Each request needs `params` steps; a step can be told to raise or to hang."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.aborted: list[str] = []
        self.num_steps = 0
        self.step_s = 0.0
        self.raises: BaseException | None = None
        self.may_step = threading.Event()
        self.may_step.set()

    def add_request(self, request_id: str, prompt: Any, steps: int) -> None:
        # As vLLM's output processor, which knows a request before the engine may refuse it.
        self.left[request_id] = steps
        if steps < 0:
            raise ValueError("no such steps")

    def has_unfinished_requests(self) -> bool:
        return bool(self.left)

    def abort_request(self, ids: list[str]) -> None:
        self.aborted += ids
        for request_id in ids:
            self.left.pop(request_id, None)

    def step(self) -> list[Output]:
        self.may_step.wait(5)
        time.sleep(self.step_s)
        if self.raises:
            raise self.raises
        self.num_steps += 1
        self.left = {request_id: steps - 1 for request_id, steps in self.left.items()}
        done = [request_id for request_id, steps in self.left.items() if steps <= 0]
        for request_id in done:
            del self.left[request_id]
        return [Output(request_id, [Completion([int(request_id)])], True) for request_id in done]


@pytest.fixture
def llm() -> FakeLLM:
    return FakeLLM()


@pytest.fixture
def steps(llm: FakeLLM) -> Any:
    thread = StepThread(lambda: llm)
    yield thread
    llm.may_step.set()
    thread.close()


def cause(future: Future[Any]) -> str:
    error = future.exception(5)
    assert isinstance(error, EngineError)
    return str(error)


def test_a_call_is_answered_in_the_order_of_its_requests(steps: StepThread) -> None:
    call = steps.start("prompt", [3, 1, 2])
    tokens = [completion.token_ids for completion in call.future.result(5)]
    assert tokens == [[0], [1], [2]]
    assert (steps.generated_tokens, steps.sequences_in_flight) == (3, 0)


def test_a_call_joins_those_that_are_decoding(steps: StepThread, llm: FakeLLM) -> None:
    llm.may_step.clear()
    long = steps.start("prompt", [50])
    short = steps.start("prompt", [1])
    llm.may_step.set()
    short.future.result(5)
    long.future.result(5)
    assert llm.num_steps == 50


def test_a_step_that_raises_fails_every_waiter_and_every_later_caller(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.may_step.clear()
    calls = [steps.start("prompt", [9]) for _ in range(2)]
    llm.raises = RuntimeError("out of memory")
    llm.may_step.set()
    for call in calls:
        assert "RuntimeError: out of memory" in cause(call.future)
    assert "out of memory" in cause(steps.start("prompt", [1]).future)
    assert "out of memory" in cause(steps.submit(lambda _: None))
    assert steps.death is not None


def test_even_a_system_exit_inside_a_step_leaves_nobody_waiting(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.raises = SystemExit(1)
    assert "SystemExit" in cause(steps.start("prompt", [9]).future)


def test_even_a_system_exit_inside_a_job_leaves_nobody_waiting(steps: StepThread) -> None:
    def load(engine: Any) -> None:
        raise SystemExit(1)

    assert "SystemExit" in cause(steps.submit(load))
    assert "SystemExit" in cause(steps.start("prompt", [1]).future)


def test_closing_ends_calls_in_flight_with_an_error(llm: FakeLLM) -> None:
    thread = StepThread(lambda: llm)
    llm.may_step.clear()
    call = thread.start("prompt", [1_000_000])
    closing = threading.Thread(target=thread.close)
    closing.start()
    llm.may_step.set()
    assert "closed" in cause(call.future)
    closing.join(5)
    assert "closed" in cause(thread.start("prompt", [1]).future)


def test_a_bad_request_fails_its_own_call_alone(steps: StepThread, llm: FakeLLM) -> None:
    bad = steps.start("prompt", [5, -1])
    good = steps.start("prompt", [2])
    assert "no such steps" in cause(bad.future)
    assert len(good.future.result(5)) == 1
    assert llm.aborted == ["0", "1"]


def test_an_abandoned_call_is_decoded_no_further(steps: StepThread, llm: FakeLLM) -> None:
    llm.may_step.clear()
    call = steps.start("prompt", [1_000_000])
    steps.abandon(call)
    llm.may_step.set()
    steps.submit(lambda _: None).result(5)
    assert (llm.left, steps.sequences_in_flight) == ({}, 0)


async def test_a_call_may_take_as_long_as_it_likes_while_steps_are_made(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.step_s = 0.02
    begin = time.monotonic()
    (answer,) = await steps.answers("", [15], stall_s=0.2)
    assert time.monotonic() - begin > 0.3 > 0.2
    assert answer.token_ids == [0]


async def test_a_call_to_a_thread_that_stands_still_is_given_up_and_abandoned(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.may_step.clear()
    with pytest.raises(TimeoutError):
        await steps.answers("", [3], stall_s=0.1)
    llm.may_step.set()
    assert steps.submit(lambda engine: engine.left).result(5) == {}


async def test_a_deadline_ends_a_call_though_steps_are_made(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.step_s = 0.02
    with pytest.raises(TimeoutError):
        await steps.answers("", [100], deadline_s=0.1)
    assert steps.submit(lambda engine: engine.left).result(5) == {}


def test_a_refusing_thread_fails_calls_that_were_already_in_the_inbox(
    steps: StepThread, llm: FakeLLM
) -> None:
    llm.may_step.clear()
    decoding = steps.start("prompt", [9])
    steps.submit(lambda engine: steps.refuse(engine, "sync failed"))
    waiting = steps.start("prompt", [1])
    llm.may_step.set()
    assert cause(decoding.future) == cause(waiting.future) == "sync failed"
    assert llm.left == {}


def test_a_job_that_raises_is_its_callers_trouble_alone(steps: StepThread) -> None:
    def job(_: Any) -> None:
        raise KeyError("lm_head")

    assert isinstance(steps.submit(job).exception(5), KeyError)
    assert steps.start("prompt", [1]).future.result(5)


def test_an_engine_that_cannot_be_built_says_why() -> None:
    def build() -> Any:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        StepThread(build)


def test_an_idle_thread_uses_no_processor_time(steps: StepThread, llm: FakeLLM) -> None:
    steps.start("prompt", [2]).future.result(5)
    used, num_steps = time.process_time(), llm.num_steps
    time.sleep(0.5)
    assert time.process_time() - used < 0.1
    assert llm.num_steps == num_steps
