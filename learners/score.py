"""Forward passes that nothing is learnt from: log-probabilities, entropies, features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from learners.accumulate import look
from learners.budget import Budget
from learners.forward import Forward, TrainedTokens, by_sequence, trained_tokens
from learners.packing import Shard
from tailor_rl.methods.hooks import SFTMethod

Columns = dict[str, np.ndarray]  # "rows" (B,) and columns (B, T) or (B, F)


def score(
    forward: Forward,
    shard: Shard,
    *,
    temperature: float,
    budget: Budget,
    in_step: bool,
    device: torch.device,
) -> Columns:
    """`logprobs` and `entropies` (B, T) of a shard's trained tokens, 0 elsewhere."""

    def visit(micro: Shard) -> TrainedTokens:
        return trained_tokens(
            forward, micro, temperature=temperature, with_entropies=True, device=device
        )

    visited = look(shard, visit, budget=budget, in_step=in_step, device=device)
    return {
        "rows": shard.rows,
        "logprobs": spread(shard, [(micro, tokens.logprobs) for micro, tokens in visited]),
        "entropies": spread(shard, [(micro, tokens.entropies) for micro, tokens in visited]),
    }


def spread(shard: Shard, visited: Sequence[tuple[Shard, torch.Tensor | None]]) -> np.ndarray:
    """(B, T) float32: the values (N,) of a shard's micro-batches at their trained tokens."""
    values_BT = np.zeros(shard.mask.shape, dtype=np.float32)
    place_of = {row: i for i, row in enumerate(shard.rows.tolist())}
    for micro, values_N in visited:
        assert values_N is not None
        block = np.zeros(micro.mask.shape, dtype=np.float32)
        block[micro.mask] = values_N.float().cpu().numpy()
        places = np.array([place_of[row] for row in micro.rows.tolist()])
        values_BT[places, : micro.tokens.shape[1]] = block
    return values_BT


def features_of(
    forward: Forward,
    shard: Shard,
    *,
    method: SFTMethod,
    budget: Budget,
    in_step: bool,
    device: torch.device,
) -> Columns:
    """`features` (B, F): what a method says of each sequence of a shard."""

    def visit(micro: Shard) -> list[torch.Tensor]:
        return by_sequence(forward, micro, method.features, device=device)

    visited = look(shard, visit, budget=budget, in_step=in_step, device=device)
    rows = [row for micro, _ in visited for row in micro.rows.tolist()]
    features = [each.float().cpu().numpy() for _, some in visited for each in some]
    return {
        "rows": np.array(rows, dtype=np.int64),
        "features": np.stack(features) if features else np.zeros((0, 0), dtype=np.float32),
    }
