"""Who counts how much: weights of tokens, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.algorithms.aggregation import constant, sequence_mean, sequence_sum, token_mean
from tailor_rl.algorithms.algorithm import AGGREGATIONS

MASK = np.array([[0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=np.bool_)
MASKS = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6).filter(
    lambda rows: any(map(any, rows))
)


@pytest.mark.parametrize(
    ("weigh", "first", "second"),
    [
        (token_mean, 1 / 4, 1 / 4),
        (sequence_mean, 1 / 6, 1 / 2),
        (sequence_sum, 1 / 2, 1 / 2),
        (constant, 1 / 20, 1 / 20),  # two sequences of at most ten tokens
    ],
)
def test_weights_worked_by_hand(weigh: object, first: float, second: float) -> None:
    assert callable(weigh)
    weights_BT = weigh(MASK, max_tokens=10)
    assert weights_BT[0] == pytest.approx([0, first, first, first, 0])
    assert weights_BT[1] == pytest.approx([0, 0, second, 0, 0])
    assert not weights_BT[2].any()
    assert weights_BT.dtype == np.float32


@settings(deadline=None)
@given(MASKS)
def test_what_the_weights_add_up_to(rows: list[list[bool]]) -> None:
    mask = np.array(rows)
    tokens, sequences = mask.sum(), mask.any(axis=1).sum()
    sums = {
        "token_mean": 1.0,
        "sequence_mean": 1.0,
        "sequence_sum": tokens / sequences,
        "constant": tokens / (9 * sequences),
    }
    assert sums.keys() == AGGREGATIONS.keys()
    for name, expected in sums.items():
        weights_BT = AGGREGATIONS[name](mask, max_tokens=9)
        assert weights_BT.sum() == pytest.approx(expected, rel=1e-5)
        assert not weights_BT[~mask].any()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_sequence_that_is_masked_as_a_whole_dilutes_nobody(name: str) -> None:
    weights_BT = AGGREGATIONS[name](MASK, max_tokens=10)
    assert np.array_equal(weights_BT[:2], AGGREGATIONS[name](MASK[:2], max_tokens=10))


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_batch_with_nothing_to_train_on_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no token of a batch of 2"):
        AGGREGATIONS[name](np.zeros((2, 3), dtype=np.bool_), max_tokens=10)


def test_a_constant_divisor_has_to_be_given() -> None:
    with pytest.raises(ValueError, match="max_tokens of at least 1, not 0"):
        constant(MASK)
