"""Ways to make the set that the student is fine-tuned on before RL: one small file each."""

from __future__ import annotations

from typing import Protocol

from tailor_rl.config.schema import RunConfig
from tailor_rl.initialisations import none, rule_based, tailor
from tailor_rl.protocols import Grader, Journal, RolloutPool, Task, Teacher
from tailor_rl.types import Demonstration


class Initialisation(Protocol):
    """An empty list means: no fine-tuning. Called again after a kill: what was paid for is not
    again.
    """

    async def __call__(
        self,
        cfg: RunConfig,
        *,
        task: Task,
        teacher: Teacher,
        pool: RolloutPool,
        grader: Grader,
        journal: Journal,
    ) -> list[Demonstration]: ...


INITIALISATIONS: dict[str, Initialisation] = {
    "tailor": tailor.demonstrations,
    "rule_based": rule_based.demonstrations,
    "none": none.demonstrations,
}
