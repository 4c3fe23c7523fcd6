"""Demonstrations that a teacher writes, whatever it is told: one stage of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import Guides
from tailor_rl.primitives.demonstrate import demonstrate
from tailor_rl.stages.metered import MeteredTeacher
from tailor_rl.stages.once import once
from tailor_rl.types import Demonstration, Problem


async def taught(
    kit: Kit,
    guides: Guides,
    *,
    queries: Sequence[Problem] | None = None,
    keep: Literal["correct", "all", "wrong"] | None = None,
    stage: str = "demonstrate",
    name: str = "traces",
) -> list[Demonstration]:
    """NAME.jsonl: what the teacher writes for each query under `guides`, kept by its grade."""
    cfg, journal = kit.cfg, kit.journal

    async def make() -> Sequence[Demonstration]:
        teacher = MeteredTeacher(kit.teacher, journal)
        kept, counts = await demonstrate(
            kit.queries if queries is None else queries,
            guides,
            teacher,
            kit.grader,
            keep=keep or cfg.demonstrations.keep,
            temperature=cfg.demonstrations.temperature,
            max_tries=cfg.demonstrations.max_tries,
            max_tokens=cfg.teacher.max_tokens,
            on_progress=journal.progress,
        )
        if counts.stopped:
            journal.log(f"{counts.stopped} The stage ends with {len(kept)} demonstrations.")
        journal.write(f"{name}_counts", [counts])
        journal.settle(stage, counts.spent())
        await teacher.settle("demonstrate")
        return kept

    return await once(journal, stage, name=name, kind=Demonstration, make=make)
