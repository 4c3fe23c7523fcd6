"""Log-probabilities from hidden states: those of the whole logits, without the whole logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tailor_rl.algorithms.logprobs import entropies, output_scores, token_logprobs
from tests.learner_fakes import LargestTensor

N, D, V = 7, 5, 11


def draw(
    dtype: torch.dtype, *, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, D, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(V, D, generator=generator, dtype=dtype, requires_grad=True)
    bias = torch.randn(V, generator=generator, dtype=dtype, requires_grad=True)
    return hidden, weight, bias, torch.randint(V, (N,), generator=generator)


def plain(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    logprobs = (logits / temperature).log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None])[:, 0]
    return chosen, -(logprobs.exp() * logprobs).sum(-1)


def test_by_hand_two_tokens() -> None:
    """Logits (ln 3, 0) / 1: probabilities 3/4 and 1/4."""
    hidden = torch.tensor([[1.0]])
    weight = torch.tensor([[3.0], [1.0]]).log()
    logprobs, entropy = output_scores(
        hidden, weight, torch.tensor([1]), temperature=1.0, with_entropies=True
    )
    assert entropy is not None
    assert logprobs.tolist() == pytest.approx([-1.3862944], abs=1e-6)
    assert entropy.tolist() == pytest.approx([0.5623351], abs=1e-6)
    warm, none = output_scores(hidden, weight, torch.tensor([1]), temperature=0.5)
    assert warm.tolist() == pytest.approx([-2.3025851], abs=1e-6)  # 9 to 1
    assert none is None


@pytest.mark.parametrize("chunk_elements", [1, 2 * V, 40, 10_000])
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_no_chunk_changes_a_value_or_a_gradient(chunk_elements: int, temperature: float) -> None:
    hidden, weight, bias, targets = draw(torch.float32)
    mix = torch.linspace(-1, 1, N)
    expected, entropy = plain(hidden, weight, bias, targets, temperature)
    inputs = (hidden, weight, bias)
    gradients = torch.autograd.grad((mix * expected + mix.flip(0) * entropy).sum(), inputs)
    ours, spread = output_scores(
        hidden,
        weight,
        targets,
        bias_V=bias,
        temperature=temperature,
        with_entropies=True,
        chunk_elements=chunk_elements,
    )
    assert spread is not None
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(spread, entropy, rtol=1e-5, atol=1e-6)
    own = torch.autograd.grad((mix * ours + mix.flip(0) * spread).sum(), inputs)
    for one, other in zip(own, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk_elements", [V, 10_000])
@pytest.mark.parametrize("with_entropies", [False, True])
def test_gradients_are_those_of_finite_differences(
    chunk_elements: int, with_entropies: bool
) -> None:
    hidden, weight, bias, targets = draw(torch.float64)

    def scores(*inputs: torch.Tensor) -> Any:
        both = output_scores(
            inputs[0],
            inputs[1],
            targets,
            bias_V=inputs[2],
            temperature=0.8,
            with_entropies=with_entropies,
            chunk_elements=chunk_elements,
        )
        return both if with_entropies else both[0]

    assert torch.autograd.gradcheck(scores, (hidden, weight, bias))


def test_the_entropy_alone_has_its_gradient() -> None:
    hidden, weight, _, targets = draw(torch.float32)
    _, spread = output_scores(hidden, weight, targets, temperature=1.0, with_entropies=True)
    assert spread is not None
    _, expected = plain(hidden, weight, None, targets, 1.0)
    (one,) = torch.autograd.grad(spread.sum(), weight)
    (other,) = torch.autograd.grad(expected.sum(), weight)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_an_impossible_token_costs_no_entropy_and_no_gradient() -> None:
    hidden = torch.ones(1, 1, requires_grad=True)
    bias = torch.tensor([0.0, 0.0, -torch.inf])
    logprobs, spread = output_scores(
        hidden,
        torch.ones(3, 1),
        torch.tensor([0]),
        bias_V=bias,
        temperature=1.0,
        with_entropies=True,
    )
    assert spread is not None
    said = torch.stack([logprobs[0], spread[0]]).tolist()
    assert said == pytest.approx([-0.6931472, 0.6931472])
    (gradient,) = torch.autograd.grad((logprobs + spread).sum(), hidden)
    assert gradient.isfinite().all()


def test_a_frozen_output_layer_gets_no_gradient() -> None:
    hidden, weight, _, targets = draw(torch.float32)
    logprobs, _ = output_scores(hidden, weight.detach(), targets, temperature=1.0)
    logprobs.sum().backward()
    assert weight.grad is None
    assert hidden.grad is not None


def test_bfloat16_weights_get_gradients_as_exact_as_one_product() -> None:
    """Summed from pieces in bfloat16, 512 positions would leave an error of several percent."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(512, 16, generator=generator).bfloat16()
    weight = torch.randn(64, 16, generator=generator).bfloat16().requires_grad_()
    targets = torch.randint(64, (512,), generator=generator)
    exact = weight.detach().float().requires_grad_()
    token_logprobs(hidden.float() @ exact.T, targets, temperature=1.0).sum().backward()
    logprobs, _ = output_scores(hidden, weight, targets, temperature=1.0, chunk_elements=64 * 8)
    logprobs.sum().backward()
    assert weight.grad is not None and exact.grad is not None
    assert weight.grad.dtype == torch.bfloat16
    difference = (weight.grad.float() - exact.grad).norm() / exact.grad.norm()
    assert difference < 0.01


def test_no_tensor_grows_with_positions_times_vocabulary() -> None:
    num, width, vocabulary, chunk = 600, 8, 500, 4_000
    hidden = torch.randn(num, width, requires_grad=True)
    weight = torch.randn(vocabulary, width, requires_grad=True)
    targets = torch.randint(vocabulary, (num,))
    with LargestTensor() as ours:
        logprobs, spread = output_scores(
            hidden,
            weight,
            targets,
            temperature=1.0,
            with_entropies=True,
            chunk_elements=chunk,
        )
        assert spread is not None
        (logprobs + spread).sum().backward()
    assert ours.elements <= max(chunk, hidden.numel(), weight.numel())
    with LargestTensor() as whole:
        token_logprobs(hidden @ weight.T, targets, temperature=1.0).sum().backward()
    assert whole.elements >= num * vocabulary


def test_whole_logits_give_the_same_scores_in_any_chunks() -> None:
    hidden, weight, bias, targets = draw(torch.float32)
    logits = torch.nn.functional.linear(hidden, weight, bias)
    expected, spread = plain(hidden, weight, bias, targets, 0.7)
    for chunk_elements in (V, 10_000):
        torch.testing.assert_close(
            token_logprobs(logits, targets, temperature=0.7, chunk_elements=chunk_elements),
            expected,
        )
        torch.testing.assert_close(
            entropies(logits, temperature=0.7, chunk_elements=chunk_elements), spread
        )
