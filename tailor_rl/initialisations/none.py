"""No warm start: RL begins from the student as it is."""

from __future__ import annotations

from tailor_rl.kit import Kit
from tailor_rl.types import Demonstration


async def demonstrations(kit: Kit) -> list[Demonstration]:
    return []
