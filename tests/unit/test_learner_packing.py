"""Cutting a batch loses, repeats and changes nothing."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.packing import Shard, fill_in, micro_batches, shard_batch, split_batch
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.chat import ChatTokens
from tailor_rl.task_extras import HasTraces
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Batch

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("max_tokens", [1, 31, 60, 10_000])
def test_micro_batches_hold_every_trained_token_once_within_the_budget(
    max_tokens: int, packed: bool
) -> None:
    (shard,) = whole(make_batch(LENGTHS))
    pieces = micro_batches(shard, max_tokens=max_tokens, packed=packed)
    assert trained(pieces) == trained([shard])
    for piece in pieces:
        assert piece.tokens.shape[1] == piece.lengths.max()
        assert piece.num_computed_tokens <= max_tokens or piece.num_sequences == 1


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=9),
    max_tokens=st.integers(1, 200),
    pass_tokens=st.integers(0, 60),
)
def test_no_cut_into_like_lengths_is_cheaper(
    lengths: list[int], max_tokens: int, pass_tokens: int
) -> None:
    (shard,) = whole(make_batch(lengths))
    pieces = micro_batches(shard, max_tokens=max_tokens, pass_tokens=pass_tokens)
    inputs = np.sort(shard.input_lengths)[::-1]

    def cheapest(rest: np.ndarray) -> float:
        """By trying every first part."""
        if not len(rest):
            return 0
        return min(
            size * int(rest[0]) + pass_tokens + cheapest(rest[size:])
            for size in range(1, len(rest) + 1)
            if size == 1 or size * int(rest[0]) <= max_tokens
        )

    cost = sum(piece.num_computed_tokens + pass_tokens for piece in pieces)
    assert cost == cheapest(inputs)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=30), max_tokens=st.integers(59, 200)
)
def test_packed_sequences_leave_no_two_micro_batches_that_fit_into_one(
    lengths: list[int], max_tokens: int
) -> None:
    (shard,) = whole(make_batch(lengths))
    pieces = micro_batches(shard, max_tokens=max_tokens, packed=True)
    sizes = sorted(piece.num_computed_tokens for piece in pieces)
    assert sum(sizes) == int(shard.input_lengths.sum())
    assert len(sizes) == 1 or sizes[0] + sizes[1] > max_tokens


def demo_lengths() -> np.ndarray:
    """Tokens of the demo's own problems, with the solutions of the task's solver."""
    recipe = tomllib.loads((ROOT / "recipes/demo.toml").read_text())
    task = load_task(recipe["task"]["name"], seed=1, options=recipe["task"]["options"])
    assert isinstance(task, HasTraces)
    tokens = ChatTokens(ROOT / recipe["student"])
    problems = [task.problem("train", i) for i in range(256)]
    return np.array(
        [
            len(tokens.encode_prompt(each.prompt))
            + len(tokens.encode_completion(task.rule_based_trace(each)))
            for each in problems
        ]
    )


def test_the_demo_computes_at_most_five_percent_of_padding() -> None:
    """3.5 % are seen with batches of 32; each as one micro-batch, it would be 56 %."""
    lengths = demo_lengths()
    read = computed = at_once = 0
    for start in range(0, len(lengths), 32):
        (shard,) = whole(make_batch(lengths[start : start + 32].tolist()))
        pieces = micro_batches(shard, max_tokens=8192)
        read += int(shard.input_lengths.sum())
        computed += sum(piece.num_computed_tokens for piece in pieces)
        at_once += shard.num_computed_tokens
        packed = micro_batches(shard, max_tokens=8192, packed=True)
        assert sum(piece.num_computed_tokens for piece in packed) == shard.input_lengths.sum()
    assert read / computed >= 0.95
    assert read / at_once < 0.6  # else lengths so even would show nothing


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
