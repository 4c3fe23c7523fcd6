"""Stand-ins for what surrounds a hosted teacher: engine actors that answer, wait or hang."""

from __future__ import annotations

import asyncio
from typing import Any

from tailor_rl.protocols import TeacherReply, TeacherRequest


class FakeActor:
    """An engine's actor as `HostedBackend` calls it. A clear `gate` holds answers back."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.asked: list[TeacherRequest] = []
        self.open = 0
        self.most_open = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "check":
            return None
        (request,) = args
        self.asked.append(request)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.gate.wait()
        finally:
            self.open -= 1
        return TeacherReply(f"{self.what}: {request.prompt}", "own", "stop", 1, 1, paid=True)
