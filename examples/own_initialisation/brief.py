"""An initialisation of one's own: the teacher is told to be brief.

One `async def` that takes a Kit (tailor_rl/kit.py: recipe, task, teacher, engines, grader, learner,
journal) and returns demonstrations. Matching, lineage and the data set are the pipeline's business.
"""

from __future__ import annotations

from tailor_rl.initialisations.taught import taught
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import Guide
from tailor_rl.types import Demonstration, Problem

INSTRUCTION = "Use as few steps as you can: write only what the answer rests on."


async def brief(kit: Kit) -> list[Demonstration]:
    """One trace a query; `taught` buys, grades, keeps and counts."""
    prompts = kit.prompts

    def guide(problem: Problem, sample: int) -> Guide:
        asked = prompts.demonstrate(problem.prompt, instruction=INSTRUCTION)
        return Guide(asked, label="brief")

    return await taught(kit, guide)
