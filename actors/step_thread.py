"""The one thread that touches vLLM: it builds the engine, runs jobs between steps, and steps.

    generate(), receive() --submit--> inbox --> [ jobs ] --> step() --> futures of finished calls
                                        ^______________________|

consumes: jobs and calls in the inbox; waits for: a job, or unfinished requests (asleep otherwise);
unblocked by: submit, close; produces: results of jobs and calls, on their futures.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from tailor_rl.errors import EngineError

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class Call:
    """Requests that are answered together, in order: one vLLM CompletionOutput each."""

    future: Future[list[Any]]
    ids: list[str]
    outputs: list[Any]  # None while that request is decoding


class StepThread:
    """Owns an engine with vLLM's LLMEngine interface, built by `build` on the thread that steps it.

    Raises what `build` raised. After a step raised, every waiter and every later caller gets an
    EngineError with that cause: nothing is left waiting. `what` names the engine in errors.
    """

    def __init__(self, build: Callable[[], Any], *, what: str = "the engine") -> None:
        self._what = what
        self._inbox: deque[tuple[Callable[[Any], Any], Future[Any]]] = deque()
        self._awake = threading.Condition()
        self._closed = False
        self._death: EngineError | None = None
        self._calls: dict[str, tuple[Call, int]] = {}  # request id -> its call and place
        self._request_ids = itertools.count()
        self.refusal: str | None = None  # why calls are refused although the thread lives
        self.generated_tokens = 0
        self.busy_s = 0.0
        self.progress_at = time.monotonic()  # when a step last ended or an idle time began
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(build, started), name="engine-steps", daemon=True
        )
        self._thread.start()
        started.result()

    @property
    def death(self) -> EngineError | None:
        """Why the thread is gone; None while it lives."""
        if self._death is None and not self._thread.is_alive():
            return EngineError(f"{self._what}'s step thread has ended")
        return self._death

    @property
    def sequences_in_flight(self) -> int:
        return len(self._calls)

    def submit(self, job: Callable[[Any], Result]) -> Future[Result]:
        """Run `job(engine)` on the thread, between two steps. Its error goes to the future."""
        future: Future[Result] = Future()
        with self._awake:
            if self._closed or self.death:
                future.set_exception(self.death or EngineError(f"{self._what} was closed"))
                return future
            self._inbox.append((job, future))
            self._awake.notify()
        return future

    def start(self, prompt: Any, params: Sequence[Any]) -> Call:
        """One request for each of `params`, decoded together with whatever else is in flight."""
        ids = [str(next(self._request_ids)) for _ in params]
        call = Call(Future(), ids, [None] * len(ids))
        admission = self.submit(lambda engine: self._admit(engine, call, prompt, params))
        admission.add_done_callback(lambda done: _fail(call.future, done.exception()))
        return call

    def abandon(self, call: Call) -> None:
        """The caller is gone: stop decoding for it."""
        self.submit(lambda engine: self._drop(engine, call))

    async def answers(
        self, prompt: Any, params: Sequence[Any], *, deadline_s: float = inf, stall_s: float = inf
    ) -> list[Any]:
        """The completions of a call.

        Raises TimeoutError after `deadline_s` seconds, waiting for a place included, and when the
        engine has made no step for `stall_s` seconds, however long it takes while it makes some.
        """
        asked_at = time.monotonic()
        call = self.start(prompt, params)
        answer = asyncio.wrap_future(call.future)
        try:
            async with asyncio.timeout(None if deadline_s == inf else deadline_s):
                while not answer.done():
                    left_s = max(asked_at, self.progress_at) + stall_s - time.monotonic()
                    if left_s <= 0:
                        raise TimeoutError
                    await asyncio.wait([answer], timeout=None if left_s == inf else left_s)
                return answer.result()
        finally:
            answer.cancel()
            if not call.future.done() or call.future.cancelled():
                self.abandon(call)

    def pace(self) -> str:
        """How the engine does, for the error of a caller that waited too long."""
        idle = time.monotonic() - self.progress_at
        return (
            f"the engine's last step ended {idle:.1f} s ago with {self.sequences_in_flight} "
            "sequences in flight"
        )

    def refuse(self, engine: Any, reason: str) -> None:
        """Fail every call, now and later, until `refusal` is None again; on the thread only."""
        self.refusal = reason
        for call in {id(call): call for call, _ in self._calls.values()}.values():
            self._drop(engine, call)
            _fail(call.future, EngineError(reason))

    def deliver(self, outputs: Iterable[Any]) -> None:
        """Hand finished requests to their calls; on the thread only."""
        for output in outputs:
            if not output.finished or output.request_id not in self._calls:
                continue
            call, place = self._calls.pop(output.request_id)
            call.outputs[place] = output.outputs[0]
            self.generated_tokens += len(output.outputs[0].token_ids)
            if all(completion is not None for completion in call.outputs):
                call.future.set_result(call.outputs)

    def close(self) -> None:
        """End the thread and free the engine; callers in flight get an EngineError."""
        with self._awake:
            self._closed = True
            self._awake.notify()
        self._thread.join()

    def _run(self, build: Callable[[], Any], started: Future[None]) -> None:
        try:
            engine = build()
        except BaseException as error:
            self._death = EngineError(f"{self._what} did not start: {error}")
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            while self._work_arrives(engine):
                self._run_jobs(engine)
                self._step(engine)
            self._die(EngineError(f"{self._what} was closed"))
        except BaseException as error:
            self._die(EngineError(f"{self._what}'s step failed: {type(error).__name__}: {error}"))

    def _admit(self, engine: Any, call: Call, prompt: Any, params: Sequence[Any]) -> None:
        if not call.future.set_running_or_notify_cancel():
            return
        # Asked here and not by the caller: a sync may have failed while the call was in the inbox.
        if self.refusal:
            raise EngineError(self.refusal)
        try:
            for place, (request_id, param) in enumerate(zip(call.ids, params, strict=True)):
                # Before vLLM has it: one that it half took in and refused is to be dropped too.
                self._calls[request_id] = (call, place)
                engine.add_request(request_id, prompt, param)
        except Exception as error:
            self._drop(engine, call)
            raise EngineError(f"{self._what} refused a request: {error}") from error

    def _drop(self, engine: Any, call: Call) -> None:
        engine.abort_request([i for i in call.ids if self._calls.pop(i, None)])

    def _work_arrives(self, engine: Any) -> bool:
        with self._awake:
            while not (self._closed or self._inbox or engine.has_unfinished_requests()):
                self._awake.wait()
            return not self._closed

    def _run_jobs(self, engine: Any) -> None:
        while self._inbox:
            # It leaves the inbox when it is done: what ends the thread has to end its waiter too.
            job, future = self._inbox[0]
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job(engine))
                except Exception as error:
                    future.set_exception(error)
            self._inbox.popleft()
        self.progress_at = time.monotonic()

    def _step(self, engine: Any) -> None:
        if not engine.has_unfinished_requests():
            return
        begin = time.monotonic()
        self.deliver(engine.step())
        self.progress_at = time.monotonic()
        self.busy_s += self.progress_at - begin

    def _die(self, error: EngineError) -> None:
        with self._awake:
            self._death = error
            waiting = [future for _, future in self._inbox]
            self._inbox.clear()
        calls = {id(call): call for call, _ in self._calls.values()}
        self._calls.clear()
        for future in [*waiting, *(call.future for call in calls.values())]:
            _fail(future, error)


def _fail(future: Future[Any], error: BaseException | None) -> None:
    """Give a waiter its error, unless it has an answer or is gone."""
    if error is None or future.done():
        return
    with contextlib.suppress(InvalidStateError):  # it may be cancelled at this very moment
        future.set_exception(error)
