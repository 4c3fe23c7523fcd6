"""KL to a reference: three estimates, what they lead to as losses, an adapting coefficient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.algorithms.algorithm import KL_ESTIMATES
from tailor_rl.algorithms.kl import adapted, k1, k2, k3, penalties

LOGITS = torch.tensor([0.3, -1.0, 0.7, 0.1], dtype=torch.float64)
REFERENCE = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_estimates_worked_by_hand() -> None:
    learner, reference = of(-1.0), of(-1.0 + math.log(2))
    assert k1(learner, reference).item() == pytest.approx(-math.log(2))
    assert k2(learner, reference).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(learner, reference).item() == pytest.approx(2 - math.log(2) - 1)


@pytest.mark.parametrize("name", KL_ESTIMATES)
def test_equal_policies_have_no_divergence(name: str) -> None:
    assert KL_ESTIMATES[name](of(-1.3, -0.2), of(-1.3, -0.2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("estimate", [k1, k3])
def test_k1_and_k3_are_unbiased(estimate: object) -> None:
    """Their mean over the learner's own distribution is the exact KL."""
    assert callable(estimate)
    learner = LOGITS.softmax(0)
    exact = (learner * (learner / REFERENCE).log()).sum()
    mean = (learner * estimate(learner.log(), REFERENCE.log())).sum()
    assert mean.item() == pytest.approx(exact.item(), rel=1e-12)


def test_k2_is_not_unbiased_but_near_where_policies_are() -> None:
    learner = (REFERENCE.log() + 0.01 * LOGITS).softmax(0)
    exact = (learner * (learner / REFERENCE).log()).sum()
    mean = (learner * k2(learner.log(), REFERENCE.log())).sum()
    assert mean.item() != pytest.approx(exact.item(), rel=1e-6)
    assert mean.item() == pytest.approx(exact.item(), rel=0.02)


@settings(deadline=None)
@given(st.floats(-30, 0), st.floats(-30, 0))
def test_k2_and_k3_are_never_negative(learner: float, reference: float) -> None:
    assert k2(of(learner), of(reference)).item() >= 0
    assert k3(of(learner), of(reference)).item() >= 0


def expected_gradient(name: str) -> torch.Tensor:
    """E over the learner's own tokens of the gradient of an estimate, as a loss sees it."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = logits.log_softmax(0)
    values = KL_ESTIMATES[name](logprobs, REFERENCE.log())
    (gradient,) = torch.autograd.grad((logprobs.detach().exp() * values).sum(), logits)
    return gradient


def gradient_of_kl(*, forward: bool) -> torch.Tensor:
    logits = LOGITS.clone().requires_grad_()
    p, q = logits.softmax(0), REFERENCE
    exact = (q * (q / p).log()).sum() if forward else (p * (p / q).log()).sum()
    (gradient,) = torch.autograd.grad(exact, logits)
    return gradient


def test_as_a_loss_k1_vanishes_k2_follows_the_kl_and_k3_the_reverse_one() -> None:
    assert gradient_of_kl(forward=False).abs().max() > 0.01
    assert torch.allclose(expected_gradient("k1"), torch.zeros(4, dtype=torch.float64), atol=1e-15)
    assert torch.allclose(expected_gradient("k2"), gradient_of_kl(forward=False))
    assert torch.allclose(expected_gradient("k3"), gradient_of_kl(forward=True))


def test_k1_as_a_reward_gives_the_gradient_of_the_kl() -> None:
    """The policy gradient of a reward -k1, the policy's own samples being drawn from."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = logits.log_softmax(0)
    cost = k1(logprobs.detach(), REFERENCE.log())
    (gradient,) = torch.autograd.grad((logprobs.detach().exp() * cost * logprobs).sum(), logits)
    assert torch.allclose(gradient, gradient_of_kl(forward=False))


@pytest.mark.parametrize("name", KL_ESTIMATES)
def test_gradients_of_the_estimates_are_right(name: str) -> None:
    torch.manual_seed(0)
    learner = torch.randn(30, dtype=torch.float64).requires_grad_()
    reference = torch.randn(30, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: KL_ESTIMATES[name](x, reference), learner)


@pytest.mark.parametrize("name", KL_ESTIMATES)
def test_estimates_stay_finite_for_tokens_that_became_impossible(name: str) -> None:
    learner, reference = torch.tensor([0.0, -500.0]), torch.tensor([-500.0, 0.0])
    assert torch.isfinite(KL_ESTIMATES[name](learner, reference)).all()


def test_penalties_are_the_coefficient_times_the_estimate() -> None:
    learner = np.array([[-1.0, 0.0]], dtype=np.float32)
    reference = np.array([[-3.0, 0.0]], dtype=np.float32)
    taken = penalties(k1, learner, reference, coefficient=0.05)
    assert taken == pytest.approx(np.array([[0.1, 0.0]]))
    assert taken.dtype == np.float32


def test_the_next_coefficient_worked_by_hand() -> None:
    # Twice the target: the error is held at 0.2, for a hundredth of the horizon.
    assert adapted(0.1, kl=0.2, target=0.1, num=10, horizon=1000) == pytest.approx(0.1002)
    # A tenth below it: 1 - 0.1 / 100.
    assert adapted(0.1, kl=0.09, target=0.1, num=10, horizon=1000) == pytest.approx(0.0999)


@settings(deadline=None)
@given(
    coefficient=st.floats(1e-6, 10),
    kl=st.floats(-1, 100),
    num=st.integers(1, 10**6),
    horizon=st.integers(1, 10**5),
)
def test_the_coefficient_moves_against_the_error_and_stays_positive(
    coefficient: float, kl: float, num: int, horizon: int
) -> None:
    after = adapted(coefficient, kl=kl, target=0.1, num=num, horizon=horizon)
    assert 0.8 * coefficient * (1 - 1e-12) <= after <= 1.2 * coefficient * (1 + 1e-12)
    if kl > 0.1001:
        assert after > coefficient
    if kl < 0.0999:
        assert after < coefficient


def test_an_adapting_coefficient_brings_the_kl_to_its_target() -> None:
    """A policy whose KL falls as the coefficient rises, from far too large a KL."""
    coefficient = 0.001
    for _ in range(400):
        coefficient = adapted(
            coefficient, kl=0.002 / coefficient, target=0.05, num=128, horizon=1000
        )
    assert 0.002 / coefficient == pytest.approx(0.05, rel=0.05)
