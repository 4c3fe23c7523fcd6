"""The paper's baseline: the teacher solves each query with plain step-by-step thinking.

Ours: the paper does not define it. The prompt is prompts/plain.md; right traces are kept, as for
Tailor.
"""

from __future__ import annotations

from tailor_rl.initialisations.taught import taught
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import unguided
from tailor_rl.types import Demonstration


async def demonstrations(kit: Kit) -> list[Demonstration]:
    return await taught(kit, unguided(kit.prompts))
