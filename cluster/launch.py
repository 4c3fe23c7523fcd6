"""One run on Ray, from a resolved recipe to the last weight sync, leaving nothing behind.

    teachers answer? -> Ray -> does it fit? -> all processes at once -> tailor(...) -> all down

Whatever ends the run (its last step, an error, Ctrl-C, SIGTERM), everything that was started is
stopped in reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from cluster.crew import Crew, build_engines, build_ranks, hire, make_pool, start
from cluster.handles import RankHandle
from cluster.hosted import build_hosted, fetch_hosted_models
from cluster.local import cluster_nodes, ray_session
from cluster.placement import check_fits, make_plan
from cluster.teaching import build_services, open_teachers, teacher_of
from cluster.watch import guarded
from learners.group import LearnerGroup
from tailor_rl.config.needs import trains_student
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.student import fetch_student
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.pool import GraderPool
from tailor_rl.kit import Kit
from tailor_rl.pipeline import make_set, tailor, train
from tailor_rl.protocols import Screen
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.tasks.registry import load_task
from tailor_rl.teachers.endpoints import Endpoint

BOOK = "teacher.sqlite"

Work = Callable[[Kit], Coroutine[Any, Any, None]]


def launch(cfg: RunConfig, folder: RunFolder, screen: Screen) -> None:
    """Run a recipe in a run folder, to the end or to the first error, which is raised.

    Raises ConfigError or TeacherError before any actor starts where the cluster is too small or a
    teacher does not answer.
    """
    _launch(cfg, folder, screen, work=_whole_run)


def demonstrate(cfg: RunConfig, folder: RunFolder, screen: Screen) -> None:
    """Make the SFT set in a run folder, and stop. Learners start only where it takes training."""
    if not trains_student(cfg):
        cfg = cfg.model_copy(update={"learner": cfg.learner.model_copy(update={"ranks": 0})})
    _launch(cfg, folder, screen, work=_set_alone)


async def _whole_run(kit: Kit) -> None:
    await tailor(kit)


async def _set_alone(kit: Kit) -> None:
    await make_set(kit)


def _launch(cfg: RunConfig, folder: RunFolder, screen: Screen, *, work: Work) -> None:
    plan = make_plan(cfg)
    student, models = str(fetch_student(cfg.student)), fetch_hosted_models(cfg)
    with contextlib.ExitStack() as stack:
        endpoints = stack.enter_context(open_teachers(cfg))
        screen.log("starting Ray")
        started_here = stack.enter_context(ray_session(cfg.cluster.address, plan))
        check_fits(plan, cluster_nodes())
        crew = hire(plan, cfg, reserve=not started_here)
        asyncio.run(
            _run(
                cfg,
                crew,
                student=student,
                endpoints=endpoints,
                models=models,
                folder=folder,
                screen=screen,
                work=work,
            )
        )


async def _run(
    cfg: RunConfig,
    crew: Crew,
    *,
    student: str,
    endpoints: Sequence[Endpoint],
    models: Mapping[str, str],
    folder: RunFolder,
    screen: Screen,
    work: Work,
) -> None:
    try:
        building = [
            build_ranks(crew, cfg, student=student),
            build_engines(crew, cfg, student=student),
            build_hosted(crew.hosted, cfg, folders=models),
            build_services(
                crew.teachers,
                cfg,
                endpoints=endpoints,
                hosted=crew.hosted,
                book=folder.path / BOOK,
            ),
        ]
        tokens = await start(
            crew, building, student=student, timeout_s=cfg.cluster.start_timeout_s, log=screen.log
        )
        pool = make_pool(crew, cfg, tokens)
        learner = (
            LearnerGroup(
                [RankHandle(actor) for actor in crew.ranks],
                sft=cfg.sft,
                rl=cfg.rl,
            )
            if crew.ranks
            else None
        )
        journal = RunJournal(folder, screen)
        with GraderPool(cfg.task, cfg.reward) as bench:
            kit = Kit(
                cfg=cfg,
                task=load_task(cfg.task.name, seed=cfg.task.seed, options=cfg.task.options),
                teacher=teacher_of(cfg, crew.teachers),
                pool=pool,
                grader=CountingGrader(
                    bench,
                    max_error_share=cfg.reward.max_error_share,
                    on_failure=lambda failure: journal.append("grade_failures", failure),
                ),
                learner=learner,
                tokens=tokens,
                journal=journal,
                train=train,
            )
            await guarded(work(kit), crew.actors)
    finally:
        await crew.dismiss(screen.log)
