"""Cutting a batch: into mini-batches, into one shard a rank, into micro-batches of a budget.

Knows nothing about models. Weights are made before the cut into shards (aggregation.py in
tailor_rl/algorithms), so neither shards nor micro-batches can change a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from tailor_rl.types import Batch


@dataclass(frozen=True, slots=True)
class Shard:
    """Some sequences of a batch, with the weight of every token in the loss of the whole batch.

    The optional arrays are those of `Batch`; None where no part of the loss reads them.
    """

    tokens: np.ndarray  # (B, T) int64
    mask: np.ndarray  # (B, T) bool
    rollout_logprobs: np.ndarray  # (B, T) float32
    advantages: np.ndarray  # (B, T) float32
    weights: np.ndarray  # (B, T) float32
    lengths: np.ndarray  # (B,) int64
    rows: np.ndarray  # (B,) int64: where each sequence stands in the batch
    proximal_logprobs: np.ndarray | None = None
    reference_logprobs: np.ndarray | None = None
    old_values: np.ndarray | None = None
    returns: np.ndarray | None = None
    supervised: np.ndarray | None = None  # (B,) bool

    @property
    def num_sequences(self) -> int:
        return int(self.tokens.shape[0])

    @property
    def num_tokens(self) -> int:
        """Prompts and completions, without padding."""
        return int(self.lengths.sum())

    @property
    def num_trained_tokens(self) -> int:
        return int(self.mask.sum())


def split_batch(batch: Batch, num_parts: int) -> list[Batch]:
    """`num_parts` batches of consecutive sequences; fewer where there are fewer sequences."""
    parts = np.array_split(np.arange(batch.num_sequences), min(num_parts, batch.num_sequences))
    return [take(batch, part) for part in parts]


def shard_batch(batch: Batch, weights_BT: np.ndarray, *, num_ranks: int) -> list[Shard]:
    """One shard a rank, with nearly equal numbers of tokens; a rank may get none.

    Sequences that nothing is trained in are left out.
    """
    whole = Shard(
        tokens=batch.tokens,
        mask=batch.mask,
        rollout_logprobs=batch.rollout_logprobs,
        advantages=batch.advantages,
        weights=weights_BT,
        lengths=batch.lengths,
        rows=np.arange(batch.num_sequences),
        proximal_logprobs=batch.proximal_logprobs,
        reference_logprobs=batch.reference_logprobs,
        old_values=batch.old_values,
        returns=batch.returns,
        supervised=batch.supervised,
    )
    rows_of: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0] * num_ranks
    longest_first = np.argsort(-batch.lengths, kind="stable")
    trained_B = batch.mask.any(axis=1)
    for row in longest_first[trained_B[longest_first]]:
        rank = loads.index(min(loads))
        rows_of[rank].append(int(row))
        loads[rank] += int(batch.lengths[row])
    return [_cut(whole, np.array(rows, dtype=np.int64)) for rows in rows_of]


def micro_batches(shard: Shard, *, max_tokens: int) -> list[Shard]:
    """Sequences of like length together, with rows * longest <= max_tokens.

    Padding beyond the longest is cut off. A sequence longer than `max_tokens` is alone in its own.
    """
    batches: list[Shard] = []
    rows: list[int] = []
    for row in np.argsort(-shard.lengths, kind="stable"):
        longest = int(shard.lengths[rows[0]]) if rows else 0
        if rows and (len(rows) + 1) * longest > max_tokens:
            batches.append(_cut(shard, np.array(rows)))
            rows = []
        rows.append(int(row))
    if rows:
        batches.append(_cut(shard, np.array(rows)))
    return batches


def fill_in() -> Shard:
    """A micro-batch that weighs nothing, for a rank that has run out while others have not.

    Every rank must run equally many: each exchanges gradients (ZeRO-2) and parameters (ZeRO-3).
    """
    zeros = np.zeros((1, 2), dtype=np.float32)
    return Shard(
        tokens=np.zeros((1, 2), dtype=np.int64),
        mask=np.array([[False, True]]),
        rollout_logprobs=zeros,
        advantages=zeros,
        weights=zeros,
        lengths=np.array([2], dtype=np.int64),
        rows=np.zeros(1, dtype=np.int64),
        returns=zeros,
        old_values=zeros,
    )


Rows = TypeVar("Rows", Batch, Shard)


def take(batch: Rows, rows: np.ndarray) -> Rows:
    """The sequences `rows` of a batch or shard, as wide as it was."""
    arrays = {f.name: getattr(batch, f.name) for f in fields(batch)}
    taken = {n: a[rows] for n, a in arrays.items() if a is not None}
    return replace(batch, **taken)


def _cut(shard: Shard, rows: np.ndarray) -> Shard:
    """The sequences `rows`, without columns that are padding in all of them."""
    taken = take(shard, rows)
    width = int(taken.lengths.max()) if len(rows) else 0
    wide = {f.name: getattr(taken, f.name) for f in fields(taken)}
    return replace(
        taken, **{n: a[:, :width] for n, a in wide.items() if a is not None and a.ndim == 2}
    )
