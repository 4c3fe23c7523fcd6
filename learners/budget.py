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
    _running: Shard | None = None

    def cut(self, shard: Shard) -> list[Shard]:
        return micro_batches(
            shard, max_tokens=self.tokens, packed=self.packed, pass_tokens=self.pass_tokens
        )

    def each(self, pieces: Sequence[Shard]) -> Iterator[Shard]:
        """The micro-batches in turn; the one at which memory ran out is remembered."""
        for self._running in pieces:
            yield self._running
        self._running = None

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
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _lower(self) -> None:
        micro = self._running
        if micro is None or micro.num_sequences == 1:
            raise LearnerError(self._advice())
        self.tokens = self._half()
        self.lowered = True

    def _half(self) -> int:
        """Of what did not fit: a budget that is larger would be cut into the same micro-batches."""
        computed = self.tokens if self._running is None else self._running.num_computed_tokens
        return max(1, min(self.tokens, computed) // 2)

    def _advice(self) -> str:
        micro = self._running
        if micro is not None and micro.num_sequences > 1:
            return (
                f"out of memory in a pass over {micro.num_computed_tokens} tokens, in which ranks "
                f"exchange parameters or gradients and none can begin again alone: set "
                f"learner.micro_batch_tokens = {self._half()} (it is {self.tokens}) and resume the "
                f"run"
            )
        length = "one sequence" if micro is None else f"one sequence of {int(micro.lengths[0])}"
        return (
            f"out of memory in a pass over {length} tokens, and learner.micro_batch_tokens = "
            f"{self.tokens} cannot be halved any further: set learner.gradient_checkpointing = "
            f"true, a higher learner.zero_stage over more learner.ranks, or a lower rl.max_tokens, "
            f"and resume the run"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator refused, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
