"""How many tokens one pass of this rank may compute, and what happens when they do not fit.

The pass that ran out of memory is made again with half as many, where the other ranks can be kept
out of it: see `accumulate` and `look`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from learners.packing import PASS_TOKENS, Shard, micro_batches
from tailor_rl.errors import LearnerError

# Of allocators that raise a plain RuntimeError: torch's on CPU, CUDA's libraries, C++.
_SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "ALLOC_FAILED",
    "bad_alloc",
)

Result = TypeVar("Result")


@dataclass(slots=True)
class Budget:
    """Tokens of a micro-batch, padding included; lowered for good when memory runs out."""

    tokens: int
    packed: bool = False
    pass_tokens: int = PASS_TOKENS["cpu"]  # what another pass costs beside its tokens
    lowered: bool = False
    _pieces: Sequence[Shard] = ()  # that are gone through now
    _running: Shard | None = None

    def cut(self, shard: Shard) -> list[Shard]:
        return micro_batches(
            shard, max_tokens=self.tokens, packed=self.packed, pass_tokens=self.pass_tokens
        )

    def each(self, pieces: Sequence[Shard]) -> Iterator[Shard]:
        """The micro-batches in turn; the one at which memory ran out is remembered."""
        self._pieces = pieces
        for self._running in pieces:
            yield self._running
        self._pieces, self._running = (), None

    def retried(
        self, attempt: Callable[[], Result], *, forget: Callable[[], None] | None
    ) -> Result:
        """The result of `attempt`, which is called again with a lower budget when it runs out of
        memory, after `forget` has undone what it did; `None` where that cannot be undone.

        Raises LearnerError where nothing can be tried again.
        """
        while True:
            try:
                return attempt()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, where the error has gone: its traceback holds the activations.
            if forget is None:
                raise LearnerError(self._advice())
            forget()
            self._lower()
            release_memory()

    def _lower(self) -> None:
        if not self._can_be_lowered():
            raise LearnerError(self._advice())
        self.tokens = self._half()
        self.lowered = True

    def _can_be_lowered(self) -> bool:
        return any(piece.num_sequences > 1 for piece in self._pieces)

    def _half(self) -> int:
        """Of the largest micro-batch: a budget beyond it would be cut into the same ones again."""
        largest = max((piece.num_computed_tokens for piece in self._pieces), default=self.tokens)
        return max(1, min(self.tokens, largest) // 2)

    def _advice(self) -> str:
        computed = self.tokens if self._running is None else self._running.num_computed_tokens
        pass_over = f"out of memory in a pass over {computed} tokens"
        if self._can_be_lowered():
            return (
                f"{pass_over}, in which ranks exchange parameters or gradients and none can begin "
                f"again alone: set learner.micro_batch_tokens = {self._half()} (it is "
                f"{self.tokens}) and resume the run"
            )
        return (
            f"{pass_over}, one sequence, and learner.micro_batch_tokens = {self.tokens} cannot be "
            f"halved any further: set learner.gradient_checkpointing = true, a higher "
            f"learner.zero_stage over more learner.ranks, or a lower rl.max_tokens, and resume the "
            f"run"
        )


def release_memory() -> None:
    """Give back what nobody can reach, circles of references included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
