"""All actors of a run, or of an evaluation: placed, built at the same time, and dismissed together.

Start-up lasts as long as the slowest import: every process is asked for before any is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors.pool import EnginePool
from cluster.handles import Actor, EngineHandle, Seat
from cluster.hosted import hire_hosted
from cluster.placement import Plan, Share
from cluster.teaching import hire_services
from cluster.watch import guarded
from tailor_rl.chat import ChatTokens
from tailor_rl.concurrency import together
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, EngineError, LearnerError, TailorError

STALL_S = 600.0  # without one decoding step: the first may compile
ENGINES_SHARE = 0.8  # of a sync's time: an engine gives up first, since it knows why
PLACEMENT_TIMEOUT_S = 60.0
GRACE_S = 5.0


@dataclass(slots=True)
class Crew:
    """The actors of one run, by kind, and the resources reserved for them.

    `teachers` are the services, `hosted` the engines of the teachers that the run hosts, by name.
    """

    ranks: tuple[Actor, ...]
    engines: tuple[Actor, ...]
    hosted: Mapping[str, tuple[Actor, ...]]
    teachers: tuple[Actor, ...]
    group: PlacementGroup | None
    last_words_s: float = 0.0  # how long a teacher's answer may take

    @property
    def actors(self) -> tuple[Actor, ...]:
        hosted = (actor for engines in self.hosted.values() for actor in engines)
        return (*self.ranks, *self.engines, *hosted, *self.teachers)

    async def dismiss(self, log: Callable[[str], None]) -> None:
        """Let teachers write down what was paid for, kill every process, free what was reserved."""
        # Not together(): one that died must not cut short what the others have yet to write down.
        closing = asyncio.gather(
            *(each.call("aclose") for each in self.teachers), return_exceptions=True
        )
        # Cancelled by the Ctrl-C of who does not wait: the actors are to be killed all the same.
        with contextlib.suppress(asyncio.CancelledError, Exception):
            async with asyncio.timeout(self.last_words_s + GRACE_S):
                if not (await asyncio.wait([closing], timeout=GRACE_S))[0]:
                    log(
                        f"waiting up to {self.last_words_s:g} s for answers that the teacher was "
                        "asked for already; Ctrl-C: do not wait, a resumed run asks again"
                    )
                await closing
        for actor in reversed(self.actors):
            actor.kill()
        if self.group is not None:
            remove_placement_group(self.group)


def hire(plan: Plan, cfg: RunConfig, *, reserve: bool) -> Crew:
    """Ask Ray for every process of the plan. Returns once all resources are reserved.

    `reserve` is for a cluster that others use too: raises ConfigError after a minute without room.
    """
    group = _reserve(plan) if reserve else None
    seats = iter(_seats(plan, group))
    ranks = [
        Actor.start(
            f"learner rank {i}",
            Seat(plan.rank, cfg.learner.threads, next(seats)),
            failure=LearnerError,
            concurrent=False,
        )
        for i in range(plan.ranks)
    ]
    engines = [
        Actor.start(
            f"rollout engine {i}",
            Seat(plan.engine, cfg.rollout.threads, next(seats)),
            failure=EngineError,
            concurrent=True,
        )
        for i in range(plan.engines)
    ]
    hosted = hire_hosted(plan, cfg, seats)
    teachers = hire_services(plan.teachers, cfg)
    return Crew(
        tuple(ranks), tuple(engines), hosted, teachers, group, last_words_s=cfg.teacher.timeout_s
    )


def _reserve(plan: Plan) -> PlacementGroup:
    bundles = [_bundle(share) for share in plan.shares]
    group = placement_group(bundles, strategy="PACK")
    if not group.wait(timeout_seconds=PLACEMENT_TIMEOUT_S):
        remove_placement_group(group)
        free = ray.available_resources()
        gpus, cpus = free.get("GPU", 0), free.get("CPU", 0)
        raise ConfigError(
            f"the run needs {plan.gpus:g} GPUs and {plan.cpus:g} CPUs; the cluster has them but "
            f"did not free them within {PLACEMENT_TIMEOUT_S:g} s (free: {gpus:g} GPUs "
            f"and {cpus:g} CPUs); wait for the other jobs or make the run smaller"
        )
    return group


def _bundle(share: Share) -> dict[str, float]:
    return {"CPU": share.cpus} | ({"GPU": share.gpus} if share.gpus else {})


def _seats(plan: Plan, group: PlacementGroup | None) -> list[Any]:
    if group is None:
        return ["DEFAULT"] * len(plan.shares)
    return [
        PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i)
        for i in range(len(plan.shares))
    ]


async def start(
    crew: Crew,
    building: Sequence[Coroutine[Any, Any, None]],
    *,
    student: str,
    timeout_s: float,
    log: Callable[[str], None],
) -> ChatTokens:
    """Build everything at once; the driver's own tokenizer is ready before the slowest actor.

    Raises an actor's death or error as soon as it is known, and TailorError after `timeout_s`.
    """
    kinds = [("learner rank", crew.ranks), ("rollout engine", crew.engines)]
    kinds += [(f"engine of teacher {name}", each) for name, each in crew.hosted.items()]
    log(f"starting {', '.join(_count(len(each), kind) for kind, each in kinds if each)}")
    began = time.monotonic()
    tokens = asyncio.create_task(asyncio.to_thread(ChatTokens, student))
    await guarded(_in_time(together(building), timeout_s), crew.actors)
    log(f"all up after {time.monotonic() - began:.0f} s")
    return await tokens


async def _in_time(building: Coroutine[Any, Any, Any], timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await building
    except TimeoutError as error:
        raise TailorError(
            f"not every process was ready after cluster.start_timeout_s={timeout_s:g} s; "
            "`tailor doctor` may say why"
        ) from error


def _count(number: int, kind: str) -> str:
    noun, *rest = kind.split(" of ")
    return " of ".join([f"{number} {noun}{'' if number == 1 else 's'}", *rest])


def make_pool(crew: Crew, cfg: RunConfig, tokens: ChatTokens) -> EnginePool:
    """The crew's engines behind one queue."""
    return EnginePool(
        [EngineHandle(str(i), actor) for i, actor in enumerate(crew.engines)],
        tokens,
        max_model_len=cfg.rollout.max_model_len,
        stall_s=STALL_S,
        sync_timeout_s=ENGINES_SHARE * cfg.rollout.sync_timeout_s,
    )


async def build_ranks(crew: Crew, cfg: RunConfig, *, student: str) -> None:
    if not crew.ranks:
        return
    learner = cfg.learner
    places = await together([each.place() for each in crew.ranks])
    one_host = len({place.ip for place in places}) == 1
    settings = {
        "world_size": len(crew.ranks),
        "master_addr": "127.0.0.1" if one_host else places[0].ip,
        "master_port": places[0].free_port,
        "student": student,
        "dtype": learner.dtype,
        "zero_stage": learner.zero_stage,
        "threads": learner.threads,
        "device": "cuda" if learner.gpus_per_rank else "cpu",
        "micro_batch_tokens": learner.micro_batch_tokens,
        "packing": learner.packing,
        "attention": learner.attention,
        "gradient_checkpointing": learner.gradient_checkpointing,
        "lora": learner.lora,
        "seed": cfg.seed,
    }
    await together(
        [
            each.build("learners.rank:LearnerRank", {"rank": rank, **settings})
            for rank, each in enumerate(crew.ranks)
        ]
    )


async def build_engines(crew: Crew, cfg: RunConfig, *, student: str) -> None:
    rollout = cfg.rollout
    settings = {
        "model_path": student,
        "dtype": rollout.dtype,
        "max_sequences": rollout.max_sequences,
        "max_model_len": rollout.max_model_len,
        "kv_cache_gib": rollout.kv_cache_gib,
        "threads": rollout.threads,
        "enforce_eager": rollout.enforce_eager,
        "tensor_parallel": rollout.tensor_parallel,
        "gpu_memory_utilization": rollout.gpu_memory_utilization,
        "seed": cfg.seed,
        "device": "cuda" if rollout.gpus_per_engine else "cpu",
    }
    await together([each.build("actors.engine:RolloutEngine", settings) for each in crew.engines])
