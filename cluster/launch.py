"""One run on Ray, from a resolved recipe to the last weight sync, leaving nothing behind.

    teacher answers? -> Ray -> does it fit? -> all processes at once -> tailor(...) -> all down

Whatever ends the run (its last step, an error, Ctrl-C, SIGTERM), everything that was started is
stopped in reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

from actors.pool import EnginePool
from cluster.crew import Crew, build_engines, build_ranks, build_teachers, hire
from cluster.handles import EngineHandle, RankHandle, TeacherHandle
from cluster.host import load_secret
from cluster.local import cluster_nodes, ray_session
from cluster.placement import check_fits, make_plan
from cluster.watch import guarded
from learners.group import LearnerGroup
from learners.settings import PolicySettings, SFTSettings
from tailor_rl.chat import ChatTokens
from tailor_rl.concurrency import together
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.student import fetch_student
from tailor_rl.errors import TailorError
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.pool import GraderPool
from tailor_rl.pipeline import tailor
from tailor_rl.protocols import Screen
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.tasks.registry import load_task
from tailor_rl.teachers.builtin.server import BuiltinTeacher
from tailor_rl.teachers.client import ChatClient

START_TIMEOUT_S = 600.0  # a cold file system, and DeepSpeed's first build of its operators
GENERATE_TIMEOUT_S = 600.0
SYNC_TIMEOUT_S = 120.0


def launch(cfg: RunConfig, folder: RunFolder, screen: Screen) -> None:
    """Run a recipe in a run folder, to the end or to the first error, which is raised.

    Raises ConfigError or TeacherError before any actor starts where the cluster is too small or the
    teacher does not answer.
    """
    plan = make_plan(cfg)
    load_secret(cfg.teacher.api_key_env)
    student = str(fetch_student(cfg.student))
    with contextlib.ExitStack() as stack:
        teacher_url = cfg.teacher.base_url
        if plan.teachers:
            if teacher_url == "builtin":
                teacher_url = stack.enter_context(BuiltinTeacher()).base_url
            asyncio.run(_check_teacher(cfg, teacher_url))
        screen.log("starting Ray")
        started_here = stack.enter_context(ray_session(cfg.cluster.address, plan))
        check_fits(plan, cluster_nodes())
        crew = hire(plan, cfg, reserve=not started_here)
        work = _run(
            cfg, crew, student=student, teacher_url=teacher_url, folder=folder, screen=screen
        )
        asyncio.run(work)


async def _check_teacher(cfg: RunConfig, base_url: str) -> None:
    client = ChatClient(
        base_url,
        cfg.teacher.model,
        api_key_env=cfg.teacher.api_key_env,
        timeout_s=cfg.teacher.timeout_s,
        requests_in_flight=1,
    )
    try:
        await client.check()
    finally:
        await client.aclose()


async def _run(
    cfg: RunConfig,
    crew: Crew,
    *,
    student: str,
    teacher_url: str,
    folder: RunFolder,
    screen: Screen,
) -> None:
    try:
        kinds = ("learner rank", crew.ranks), ("rollout engine", crew.engines)
        counts = [_count(len(actors), kind) for kind, actors in kinds if actors]
        screen.log(f"starting {' and '.join(counts)}")
        started = time.monotonic()
        starting = _start(cfg, crew, student=student, teacher_url=teacher_url, folder=folder)
        tokens = await guarded(_in_time(starting), crew.actors)
        screen.log(f"all up after {time.monotonic() - started:.0f} s")
        pool = EnginePool(
            [EngineHandle(str(i), actor) for i, actor in enumerate(crew.engines)],
            tokens,
            max_model_len=cfg.rollout.max_model_len,
            generate_timeout_s=GENERATE_TIMEOUT_S,
            sync_timeout_s=SYNC_TIMEOUT_S,
        )
        learner = LearnerGroup(
            [RankHandle(actor) for actor in crew.ranks],
            sft=SFTSettings.from_config(cfg.sft),
            rl=PolicySettings.from_config(cfg.rl),
        )
        teacher = TeacherHandle(cfg.teacher.model, crew.teachers)
        task = load_task(cfg.task.name, seed=cfg.task.seed, options=cfg.task.options)
        journal = RunJournal(folder, screen)
        with GraderPool(cfg.task, cfg.reward) as bench:
            work = tailor(
                cfg,
                task=task,
                teacher=teacher,
                pool=pool,
                grader=CountingGrader(
                    bench,
                    max_error_share=cfg.reward.max_error_share,
                    on_failure=lambda failure: journal.append("grade_failures", failure),
                ),
                learner=learner,
                tokens=tokens,
                journal=journal,
            )
            await guarded(work, crew.actors)
    finally:
        await crew.dismiss()


async def _start(
    cfg: RunConfig, crew: Crew, *, student: str, teacher_url: str, folder: RunFolder
) -> ChatTokens:
    """Build everything at once; the driver's own tokenizer is ready before the slowest actor."""
    building = together(
        [
            build_ranks(crew, cfg, student=student),
            build_engines(crew, cfg, student=student),
            build_teachers(crew, cfg, base_url=teacher_url, book=folder.path / "teacher.sqlite"),
        ]
    )
    tokens = asyncio.create_task(asyncio.to_thread(ChatTokens, student))
    await building
    return await tokens


async def _in_time(starting: Coroutine[Any, Any, ChatTokens]) -> ChatTokens:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            return await starting
    except TimeoutError as error:
        raise TailorError(
            f"not every process was ready after {START_TIMEOUT_S:g} s; `tailor doctor` may say why"
        ) from error


def _count(number: int, kind: str) -> str:
    return f"{number} {kind}{'' if number == 1 else 's'}"
