"""Going through a shard by micro-batches: forward and backward, or forward alone.

Which ranks must go in step depends on where ranks talk to each other. Up to ZeRO-1 that is after
the last backward pass alone: a rank that runs out of memory before then begins again by itself, and
the others wait. ZeRO-2 exchanges gradients in every backward pass, ZeRO-3 parameters in every
forward pass too: all ranks make equally many, and one that failed would leave the others waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

from learners.budget import Budget
from learners.metrics import Passes
from learners.packing import Shard, fill_in

Measured = TypeVar("Measured")


class Backward(Protocol):
    """What is asked of an engine (engine.py)."""

    @property
    def world_size(self) -> int: ...
    @property
    def goes_in_step(self) -> bool: ...
    @property
    def begins_again_alone(self) -> bool: ...
    def backward(self, loss: torch.Tensor, *, last: bool) -> None: ...
    def forget_gradients(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Accumulated(Generic[Measured]):
    """What was measured in each micro-batch, fill-ins included: there is at least one."""

    measured: list[Measured]
    passes: Passes


def accumulate(
    engine: Backward,
    shard: Shard,
    *,
    loss_of: Callable[[Shard], tuple[torch.Tensor, Measured]],
    budget: Budget,
    device: torch.device,
) -> Accumulated[Measured]:
    """Sum the gradients of `loss_of` over the micro-batches of all ranks. Collective.

    `loss_of` gives a loss and what is measured beside it; it is called for fill-ins too, which
    weigh nothing, and again when memory has run out. Raises LearnerError where that cannot be.
    """

    def attempt() -> Accumulated[Measured]:
        pieces = _with_fill_ins(engine, budget.cut(shard), device=device)
        measured = []
        for i, micro in enumerate(budget.each(pieces)):
            loss, row = loss_of(micro)
            engine.backward(loss, last=i == len(pieces) - 1)
            measured.append(row)
        return Accumulated(measured, _passes(shard, pieces, budget))

    forget = engine.forget_gradients if engine.begins_again_alone else None
    return budget.retried(attempt, forget=forget)


def look(
    shard: Shard,
    visit: Callable[[Shard], Measured],
    *,
    budget: Budget,
    in_step: bool,
    device: torch.device,
) -> list[tuple[Shard, Measured]]:
    """Each micro-batch with what `visit` says of it, without gradients. Collective if `in_step`.

    Then ranks make equally many visits: ZeRO-3 gathers parameters in each.
    """

    def attempt() -> list[tuple[Shard, Measured]]:
        pieces = budget.cut(shard)
        num = most_of_all_ranks(len(pieces), device=device) if in_step else len(pieces)
        visited = [(micro, visit(micro)) for micro in budget.each(pieces)]
        for _ in range(num - len(pieces)):
            visit(fill_in())
        return visited

    with torch.no_grad():
        return budget.retried(attempt, forget=None if in_step else _nothing)


def _with_fill_ins(engine: Backward, pieces: list[Shard], *, device: torch.device) -> list[Shard]:
    """The micro-batches of one step: the last one, whose backward pass exchanges gradients, of two
    tokens where a rank may have begun again before it.
    """
    if engine.goes_in_step:
        num = most_of_all_ranks(len(pieces), device=device)
        return pieces + [fill_in()] * (num - len(pieces))
    return pieces + [fill_in()] * (engine.world_size > 1 or not pieces)


def _passes(shard: Shard, pieces: list[Shard], budget: Budget) -> Passes:
    return Passes(
        num_read_tokens=int(shard.input_lengths.sum()),
        num_computed_tokens=sum(piece.num_computed_tokens for piece in pieces),
        lowered_budget=budget.tokens if budget.lowered else None,
    )


def _nothing() -> None:
    """A forward pass leaves nothing behind."""


def most_of_all_ranks(value: int, *, device: torch.device) -> int:
    """The largest `value` that any rank has. Collective."""
    largest = torch.tensor(value, device=device)
    torch.distributed.all_reduce(largest, op=torch.distributed.ReduceOp.MAX)
    return int(largest.item())
