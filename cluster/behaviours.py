"""A judge for an evaluation by itself: one teacher of the recipe, in this process, without Ray."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from actors.teacher_service import TeacherService
from cluster.host import load_secret
from tailor_rl.config.schema import RunConfig
from tailor_rl.protocols import Teacher
from tailor_rl.teachers.builtin.server import BuiltinTeacher
from tailor_rl.teachers.endpoints import Endpoint

Result = TypeVar("Result")


def with_judge(
    cfg: RunConfig, work: Callable[[Teacher], Coroutine[Any, Any, Result]], *, book: Path
) -> Result:
    """`work` done with the teacher `measures.judge`, which answers from `book` what it can.

    Raises TeacherError where it does not answer.
    """
    teacher = cfg.teacher.endpoints[cfg.measures.judge]
    load_secret(teacher.api_key_env)
    with contextlib.ExitStack() as stack:
        url = teacher.base_url
        if url == "builtin":
            url = stack.enter_context(BuiltinTeacher()).base_url
        endpoint = Endpoint(
            name=cfg.measures.judge,
            base_url=url,
            model=teacher.model,
            api_key_env=teacher.api_key_env,
            price_prompt=teacher.price_prompt,
            price_completion=teacher.price_completion,
        )
        return asyncio.run(_ask(cfg, endpoint, work, book))


async def _ask(
    cfg: RunConfig,
    endpoint: Endpoint,
    work: Callable[[Teacher], Coroutine[Any, Any, Result]],
    book: Path,
) -> Result:
    service = TeacherService(
        [endpoint],
        requests_in_flight=cfg.teacher.requests_in_flight,
        timeout_s=cfg.teacher.timeout_s,
        deadline_s=cfg.teacher.deadline_s,
        budget_tokens=cfg.teacher.budget_tokens,
        budget_money=cfg.teacher.budget_money,
        book=book,
    )
    try:
        await service.check()
        return await work(service)
    finally:
        await service.aclose()
