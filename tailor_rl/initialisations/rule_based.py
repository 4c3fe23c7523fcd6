"""The paper's baseline: the task's own solver writes every trace, always right, one pattern."""

from __future__ import annotations

from tailor_rl.initialisations.rule_made import rule_made
from tailor_rl.kit import Kit
from tailor_rl.task_extras import HasTraces
from tailor_rl.types import Demonstration


async def demonstrations(kit: Kit) -> list[Demonstration]:
    """One trace a query. Raises GradeError for a solver that is wrong."""
    assert isinstance(kit.task, HasTraces), kit.task.name  # checked with the recipe
    return await rule_made(kit, kit.task.rule_based_trace, method="rule_based_trace")
