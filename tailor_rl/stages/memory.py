"""Says when a rank has run out of memory and goes on with smaller micro-batches."""

from __future__ import annotations

from collections.abc import Mapping


class MemoryWatch:
    """Remembers the token budget that was told last: one line for each time it falls."""

    def __init__(self) -> None:
        self._told: float | None = None

    def notes(self, step: int, metrics: Mapping[str, float]) -> tuple[str, ...]:
        tokens = metrics.get("micro_batch_tokens")  # there once it was lowered
        if tokens is None or tokens == self._told:
            return ()
        self._told = tokens
        return (
            f"step {step}: out of memory; micro-batches have at most {tokens:g} tokens from now on:"
            f" set learner.micro_batch_tokens={tokens:g} to begin with that",
        )
