"""Tailor (arXiv 2511.12429): primitives from the student's failures, demonstrations that follow
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.config.schema import RunConfig
from tailor_rl.primitives.demonstrate import demonstrate
from tailor_rl.primitives.discover import discover
from tailor_rl.protocols import Grader, Journal, RolloutPool, Task, Teacher
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.attempt import attempt
from tailor_rl.stages.metered import MeteredTeacher
from tailor_rl.stages.once import once
from tailor_rl.stages.problems import warm_start_problems
from tailor_rl.types import Attempt, Demonstration, Primitive


async def demonstrations(
    cfg: RunConfig,
    *,
    task: Task,
    teacher: Teacher,
    pool: RolloutPool,
    grader: Grader,
    journal: Journal,
) -> list[Demonstration]:
    """attempts.jsonl, primitives.jsonl and demonstrations.jsonl, each made once."""
    metered = MeteredTeacher(teacher, journal)
    attempts = await attempt(
        cfg.attempts,
        max_tokens=cfg.rl.max_tokens,
        seed=cfg.seed,
        task=task,
        pool=pool,
        grader=grader,
        journal=journal,
    )
    primitives = await _discover(cfg, attempts, metered, journal)
    return await _demonstrate(cfg, primitives, metered, task=task, grader=grader, journal=journal)


async def _discover(
    cfg: RunConfig, attempts: Sequence[Attempt], teacher: Teacher, journal: Journal
) -> list[Primitive]:
    """The teacher reads attempts and writes instructions."""

    async def make() -> Sequence[Primitive]:
        return await discover(
            attempts,
            teacher,
            num_primitives=cfg.primitives.num_primitives,
            attempts_per_request=cfg.primitives.attempts_per_request,
            primitives_per_request=cfg.primitives.primitives_per_request,
            max_requests=cfg.primitives.max_requests,
            temperature=cfg.primitives.temperature,
            max_similarity=cfg.primitives.max_similarity,
            seed=derive_seed(cfg.seed, "discover"),
            max_tokens=cfg.teacher.max_tokens,
            on_progress=journal.progress,
        )

    return await once(journal, "discover", name="primitives", kind=Primitive, make=make)


async def _demonstrate(
    cfg: RunConfig,
    primitives: Sequence[Primitive],
    teacher: Teacher,
    *,
    task: Task,
    grader: Grader,
    journal: Journal,
) -> list[Demonstration]:
    """The teacher solves problems by following a primitive; the grader keeps the right ones."""

    async def make() -> Sequence[Demonstration]:
        kept, counts = await demonstrate(
            warm_start_problems(task, cfg.demonstrations.num_problems),
            primitives,
            teacher,
            grader,
            temperature=cfg.demonstrations.temperature,
            max_tries=cfg.demonstrations.max_tries,
            seed=derive_seed(cfg.seed, "demonstrate"),
            max_tokens=cfg.teacher.max_tokens,
            on_progress=journal.progress,
        )
        journal.spend(
            "demonstrate",
            {
                "problems": counts.problems,
                "dropped_traces": counts.wrong + counts.unusable + counts.ungraded,
            },
        )
        return kept

    return await once(journal, "demonstrate", name="demonstrations", kind=Demonstration, make=make)
