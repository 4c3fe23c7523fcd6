"""The only file that talks to Ray actors: engines, ranks and teachers as the rest knows them.

An exception of Ray's becomes one of errors.py: the remote exception itself where it is one of
ours, else one sentence with the root cause.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from actors.handles import RawRollout, ReceiveReport
from cluster.host import AsyncHost, Host, Place
from cluster.placement import Share
from tailor_rl.errors import TailorError
from tailor_rl.protocols import TeacherReply, TeacherRequest, TeacherSpent

WATCH_PERIOD_S = 1.0
# Ray holds back what is beyond, by default at 1000: a stage may ask that much of one actor at once,
# and a sync, a check or an order to close would wait behind it.
CALLS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Seat:
    """Where an actor is to run: its share, and what else Ray must know to place it."""

    share: Share
    threads: int
    strategy: Any = "DEFAULT"  # a ray scheduling strategy
    secrets: tuple[str, ...] = ()  # environment variables whose <name>_FILE it must know


class Actor:
    """One Ray actor around one plain object. `what` names it to people: "learner rank 1"."""

    def __init__(
        self,
        what: str,
        handle: ActorHandle,
        *,
        failure: type[TailorError],
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.what = what
        self._handle = handle
        self._failure = failure
        self._secrets = secrets

    @classmethod
    def start(cls, what: str, seat: Seat, *, failure: type[TailorError], concurrent: bool) -> Actor:
        """Ask Ray for the actor; returns at once. Its process holds nothing until `build`."""
        env = {"OMP_NUM_THREADS": str(seat.threads)}
        for secret in seat.secrets:
            if path := os.environ.get(f"{secret}_FILE"):
                env[f"{secret}_FILE"] = path
        options = ray.remote(AsyncHost if concurrent else Host).options(
            num_cpus=seat.share.cpus,
            num_gpus=seat.share.gpus,
            max_concurrency=CALLS_AT_ONCE if concurrent else 1,
            max_restarts=0,
            scheduling_strategy=seat.strategy,
            runtime_env={"env_vars": env},
        )
        return cls(what, options.remote(), failure=failure, secrets=seat.secrets)

    async def place(self) -> Place:
        return await self._result(self._handle.place.remote())

    async def build(self, target: str, kwargs: Mapping[str, Any]) -> None:
        """Import "module:Class" in the actor and construct it there."""
        await self._result(self._handle.build.remote(target, kwargs, self._secrets))

    async def watch(self) -> NoReturn:
        """Raise as soon as the process is dead; else never return.

        The calls of a learner rank queue behind its work, and a queued call fails with its actor
        too.
        """
        while True:
            await self._result(self._handle.ping.remote())
            await asyncio.sleep(WATCH_PERIOD_S)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Run a method over there. An ObjectRef among `args` arrives as its value."""
        return await self._result(self._handle.call.remote(method, *args, **kwargs))

    async def call_while_wanted(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `call`; when the caller is cancelled, the coroutine over there is too."""
        reference = self._handle.call.remote(method, *args, **kwargs)
        try:
            return await self._result(reference)
        except asyncio.CancelledError:
            ray.cancel(reference)
            raise

    async def put(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Run a method and leave its result in the object store: an ObjectRef, once it is there."""
        put = self._handle.put.options(num_returns=2)
        value, done = put.remote(method, *args, **kwargs)
        await self._result(done)
        return value

    def kill(self) -> None:
        ray.kill(self._handle, no_restart=True)

    async def _result(self, reference: Any) -> Any:
        try:
            return await reference
        except RayError as error:
            raise self._translated(error) from error

    def _translated(self, error: RayError) -> TailorError:
        if isinstance(error, RayTaskError):
            cause = error.cause
            if isinstance(cause, TailorError):
                return cause
            if not isinstance(cause, RayError):
                return self._failure(f"{self.what} failed: {type(cause).__name__}: {cause}")
            error = cause
        if isinstance(error, RayActorError):
            return self._failure(_obituary(self.what, error))
        return self._failure(f"{self.what} failed: {_sentence(error)}")


def _obituary(what: str, error: RayActorError) -> str:
    pid = re.search(r"pid: (\d+)", str(error))
    process = f"its process {pid.group(1)}" if pid else "its process"
    return f"{what} died: {process} ended without being asked to (killed, crashed or out of memory)"


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class EngineHandle:
    """A rollout engine in an actor, as `actors.pool` knows it."""

    def __init__(self, name: str, actor: Actor) -> None:
        self.name = name
        self._actor = actor

    async def generate(
        self,
        prompt_ids: Sequence[int],
        *,
        num: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int,
        stall_s: float,
    ) -> list[RawRollout]:
        rollouts: list[RawRollout] = await self._actor.call_while_wanted(
            "generate",
            prompt_ids,
            num=num,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            seed=seed,
            stall_s=stall_s,
        )
        return rollouts

    async def health(self) -> None:
        """Raises EngineError where this engine cannot generate."""
        await self._actor.call("health")

    async def receive(self, reference: Any, *, deadline_s: float) -> ReceiveReport:
        """`reference` is a bundle's ObjectRef: all engines of a host read the same memory."""
        report: ReceiveReport = await self._actor.call("receive", reference, deadline_s=deadline_s)
        return report


class RankHandle:
    """A learner rank in an actor, as `learners.group` knows it."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await self._actor.call(method, *args, **kwargs)

    async def put(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await self._actor.put(method, *args, **kwargs)


class TeacherHandle:
    """A Teacher over several services. Equal questions go to the same one, which buys them once."""

    def __init__(self, name: str, actors: Sequence[Actor]) -> None:
        self.name = name
        self._actors = tuple(actors)

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        actor = self._actors[place_of(request, len(self._actors))]
        reply: TeacherReply = await actor.call("complete", request)
        return reply

    async def spent(self) -> Mapping[str, TeacherSpent]:
        """All services write to one book: any of them can say."""
        spent: Mapping[str, TeacherSpent] = await self._actors[0].call("spent")
        return spent


def place_of(request: TeacherRequest, num: int) -> int:
    """Which of `num` services a request goes to: the same in every process and after a resume.

    By what is asked alone. Why it is asked and of whom must not count: such requests may still be
    one purchase.
    """
    asked = [
        request.system,
        request.prompt,
        request.temperature,
        request.max_tokens,
        request.sample,
    ]
    digest = hashlib.sha256(json.dumps(asked).encode()).digest()
    return int.from_bytes(digest[:8], "big") % num
