"""An evaluation by itself on Ray: rollout engines that read their weights from a folder, and nobody
who learns or teaches.

    Ray -> does it fit? -> the engines -> work(pool, grader) -> all down
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cluster.crew import Crew, build_engines, hire, make_pool, start
from cluster.local import cluster_nodes, ray_session
from cluster.placement import check_fits, make_plan
from cluster.watch import guarded
from tailor_rl.config.schema import RunConfig
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.pool import GraderPool
from tailor_rl.protocols import Grader, RolloutPool
from tailor_rl.types import GradeFailure

Work = Callable[[RolloutPool, Grader], Coroutine[Any, Any, None]]


def evaluate(
    cfg: RunConfig,
    work: Work,
    *,
    weights: str,
    on_failure: Callable[[GradeFailure], None],
    log: Callable[[str], None],
) -> None:
    """Do `work` with engines that loaded the checkpoint folder `weights`.

    `cfg` has no learner ranks and no initialisation that asks a teacher.
    Raises ConfigError before any engine starts where the cluster is too small; the death of an
    engine is raised.
    """
    plan = make_plan(cfg)
    assert plan.ranks == plan.teachers == 0, plan
    log("starting Ray")
    with ray_session(cfg.cluster.address, plan) as started_here:
        check_fits(plan, cluster_nodes())
        crew = hire(plan, cfg, reserve=not started_here)
        asyncio.run(_evaluate(cfg, work, crew, weights=weights, on_failure=on_failure, log=log))


async def _evaluate(
    cfg: RunConfig,
    work: Work,
    crew: Crew,
    *,
    weights: str,
    on_failure: Callable[[GradeFailure], None],
    log: Callable[[str], None],
) -> None:
    try:
        building = [build_engines(crew, cfg, student=weights)]
        tokens = await start(
            crew, building, student=weights, timeout_s=cfg.cluster.start_timeout_s, log=log
        )
        with GraderPool(cfg.task, cfg.reward) as bench:
            grader = CountingGrader(
                bench, max_error_share=cfg.reward.max_error_share, on_failure=on_failure
            )
            await guarded(work(make_pool(crew, cfg, tokens), grader), crew.actors)
    finally:
        await crew.dismiss(log)
