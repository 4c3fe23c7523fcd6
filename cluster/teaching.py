"""The teachers of a run: checked before anything starts, then asked through service actors.

open_teachers: keys -> built-in server -> does every endpoint answer? -> endpoints
hire_services -> build_services(endpoints, backends of hosted teachers) -> TeacherHandle
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.handles import Actor, Seat, TeacherHandle
from cluster.host import load_secret
from cluster.hosted import HostedBackend
from cluster.placement import Share
from tailor_rl.concurrency import together
from tailor_rl.config.needs import needed_teachers, teacher_section
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.teachers import BUILTIN, HOSTED
from tailor_rl.errors import TeacherError
from tailor_rl.teachers.builtin.server import BuiltinTeacher
from tailor_rl.teachers.client import ChatClient
from tailor_rl.teachers.endpoints import Endpoint


@contextlib.contextmanager
def open_teachers(cfg: RunConfig) -> Iterator[list[Endpoint]]:
    """The teachers that the run asks; one built-in server for all that are built in.

    Raises TeacherError (exit code 2) where an endpoint does not answer, has no such model or
    refuses the key. Models that the run hosts start later.
    """
    for env in key_variables(cfg):
        load_secret(env)
    endpoints = _endpoints(cfg)
    with contextlib.ExitStack() as stack:
        if any(each.base_url == BUILTIN for each in endpoints):
            url = stack.enter_context(BuiltinTeacher()).base_url
            endpoints = [
                replace(each, base_url=url) if each.base_url == BUILTIN else each
                for each in endpoints
            ]
        asyncio.run(_check(cfg, [each for each in endpoints if each.base_url != HOSTED]))
        yield endpoints


def key_variables(cfg: RunConfig) -> tuple[str, ...]:
    """The environment variables that hold the teachers' keys, each once."""
    return tuple(dict.fromkeys(each.api_key_env for each in needed_teachers(cfg).values()))


def _endpoints(cfg: RunConfig) -> list[Endpoint]:
    needed = needed_teachers(cfg)
    return [
        Endpoint(
            name=name,
            base_url=each.base_url,
            model=each.model,
            api_key_env=each.api_key_env,
            share=each.share,
            price_prompt=each.price_prompt,
            price_completion=each.price_completion,
            structured_output=each.structured_output,
        )
        for name, each in needed.items()
    ]


async def _check(cfg: RunConfig, endpoints: Sequence[Endpoint]) -> None:
    await together([_check_teacher(cfg, each) for each in endpoints])


async def _check_teacher(cfg: RunConfig, endpoint: Endpoint) -> None:
    client = ChatClient(
        endpoint.base_url,
        endpoint.model,
        api_key_env=endpoint.api_key_env,
        timeout_s=cfg.teacher.timeout_s,
        requests_in_flight=1,
        section=teacher_section(endpoint.name),
    )
    try:
        await client.check()
    finally:
        await client.aclose()


def hire_services(num: int, cfg: RunConfig) -> tuple[Actor, ...]:
    """Ask Ray for `num` teacher services. They know where the keys are, and never travel."""
    if not num:
        return ()
    # The purchase book is a SQLite file, and the built-in teacher listens on loopback: this host.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    seat = Seat(Share(cpus=0, gpus=0), 1, here, secrets=key_variables(cfg))
    return tuple(
        Actor.start(f"teacher service {i}", seat, failure=TeacherError, concurrent=True)
        for i in range(num)
    )


async def build_services(
    services: Sequence[Actor],
    cfg: RunConfig,
    *,
    endpoints: Sequence[Endpoint],
    hosted: Mapping[str, Sequence[Actor]],
    book: Path,
) -> None:
    """`endpoints` as opened; `hosted`: the engines of those that the run hosts, by name."""
    teacher = cfg.teacher
    backends = {
        name: HostedBackend(
            teacher.endpoints[name].model,
            engines,
            requests_in_flight=teacher.requests_in_flight,
            deadline_s=teacher.deadline_s,
        )
        for name, engines in hosted.items()
    }
    settings = {
        "endpoints": [replace(each, backend=backends.get(each.name)) for each in endpoints],
        "requests_in_flight": teacher.requests_in_flight,
        "timeout_s": teacher.timeout_s,
        "deadline_s": teacher.deadline_s,
        "budget_tokens": teacher.budget_tokens,
        "budget_money": teacher.budget_money,
        "book": book,
    }
    await together(
        [each.build("actors.teacher_service:TeacherService", settings) for each in services]
    )


def teacher_of(cfg: RunConfig, services: Sequence[Actor]) -> TeacherHandle:
    """The services as one Teacher, named like TeacherService: the models in the recipe's order."""
    models = [each.model for each in needed_teachers(cfg).values()]
    return TeacherHandle(" + ".join(models), services)
