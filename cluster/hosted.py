"""Teachers that a run hosts itself: their engines as actors, and how a teacher service asks them.

service --before_sending--> HostedBackend --least busy--> engine actor: HostedTeacher
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from actors.vllm_process import EngineSettings
from cluster.handles import Actor, Seat
from cluster.placement import Plan
from tailor_rl.concurrency import together
from tailor_rl.config.needs import teacher_section
from tailor_rl.config.schema import EndpointConfig, RunConfig
from tailor_rl.config.student import fetch_student
from tailor_rl.config.teachers import hosted_teachers
from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply, TeacherRequest

# The engine keeps the deadline; this is for one that has stopped altogether and cannot.
GRACE_S = 30.0


class HostedBackend:
    """Implements `tailor_rl.teachers.backend.Backend` over the engines of one hosted teacher.

    It travels into the service actors, of which each counts and bounds its own requests.
    """

    def __init__(
        self, name: str, actors: Sequence[Actor], *, requests_in_flight: int, deadline_s: float
    ) -> None:
        self.name = name
        self._actors = tuple(actors)
        self._requests_in_flight = requests_in_flight
        self._deadline_s = deadline_s
        self._places = asyncio.Semaphore(requests_in_flight)
        self._busy = [0] * len(self._actors)
        self._asked = [0] * len(self._actors)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.name, self._actors, self._requests_in_flight, self._deadline_s)

    async def complete(
        self, request: TeacherRequest, *, before_sending: Callable[[], None] | None = None
    ) -> TeacherReply:
        """One answer. Raises UnusableAnswer or TeacherError as the engine does, and TeacherError
        for an engine that died or is silent.
        """
        async with self._places:
            if before_sending is not None:
                before_sending()
            # The fewest requests first; among equals the one that was asked least.
            pairs = zip(self._busy, self._asked, range(len(self._actors)), strict=True)
            index = min(pairs)[-1]
            self._busy[index] += 1
            self._asked[index] += 1
            try:
                return await self._ask(self._actors[index], request)
            finally:
                self._busy[index] -= 1

    async def check(self) -> None:
        """Raises TeacherError where an engine cannot answer."""
        await together([actor.call("check") for actor in self._actors])

    async def aclose(self) -> None:
        """The engines belong to the run: nothing to close."""

    async def _ask(self, actor: Actor, request: TeacherRequest) -> TeacherReply:
        try:
            async with asyncio.timeout(self._deadline_s + GRACE_S):
                reply: TeacherReply = await actor.call(
                    "complete", request, deadline_s=self._deadline_s
                )
        except TimeoutError as error:
            raise TeacherError(
                f"{actor.what} said nothing within {self._deadline_s + GRACE_S:g} s, not even that "
                "it is late: its process hangs"
            ) from error
        return reply


def _rebuild(
    name: str, actors: Sequence[Actor], requests_in_flight: int, deadline_s: float
) -> HostedBackend:
    return HostedBackend(name, actors, requests_in_flight=requests_in_flight, deadline_s=deadline_s)


def hire_hosted(plan: Plan, cfg: RunConfig, seats: Iterator[Any]) -> dict[str, tuple[Actor, ...]]:
    """Ask Ray for the engines of every hosted teacher; `seats` are scheduling strategies."""
    endpoints = cfg.teacher.endpoints
    return {
        each.name: tuple(
            Actor.start(
                f"engine {i} of hosted teacher {each.name!r}",
                Seat(each.engine, endpoints[each.name].hosted.threads, next(seats)),
                failure=TeacherError,
                concurrent=True,
            )
            for i in range(each.engines)
        )
        for each in plan.hosted
    }


def fetch_hosted_models(cfg: RunConfig) -> dict[str, str]:
    """The folder of each hosted teacher's model, downloaded where it has to be."""
    return {
        name: str(fetch_student(endpoint.model, key=f"{teacher_section(name)}.model"))
        for name, endpoint in hosted_teachers(cfg).items()
    }


async def build_hosted(
    actors: Mapping[str, Sequence[Actor]], cfg: RunConfig, *, folders: Mapping[str, str]
) -> None:
    """Load each hosted teacher's model in its engines."""
    endpoints = cfg.teacher.endpoints
    await together(
        [
            actor.build(
                "actors.hosted_teacher:HostedTeacher",
                {
                    "settings": _engine_settings(endpoints[name], folders[name], seed=cfg.seed),
                    "name": endpoints[name].model,
                },
            )
            for name, engines in actors.items()
            for actor in engines
        ]
    )


def _engine_settings(endpoint: EndpointConfig, folder: str, *, seed: int) -> EngineSettings:
    hosted = endpoint.hosted
    return EngineSettings(
        model_path=folder,
        dtype=hosted.dtype,
        max_sequences=hosted.max_sequences,
        max_model_len=hosted.max_model_len,
        kv_cache_gib=hosted.kv_cache_gib,
        threads=hosted.threads,
        enforce_eager=hosted.enforce_eager,
        tensor_parallel=hosted.tensor_parallel,
        gpu_memory_utilization=hosted.gpu_memory_utilization,
        seed=seed,
        device="cuda" if hosted.gpus_per_engine else "cpu",
    )
