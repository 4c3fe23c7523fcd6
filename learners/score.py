"""Forward passes that nothing is learnt from: log-probabilities, entropies, features."""

from __future__ import annotations

import numpy as np
import torch

from learners.accumulate import most_of_all_ranks
from learners.forward import Logits, TrainedTokens, trained_tokens
from learners.packing import Shard, fill_in, micro_batches
from tailor_rl.algorithms.logprobs import entropies, token_logprobs
from tailor_rl.methods.hooks import SFTMethod

Columns = dict[str, np.ndarray]  # "rows" (B,) and columns (B, T) or (B, F)


@torch.no_grad()
def score(
    logits: Logits, shard: Shard, *, temperature: float, max_tokens: int, device: torch.device
) -> Columns:
    """`logprobs` and `entropies` (B, T) of a shard's trained tokens, 0 elsewhere. Collective."""
    shape = (shard.num_sequences, shard.mask.shape[1])
    columns = {
        "logprobs": np.zeros(shape, dtype=np.float32),
        "entropies": np.zeros(shape, dtype=np.float32),
    }
    place_of = {row: i for i, row in enumerate(shard.rows.tolist())}
    for micro in _in_step(shard, max_tokens=max_tokens, device=device):
        tokens = trained_tokens(logits, micro, device=device)
        values = {
            "logprobs": token_logprobs(tokens.logits, tokens.targets, temperature=temperature),
            "entropies": entropies(tokens.logits, temperature=temperature),
        }
        if micro.weights.any():  # no fill-in
            places = [place_of[row] for row in micro.rows.tolist()]
            for name, values_N in values.items():
                block = np.zeros(micro.mask.shape, dtype=np.float32)
                block[micro.mask] = values_N.cpu().numpy()
                columns[name][places, : block.shape[1]] = block
    return {"rows": shard.rows, **columns}


@torch.no_grad()
def features_of(
    logits: Logits, shard: Shard, *, method: SFTMethod, max_tokens: int, device: torch.device
) -> Columns:
    """`features` (B, F): what a method says of each sequence of a shard. Collective."""
    rows: list[int] = []
    features: list[np.ndarray] = []
    for micro in _in_step(shard, max_tokens=max_tokens, device=device):
        tokens = trained_tokens(logits, micro, device=device)
        if micro.weights.any():
            rows += micro.rows.tolist()
            features += [_features(method, tokens, row) for row in range(micro.num_sequences)]
    return {
        "rows": np.array(rows, dtype=np.int64),
        "features": np.stack(features) if features else np.zeros((0, 0), dtype=np.float32),
    }


def _features(method: SFTMethod, tokens: TrainedTokens, row: int) -> np.ndarray:
    own = tokens.sequences == row
    values = method.features(tokens.logits[own], tokens.targets[own])
    return np.asarray(values.float().cpu().numpy())


def _in_step(shard: Shard, *, max_tokens: int, device: torch.device) -> list[Shard]:
    """Micro-batches, as many as every other rank has: ZeRO-3 gathers parameters in each."""
    pieces = micro_batches(shard, max_tokens=max_tokens)
    num = most_of_all_ranks(len(pieces), device=device)
    return pieces + [fill_in()] * (num - len(pieces))
