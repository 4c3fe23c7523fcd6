"""Weights for the mismatch of engine and learner, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.algorithms.corrections import (
    PRESETS,
    Bounds,
    sequence_masked,
    sequence_truncated,
    token_masked,
    token_truncated,
)

RATIOS = torch.tensor([1.0, 3.0, 0.4, 1.5, 2.0, 0.5], dtype=torch.float64)
SEQUENCES = torch.tensor([0, 0, 0, 1, 1, 2])
BOUNDS = Bounds(low=0.5, high=2.0)


@pytest.mark.parametrize(
    ("correct", "expected"),
    [
        (token_truncated, [1, 2, 0.4, 1.5, 2, 0.5]),
        # Products 1.2, 3 (truncated) and 0.5, at every token.
        (sequence_truncated, [1.2, 1.2, 1.2, 2, 2, 0.5]),
        # 3 and 0.4 are outside.
        (token_masked, [1, 0, 0, 1.5, 2, 0.5]),
        # Geometric means 1.2^(1/3), 3^(1/2) and 0.5, all inside.
        (sequence_masked, [1, 1, 1, 1, 1, 1]),
    ],
)
def test_weights_worked_by_hand(correct: object, expected: list[float]) -> None:
    assert callable(correct)
    weights = correct(RATIOS.log(), SEQUENCES, BOUNDS)
    assert weights.tolist() == pytest.approx(expected)
    assert weights.dtype == torch.float64


def test_a_sequence_is_left_out_as_a_whole_by_its_mean_and_not_by_one_token() -> None:
    logs = torch.tensor([math.log(1.5), 0.0, math.log(1.3), math.log(1.3)])
    sequences = torch.tensor([0, 0, 1, 1])
    weights = sequence_masked(logs, sequences, Bounds(low=0.8, high=1.25))
    assert weights.tolist() == [1, 1, 0, 0]  # sqrt(1.5) is 1.22


@pytest.mark.parametrize("name", PRESETS)
def test_agreeing_engines_and_learners_are_not_corrected(name: str) -> None:
    preset = PRESETS[name]
    weights = preset.correct(torch.zeros(6), SEQUENCES, preset.bounds)
    assert weights.tolist() == [1.0] * 6


@pytest.mark.parametrize("name", PRESETS)
@settings(deadline=None)
@given(logs=st.lists(st.floats(-600, 600), min_size=6, max_size=6))
def test_weights_are_finite_and_never_above_their_bound(name: str, logs: list[float]) -> None:
    preset = PRESETS[name]
    weights = preset.correct(torch.tensor(logs), SEQUENCES, preset.bounds)
    assert torch.isfinite(weights).all()
    assert (weights >= 0).all() and (weights <= preset.bounds.high).all()


@pytest.mark.parametrize("name", PRESETS)
def test_no_tokens_have_no_weights(name: str) -> None:
    preset = PRESETS[name]
    nothing = preset.correct(torch.empty(0), torch.empty(0, dtype=torch.long), preset.bounds)
    assert nothing.shape == (0,)


def test_untruncated_weights_of_a_sequence_make_the_mean_under_the_other_policy() -> None:
    """E over rollouts of weight x value is E over the learner of value: sequences of two tokens."""
    rollout = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    learner = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    value = torch.arange(9, dtype=torch.float64)
    drawn = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    logs = (learner.log() - rollout.log())[drawn].flatten()
    weights = sequence_truncated(
        logs, torch.arange(9).repeat_interleave(2), Bounds(low=0.0, high=100.0)
    )[::2]
    under_rollout = (rollout[drawn].prod(1) * weights * value).sum()
    assert under_rollout.item() == pytest.approx((learner[drawn].prod(1) * value).sum().item())


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_what_it_assumes_and_keeps_a_ratio_of_1(name: str) -> None:
    preset = PRESETS[name]
    assert preset.assumes
    assert preset.bounds.low < 1 < preset.bounds.high
    assert preset.uses_low == (preset.bounds.low > 0)
