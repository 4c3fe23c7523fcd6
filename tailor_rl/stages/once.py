"""A stage whose result is a file of rows: made once in the life of a run folder, then read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tailor_rl.protocols import Journal

Row = TypeVar("Row")


async def once(
    journal: Journal,
    stage: str,
    *,
    name: str,
    kind: type[Row],
    make: Callable[[], Awaitable[Sequence[Row]]],
) -> list[Row]:
    """The rows of NAME.jsonl, which `make` provides if this stage has not finished yet."""
    if not journal.finished(stage):
        journal.start(stage)
        journal.write(name, await make())
        journal.finish(stage)
    return journal.read(name, kind)
