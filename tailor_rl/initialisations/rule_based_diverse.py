"""Control: rule-made traces, as diverse as Tailor's. Is it diversity that helps, or the teacher?

Ours: the paper has no such control. As many styles of the task's own solver as Tailor has
primitives, dealt out to the queries as evenly.
"""

from __future__ import annotations

from tailor_rl.initialisations.rule_made import rule_made
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import deal
from tailor_rl.seeds import derive_seed
from tailor_rl.task_extras import HasVariedTraces
from tailor_rl.types import Demonstration, Problem


async def demonstrations(kit: Kit) -> list[Demonstration]:
    """One trace a query. Raises GradeError for a solver that is wrong."""
    task, cfg = kit.task, kit.cfg
    assert isinstance(task, HasVariedTraces), task.name  # checked with the recipe
    styles = deal(
        kit.queries, cfg.primitives.num_primitives, seed=derive_seed(cfg.seed, "demonstrate")
    )

    def write(problem: Problem) -> str:
        return task.varied_trace(problem, styles[problem.id])

    return await rule_made(kit, write, method="varied_trace")
