"""Cutting a batch: into mini-batches, into one shard a rank, into micro-batches of a budget.

A micro-batch is computed as rows of like length, filled up to the longest, or packed: its sequences
end to end in one row. The last token of a sequence is never computed: it predicts nothing.

Knows nothing about models. Weights are made before the cut into shards (aggregation.py in
tailor_rl/algorithms), so neither shards nor micro-batches can change a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from tailor_rl.batch import rows_of
from tailor_rl.types import Batch

# What another forward and backward pass costs, in tokens: padding is saved for no less. On a CPU
# 42 were measured (4 layers of width 128); on a GPU it is the time in which kernels are launched
# and too little is computed, of which this is an estimate.
PASS_TOKENS = {"cpu": 48, "cuda": 512}


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
    packed: bool = False  # how a micro-batch is computed

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

    @property
    def input_lengths(self) -> np.ndarray:
        """(B,) tokens that the model reads of each sequence."""
        return np.asarray(self.lengths - 1)

    @property
    def num_computed_tokens(self) -> int:
        """What the model reads, padding included."""
        inputs = self.input_lengths
        return int(inputs.sum() if self.packed else self.num_sequences * inputs.max(initial=0))


def split_batch(batch: Batch, num_parts: int) -> list[Batch]:
    """`num_parts` batches of consecutive sequences; fewer where there are fewer sequences."""
    parts = np.array_split(np.arange(batch.num_sequences), min(num_parts, batch.num_sequences))
    return [rows_of(batch, part) for part in parts]


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
    trained_B = np.asarray(batch.mask.any(axis=1))
    for row in longest_first[trained_B[longest_first]]:
        rank = loads.index(min(loads))
        rows_of[rank].append(int(row))
        loads[rank] += int(batch.lengths[row])
    return [_cut(whole, np.array(rows, dtype=np.int64)) for rows in rows_of]


def micro_batches(
    shard: Shard,
    *,
    max_tokens: int,
    packed: bool = False,
    pass_tokens: int = PASS_TOKENS["cpu"],
) -> list[Shard]:
    """Sequences in micro-batches of at most `max_tokens` computed tokens, the largest first.

    Columns beyond the longest are cut off. A longer sequence is alone in its micro-batch. Another
    micro-batch is made where it saves the padding of `pass_tokens`.
    """
    longest_first = np.argsort(-shard.lengths, kind="stable")
    lengths = shard.input_lengths[longest_first]
    like = partial(_like_lengths, pass_tokens=pass_tokens)
    parts = (_fit if packed else like)(lengths, max_tokens)
    return [replace(_cut(shard, longest_first[part]), packed=packed) for part in parts]


def _like_lengths(lengths: np.ndarray, max_tokens: int, pass_tokens: int) -> list[np.ndarray]:
    """Consecutive parts of descending lengths with rows * longest <= max_tokens.

    Of all such cuts the one with the least cost: computed tokens, and `pass_tokens` a micro-batch.
    """
    num = len(lengths)
    cost = np.zeros(num + 1)  # of the first i sequences
    begin = np.zeros(num + 1, dtype=np.int64)  # of the last part among them
    for end in range(1, num + 1):
        computed = np.arange(end, 0, -1) * lengths[:end]  # of a part that begins at i
        allowed = (computed <= max_tokens) | (np.arange(end) == end - 1)
        costs = np.where(allowed, cost[:end] + computed + pass_tokens, np.inf)
        begin[end] = costs.argmin()
        cost[end] = costs[begin[end]]
    parts: list[np.ndarray] = []
    while num:
        parts.append(np.arange(begin[num], num))
        num = int(begin[num])
    return parts[::-1]


def _fit(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Each of descending lengths into the fullest part that has room: best-fit decreasing."""
    parts: list[list[int]] = []
    room = np.zeros(len(lengths), dtype=np.int64)
    for i, length in enumerate(lengths):
        left = np.where(room[: len(parts)] >= length, room[: len(parts)], np.iinfo(np.int64).max)
        best = int(left.argmin()) if len(parts) else 0
        if not parts or room[best] < length:
            best = len(parts)
            parts.append([])
            room[best] = max_tokens
        parts[best].append(i)
        room[best] -= length
    return [np.array(part) for part in parts]


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


def _cut(shard: Shard, rows: np.ndarray) -> Shard:
    """The sequences `rows`, without columns that are padding in all of them."""
    taken = rows_of(shard, rows)
    width = int(taken.lengths.max()) if len(rows) else 0
    wide = {f.name: getattr(taken, f.name) for f in fields(taken)}
    cut: dict[str, Any] = {
        n: a[:, :width] for n, a in wide.items() if isinstance(a, np.ndarray) and a.ndim == 2
    }
    return replace(taken, **cut)
