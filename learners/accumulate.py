"""One pass over a shard: forward and backward by micro-batches, in step with all other ranks."""

from __future__ import annotations

from collections.abc import Callable

import torch

from learners.engine import Engine
from learners.packing import Shard, fill_in, micro_batches


def accumulate(
    engine: Engine,
    shard: Shard,
    *,
    loss_of: Callable[[Shard], torch.Tensor],
    max_tokens: int,
    device: torch.device,
) -> None:
    """Sum the gradients of `loss_of` over the micro-batches of all ranks. Collective.

    `loss_of` is called for fill-ins too: they weigh nothing.
    """
    pieces = micro_batches(shard, max_tokens=max_tokens)
    num = most_of_all_ranks(len(pieces), device=device)
    pieces += [fill_in()] * (num - len(pieces))
    for i, micro in enumerate(pieces):
        engine.backward(loss_of(micro), last=i == num - 1)


def most_of_all_ranks(value: int, *, device: torch.device) -> int:
    """The largest `value` that any rank has. Collective."""
    largest = torch.tensor(value, device=device)
    torch.distributed.all_reduce(largest, op=torch.distributed.ReduceOp.MAX)
    return int(largest.item())
