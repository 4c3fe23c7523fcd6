"""The mathematics: hand-worked numbers, laws, and gradients checked in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tailor_rl.algorithms.advantages import group_advantages
from tailor_rl.algorithms.aggregation import sequence_mean, token_mean
from tailor_rl.algorithms.logprobs import entropies, token_logprobs
from tailor_rl.algorithms.losses import clipped_losses, clipped_tokens, kl_k3
from tailor_rl.algorithms.rewards import soft_overlong_punishment
from tailor_rl.algorithms.schedules import learning_rate


def test_advantages_are_centred_rewards_over_their_deviation() -> None:
    # mean 1/4, deviation sqrt(3)/4
    assert group_advantages([1, 0, 0, 0]) == pytest.approx(
        [math.sqrt(3), -1 / math.sqrt(3), -1 / math.sqrt(3), -1 / math.sqrt(3)], abs=1e-5
    )


@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, -1 / 3])
def test_equal_rewards_give_exactly_zero_advantages(reward: float) -> None:
    assert group_advantages([reward] * 7).tolist() == [0.0] * 7
    assert group_advantages([reward]).tolist() == [0.0]


def test_advantages_ignore_the_scale_and_offset_of_rewards() -> None:
    rewards = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    assert np.allclose(group_advantages(rewards), group_advantages(5 * rewards - 3), atol=1e-5)


@pytest.mark.parametrize("rewards", [[], [[1.0]], [math.nan, 1.0], [math.inf]])
def test_groups_without_finite_rewards_are_refused(rewards: list[float]) -> None:
    with pytest.raises(ValueError, match="reward"):
        group_advantages(rewards)


MASK = np.array([[0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=np.bool_)


def test_token_mean_weighs_tokens_and_sequence_mean_weighs_sequences() -> None:
    fourth, half, sixth = 1 / 4, 1 / 2, 1 / 6
    assert token_mean(MASK)[0] == pytest.approx([0, fourth, fourth, fourth, 0])
    assert token_mean(MASK)[1] == pytest.approx([0, 0, fourth, 0, 0])
    assert sequence_mean(MASK)[0] == pytest.approx([0, sixth, sixth, sixth, 0])
    assert sequence_mean(MASK)[1] == pytest.approx([0, 0, half, 0, 0])
    for weights_BT in (token_mean(MASK), sequence_mean(MASK)):
        assert weights_BT.sum() == pytest.approx(1)
        assert not weights_BT[2].any()


def test_a_batch_with_nothing_to_train_on_is_refused() -> None:
    for weigh in (token_mean, sequence_mean):
        with pytest.raises(ValueError, match="no token"):
            weigh(np.zeros((2, 3), dtype=np.bool_))


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_clipped_losses_worked_by_hand() -> None:
    ratios = of(1.0, 1.5, 1.5, 0.5, 0.5)
    advantages = of(2.0, 1.0, -1.0, 1.0, -1.0)
    losses = clipped_losses(
        ratios.log(), of(0, 0, 0, 0, 0), advantages=advantages, clip_low=0.2, clip_high=0.28
    )
    # -min(rA, clip(r)A): 1 x 2; held at 1.28; not held; not held; held at 0.8
    assert losses.tolist() == pytest.approx([-2.0, -1.28, 1.5, -0.5, 0.8])
    low, high = clipped_tokens(
        ratios.log(), of(0, 0, 0, 0, 0), advantages=advantages, clip_low=0.2, clip_high=0.28
    )
    assert low.tolist() == [False, False, False, False, True]
    assert high.tolist() == [False, True, False, False, False]


def test_ratio_one_gives_the_gradient_of_reinforce() -> None:
    torch.manual_seed(0)
    logprobs = torch.randn(20, dtype=torch.float64, requires_grad=True)
    advantages = torch.randn(20, dtype=torch.float64)
    losses = clipped_losses(
        logprobs, logprobs.detach(), advantages=advantages, clip_low=0.2, clip_high=0.2
    )
    (gradient,) = torch.autograd.grad(losses.sum(), logprobs)
    assert torch.allclose(gradient, -advantages)


def test_exactly_the_clipped_tokens_get_no_gradient() -> None:
    torch.manual_seed(0)
    learner = torch.randn(500, dtype=torch.float64, requires_grad=True)
    rollout, advantages = torch.randn(2, 500, dtype=torch.float64)
    clips = {"clip_low": 0.2, "clip_high": 0.28}
    losses = clipped_losses(learner, rollout, advantages=advantages, **clips)
    (gradient,) = torch.autograd.grad(losses.sum(), learner)
    low, high = clipped_tokens(learner.detach(), rollout, advantages=advantages, **clips)
    assert low.any() and high.any()
    assert torch.equal(gradient == 0, low | high)


def test_losses_stay_finite_for_tokens_that_became_impossible() -> None:
    losses = clipped_losses(
        of(0.0, -500.0), of(-500.0, 0.0), advantages=of(-1.0, -1.0), clip_low=0.2, clip_high=0.2
    )
    assert torch.isfinite(losses).all()
    assert torch.isfinite(kl_k3(of(0.0, -500.0), of(-500.0, 0.0))).all()


def test_kl_worked_by_hand_and_never_negative() -> None:
    assert kl_k3(of(0.0), of(math.log(2))).item() == pytest.approx(2 - math.log(2) - 1)
    assert kl_k3(of(-1.3), of(-1.3)).item() == 0.0
    torch.manual_seed(0)
    assert (kl_k3(torch.randn(1000), torch.randn(1000)) >= 0).all()


def test_kl_estimates_the_divergence_from_the_learner_to_the_reference() -> None:
    """Its mean over the learner's own distribution is the exact KL."""
    learner = of(0.5, 0.3, 0.2)
    reference = of(0.2, 0.2, 0.6)
    exact = (learner * (learner / reference).log()).sum()
    estimate = (learner * kl_k3(learner.log(), reference.log())).sum()
    assert estimate.item() == pytest.approx(exact.item())


def test_gradients_of_the_losses_are_right() -> None:
    torch.manual_seed(0)
    learner = torch.randn(30, dtype=torch.float64, requires_grad=True)
    rollout, advantages = torch.randn(2, 30, dtype=torch.float64)

    def clipped(logprobs: torch.Tensor) -> torch.Tensor:
        return clipped_losses(
            logprobs, rollout, advantages=advantages, clip_low=0.2, clip_high=0.28
        )

    assert torch.autograd.gradcheck(clipped, learner)
    assert torch.autograd.gradcheck(lambda logprobs: kl_k3(logprobs, rollout), learner)


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


def test_soft_overlong_punishment_sinks_over_the_buffer() -> None:
    lengths = [0, 80, 85, 90, 100, 101, 1000]
    punished = [soft_overlong_punishment(n, max_tokens=100, buffer=20) for n in lengths]
    assert punished == pytest.approx([0, 0, -0.25, -0.5, -1, -1, -1])
    assert soft_overlong_punishment(1000, max_tokens=100, buffer=0) == 0.0
    with pytest.raises(ValueError, match="buffer"):
        soft_overlong_punishment(1, max_tokens=100, buffer=101)


def test_constant_schedule_warms_up_linearly() -> None:
    rates = [
        learning_rate(step, peak=2.0, warmup_steps=4, num_steps=8, schedule="constant")
        for step in range(8)
    ]
    assert rates == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_cosine_schedule_starts_at_the_peak_and_wastes_no_step() -> None:
    rates = [
        learning_rate(step, peak=2.0, warmup_steps=2, num_steps=6, schedule="cosine")
        for step in range(7)
    ]
    half = math.sqrt(0.5)
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1 + half, 1.0, 1 - half, 0.0])
    assert learning_rate(9, peak=2.0, warmup_steps=2, num_steps=6, schedule="cosine") == 0.0
    with pytest.raises(ValueError, match="counted from 0"):
        learning_rate(-1, peak=1.0, warmup_steps=0, num_steps=1, schedule="constant")
