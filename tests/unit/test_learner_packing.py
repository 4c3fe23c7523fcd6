"""Cutting a batch loses, repeats and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from learners.packing import Shard, fill_in, micro_batches, shard_batch, split_batch
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.types import Batch


def make_batch(lengths: list[int]) -> Batch:
    random = np.random.default_rng(0)
    shape = (len(lengths), max(lengths))
    real = np.arange(shape[1]) < np.array(lengths)[:, None]
    mask = real & (np.arange(shape[1]) > 0)
    return Batch(
        tokens=random.integers(1, 1000, shape) * real,
        mask=mask,
        rollout_logprobs=(random.normal(size=shape) * mask).astype(np.float32),
        advantages=(random.normal(size=shape) * mask).astype(np.float32),
        lengths=np.array(lengths),
    )


def whole(batch: Batch) -> list[Shard]:
    return shard_batch(batch, token_mean(batch.mask), num_ranks=1)


def trained(shards: Iterable[Shard]) -> Counter[tuple[float, ...]]:
    """Every trained token with all that belongs to it, and how often it occurs."""
    rows: Counter[tuple[float, ...]] = Counter()
    for shard in shards:
        fields = (shard.tokens, shard.rollout_logprobs, shard.advantages, shard.weights)
        rows.update(zip(*(field[shard.mask].tolist() for field in fields), strict=True))
    return rows


LENGTHS = [5, 30, 2, 17, 17, 9, 30, 4, 11]


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 12])
def test_shards_hold_every_trained_token_once(num_ranks: int) -> None:
    batch = make_batch(LENGTHS)
    shards = shard_batch(batch, token_mean(batch.mask), num_ranks=num_ranks)
    assert len(shards) == num_ranks
    assert trained(shards) == trained(whole(batch))
    assert sum(float(shard.weights.sum()) for shard in shards) == pytest.approx(1)
    assert sum(shard.num_sequences for shard in shards) == batch.num_sequences


def test_shards_have_nearly_equal_numbers_of_tokens() -> None:
    batch = make_batch(LENGTHS)
    shards = shard_batch(batch, token_mean(batch.mask), num_ranks=2)
    loads = [shard.num_tokens for shard in shards]
    assert abs(loads[0] - loads[1]) <= min(LENGTHS)


@pytest.mark.parametrize("max_tokens", [1, 31, 60, 10_000])
def test_micro_batches_hold_every_trained_token_once_within_the_budget(max_tokens: int) -> None:
    (shard,) = whole(make_batch(LENGTHS))
    pieces = micro_batches(shard, max_tokens=max_tokens)
    assert trained(pieces) == trained([shard])
    for piece in pieces:
        assert piece.tokens.shape[1] == piece.lengths.max()
        assert piece.tokens.size <= max_tokens or piece.num_sequences == 1


def test_micro_batches_of_like_lengths_need_little_padding() -> None:
    (shard,) = whole(make_batch([30, 3] * 10))
    pieces = micro_batches(shard, max_tokens=60)
    assert sum(piece.tokens.size for piece in pieces) == shard.num_tokens


def test_a_rank_without_sequences_has_no_micro_batches() -> None:
    batch = make_batch([4])
    shards = shard_batch(batch, token_mean(batch.mask), num_ranks=2)
    assert [len(micro_batches(shard, max_tokens=100)) for shard in shards] == [1, 0]


def test_a_fill_in_can_be_learnt_from_and_weighs_nothing() -> None:
    assert fill_in().num_trained_tokens == 1
    assert not fill_in().mask[:, 0].any()
    assert not fill_in().weights.any()


def test_split_keeps_the_order_and_never_makes_an_empty_part() -> None:
    batch = make_batch(LENGTHS)
    parts = split_batch(batch, 4)
    assert np.array_equal(np.concatenate([part.tokens for part in parts]), batch.tokens)
    assert [part.num_sequences for part in split_batch(batch, 100)] == [1] * len(LENGTHS)
