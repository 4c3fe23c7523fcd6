"""One run on Ray, from a resolved recipe to the last weight sync, leaving nothing behind.

    teacher answers? -> Ray -> does it fit? -> all processes at once -> tailor(...) -> all down

Whatever ends the run (its last step, an error, Ctrl-C, SIGTERM), everything that was started is
stopped in reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib

from cluster.crew import Crew, build_engines, build_ranks, build_teachers, hire, make_pool, start
from cluster.handles import RankHandle, TeacherHandle
from cluster.host import load_secret
from cluster.local import cluster_nodes, ray_session
from cluster.placement import check_fits, make_plan
from cluster.watch import guarded
from learners.group import LearnerGroup
from learners.settings import PolicySettings, SFTSettings
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.student import fetch_student
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.pool import GraderPool
from tailor_rl.pipeline import tailor
from tailor_rl.protocols import Screen
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.tasks.registry import load_task
from tailor_rl.teachers.builtin.server import BuiltinTeacher
from tailor_rl.teachers.client import ChatClient


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
        building = [
            build_ranks(crew, cfg, student=student),
            build_engines(crew, cfg, student=student),
            build_teachers(crew, cfg, base_url=teacher_url, book=folder.path / "teacher.sqlite"),
        ]
        tokens = await start(crew, building, student=student, log=screen.log)
        pool = make_pool(crew, cfg, tokens)
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
