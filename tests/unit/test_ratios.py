"""Ratios of a token and of a sequence: values, gradients, and what cannot overflow."""

from __future__ import annotations

import math

import pytest
import torch

from tailor_rl.algorithms.algorithm import RATIOS
from tailor_rl.algorithms.losses import Clips, ppo
from tailor_rl.algorithms.ratios import (
    sequence_means,
    sequence_ratio,
    sequence_sums,
    token_ratio,
)

SEQUENCES = torch.tensor([0, 0, 0, 2, 2, 3])


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_ratios_worked_by_hand() -> None:
    learner, proximal = of(-1.0, -2.0, -3.0), of(-1.5, -2.0, -2.0)
    sequences = torch.tensor([0, 0, 1])
    assert token_ratio(learner, proximal, sequences).tolist() == pytest.approx(
        [math.exp(0.5), 1.0, math.exp(-1.0)]
    )
    # The geometric mean of exp(1/2) and 1, at both tokens.
    assert sequence_ratio(learner, proximal, sequences).tolist() == pytest.approx(
        [math.exp(0.25), math.exp(0.25), math.exp(-1.0)]
    )


def test_sums_and_means_are_of_a_tokens_own_sequence_whatever_numbers_are_missing() -> None:
    values = of(1, 2, 6, 10, 20, 5)
    assert sequence_sums(values, SEQUENCES).tolist() == [9, 9, 9, 30, 30, 5]
    assert sequence_means(values, SEQUENCES).tolist() == [3, 3, 3, 15, 15, 5]


@pytest.mark.parametrize("name", RATIOS)
def test_no_tokens_have_no_ratios(name: str) -> None:
    empty = torch.empty(0)
    assert RATIOS[name](empty, empty, torch.empty(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("name", RATIOS)
def test_the_ratio_of_a_policy_to_itself_is_1_and_its_gradient_that_of_the_logarithm(
    name: str,
) -> None:
    learner = torch.randn(6, dtype=torch.float64).requires_grad_()
    ratio = RATIOS[name](learner, learner.detach(), SEQUENCES)
    assert torch.equal(ratio, torch.ones(6, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(ratio.sum(), learner)
    assert torch.allclose(gradient, torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("name", RATIOS)
def test_ratios_stay_finite_for_tokens_that_became_impossible(name: str) -> None:
    learner, proximal = torch.tensor([0.0, -500.0, 0.0]), torch.tensor([-500.0, 0.0, -torch.inf])
    ratio = RATIOS[name](learner, proximal, torch.tensor([0, 1, 2]))
    assert torch.isfinite(ratio).all()
    assert ratio[0] > 1e4 and ratio[1] < 1e-4 and ratio[2] > 1e4


def test_gradients_of_token_ratios_are_right() -> None:
    learner = torch.randn(6, dtype=torch.float64).requires_grad_()
    proximal = torch.randn(6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: token_ratio(x, proximal, SEQUENCES), learner)


def test_every_token_of_a_sequence_ratio_carries_the_sequences_value_and_its_own_gradient() -> None:
    """GSPO's token form (equation 14): d s_{i,t} / d log p_u is s_i where u is t, else 0."""
    learner = torch.randn(6, dtype=torch.float64).requires_grad_()
    proximal = torch.randn(6, dtype=torch.float64)
    ratio = sequence_ratio(learner, proximal, SEQUENCES)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: sequence_ratio(x, proximal, SEQUENCES), learner
    )
    assert torch.allclose(jacobian, torch.diag(ratio.detach()))


def test_averaged_over_a_sequence_the_token_form_is_gspos_sequence_objective() -> None:
    """Loss and gradient of min(s A, clip(s) A), s with its gradient through every token."""
    torch.manual_seed(0)
    clips = Clips(low=0.1, high=0.1)
    learner = (0.2 * torch.randn(6, dtype=torch.float64)).requires_grad_()
    proximal = torch.zeros(6, dtype=torch.float64)
    advantages = of(1, 1, 1, -2, -2, 0.5)
    weights = of(1 / 9, 1 / 9, 1 / 9, 1 / 6, 1 / 6, 1 / 3)  # a mean of means
    losses = ppo(sequence_ratio(learner, proximal, SEQUENCES), learner, advantages, clips)
    ours = (weights * losses).sum()

    expected = torch.zeros((), dtype=torch.float64)
    for rows, advantage in (([0, 1, 2], 1.0), ([3, 4], -2.0), ([5], 0.5)):
        ratio = (learner[rows] - proximal[rows]).mean().exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(0.9, 1.1) * advantage)
        expected = expected - gain / 3
    assert ours.item() == pytest.approx(expected.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(ours, learner)
    (wanted,) = torch.autograd.grad(expected, learner)
    assert wanted.any()
    assert torch.allclose(gradient, wanted, atol=1e-12)
