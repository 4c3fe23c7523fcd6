"""Log-probabilities and entropies from logits, in chunks."""

from __future__ import annotations

import math

import pytest
import torch

from tailor_rl.algorithms.logprobs import entropies, token_logprobs


@pytest.mark.parametrize("chunk_elements", [1, 7 * 11, 1 << 20])
def test_token_logprobs_are_those_of_a_full_softmax_whatever_the_chunks(
    chunk_elements: int,
) -> None:
    torch.manual_seed(0)
    logits = (5 * torch.randn(23, 11)).requires_grad_()
    targets = torch.randint(0, 11, (23,))
    expected = (logits / 0.7).log_softmax(-1)[torch.arange(23), targets]
    ours = token_logprobs(logits, targets, temperature=0.7, chunk_elements=chunk_elements)
    assert torch.allclose(ours, expected, atol=1e-5)
    weights = torch.randn(23)
    (gradient,) = torch.autograd.grad((weights * ours).sum(), logits)
    (expected_gradient,) = torch.autograd.grad((weights * expected).sum(), logits)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_token_logprobs_of_bfloat16_logits_are_computed_in_float32() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 11).bfloat16()
    targets = torch.randint(0, 11, (5,))
    ours = token_logprobs(logits, targets, temperature=1.0)
    assert ours.dtype == torch.float32
    expected = logits.double().log_softmax(-1)[torch.arange(5), targets]
    assert torch.allclose(ours.double(), expected, atol=1e-6)


def test_nothing_to_predict_gives_nothing() -> None:
    empty = token_logprobs(torch.empty(0, 11), torch.empty(0, dtype=torch.long), temperature=1.0)
    assert empty.shape == (0,)


@pytest.mark.parametrize("chunk_elements", [1, 1 << 20])
def test_entropy_is_log_v_for_uniform_and_zero_for_certain_tokens(chunk_elements: int) -> None:
    logits = torch.zeros(3, 8)
    logits[1, 2] = 1e4
    logits[2, 1:] = -torch.inf
    ours = entropies(logits, temperature=1.0, chunk_elements=chunk_elements)
    assert ours.tolist() == pytest.approx([math.log(8), 0.0, 0.0], abs=1e-6)


def test_temperature_divides_logits() -> None:
    logits = torch.tensor([[0.0, 2.0]])
    probability = 1 / (1 + math.exp(-1))
    entropy = -probability * math.log(probability)
    entropy -= (1 - probability) * math.log(1 - probability)
    assert entropies(logits, temperature=2.0).item() == pytest.approx(entropy)
    logprob = token_logprobs(logits, torch.tensor([1]), temperature=2.0)
    assert logprob.item() == pytest.approx(math.log(probability))


@pytest.mark.parametrize("chunk_elements", [1, 1 << 20])
def test_gradients_of_entropies_are_right_whatever_the_chunks(chunk_elements: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 6, dtype=torch.float64).requires_grad_()
    ours = entropies(logits, temperature=0.7, chunk_elements=chunk_elements).sum()
    (gradient,) = torch.autograd.grad(ours, logits)
    logprobs = (logits / 0.7).log_softmax(-1)
    (expected,) = torch.autograd.grad(-(logprobs.exp() * logprobs).sum(), logits)
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_an_impossible_token_leaves_the_gradient_of_an_entropy_finite() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf]], requires_grad=True)
    (gradient,) = torch.autograd.grad(entropies(logits, temperature=1.0).sum(), logits)
    assert torch.isfinite(gradient).all()
