"""Diversity by hand-worked numbers and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.measures.diversity import (
    distinct_n,
    mean_distance,
    num_openings,
    self_similarity,
    vendi_score,
)


def random_points(num: int, dimension: int, seed: int) -> np.ndarray:
    points = np.abs(np.random.default_rng(seed).normal(size=(num, dimension)))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def test_identical_texts_count_as_one() -> None:
    points = np.tile([[0.6, 0.8]], (5, 1))
    assert vendi_score(points) == pytest.approx(1.0)
    assert mean_distance(points) == pytest.approx(0.0)


@pytest.mark.parametrize("num", [1, 2, 7])
def test_texts_with_nothing_in_common_count_each(num: int) -> None:
    assert vendi_score(np.eye(num, 9)) == pytest.approx(num)


def test_two_texts_at_sixty_degrees() -> None:
    """Cosine 1/2: eigenvalues 3/4 and 1/4, entropy 0.56234, exp 1.75477; distance 1/2."""
    points = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    assert vendi_score(points) == pytest.approx(1.754765)
    assert mean_distance(points) == pytest.approx(0.5)


@given(st.integers(0, 10_000))
def test_order_does_not_matter_and_doubling_a_set_leaves_its_vendi_score(seed: int) -> None:
    points = random_points(6, 4, seed)
    again = np.random.default_rng(seed).permutation(points)
    assert vendi_score(again) == pytest.approx(vendi_score(points))
    assert mean_distance(again) == pytest.approx(mean_distance(points))
    assert vendi_score(np.concatenate([points, points])) == pytest.approx(vendi_score(points))


def test_both_ways_to_decompose_agree() -> None:
    """More texts than dimensions, and the same in more dimensions than texts."""
    points = random_points(12, 5, 0)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(40, 40)))
    assert vendi_score(points @ turn[:5]) == pytest.approx(vendi_score(points))


def test_mean_distance_is_the_mean_over_pairs() -> None:
    points = random_points(7, 4, 3)
    pairs = [1 - points[i] @ points[j] for i in range(7) for j in range(i)]
    assert mean_distance(points) == pytest.approx(np.mean(pairs))


def test_the_vendi_score_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        vendi_score(np.zeros((0, 4)))


def test_distinct_n_by_hand() -> None:
    """ "a b a b": 2 of 4 words, ab ba of 3 pairs, aba bab of 2; no pair reaches over two texts."""
    assert [distinct_n(["ann bob ann bob"], n) for n in (1, 2, 3)] == [0.5, 2 / 3, 1.0]
    assert distinct_n(["ann bob", "ann bob"], 2) == 0.5
    assert distinct_n(["ann"], 2) == distinct_n([], 1) == 0.0


def test_self_similarity_is_one_for_equal_texts_and_zero_for_foreign_ones() -> None:
    assert self_similarity(["same"] * 4, seed=0) == 1.0 == self_similarity(["one"], seed=0)
    assert self_similarity(["aaaa", "bbbb"], seed=0) == 0.0


def test_a_sample_of_pairs_never_holds_a_text_with_itself_and_is_reproducible() -> None:
    texts = [chr(97 + i) * 5 for i in range(20)]
    assert self_similarity(texts, seed=0, num_pairs=50) == 0.0
    mixed = ["ann lies", "ann lies", "case one", *texts]
    first = self_similarity(mixed, seed=1, num_pairs=60)
    assert first == self_similarity(mixed, seed=1, num_pairs=60)
    assert first != self_similarity(mixed, seed=2, num_pairs=60)


def test_openings_are_the_distinct_first_three_words() -> None:
    assert num_openings([["a", "b", "c", "d"], ["a", "b", "c", "e"], ["a", "b"], []]) == 3
