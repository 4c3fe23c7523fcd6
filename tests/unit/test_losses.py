"""Clipped losses of the policy and of a critic: hand-worked numbers, laws, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tailor_rl.algorithms.algorithm import CLIPPINGS
from tailor_rl.algorithms.losses import (
    NO_CLIPS,
    Clips,
    cispo,
    held,
    ppo,
    unclipped,
    value_losses,
)

DAPO = Clips(low=0.2, high=0.28)
DUAL = Clips(low=0.2, high=0.28, dual=3.0)


def of(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_case(num: int = 500) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(learner with a gradient, rollout, advantages) of tokens with every kind of ratio."""
    torch.manual_seed(0)
    learner = torch.randn(num, dtype=torch.float64).requires_grad_()
    rollout, advantages = torch.randn(2, num, dtype=torch.float64)
    return learner, rollout, advantages


RATIOS = of(1.0, 1.5, 1.5, 0.5, 0.5, 4.0, 4.0)
ADVANTAGES = of(2.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0)
LOGPROBS = of(-1.0, -1.0, -1.0, -2.0, -2.0, -1.0, -1.0)


@pytest.mark.parametrize(
    ("clipping", "clips", "expected"),
    [
        # -min(rA, clip(r) A): 2; held at 1.28; not held; not held; held at 0.8; not held; held
        (ppo, DAPO, [-2.0, -1.28, 1.5, -0.5, 0.8, 4.0, -1.28]),
        # ... and a bad token costs at most 3 |A|
        (ppo, DUAL, [-2.0, -1.28, 1.5, -0.5, 0.8, 3.0, -1.28]),
        # -clip(r) A log p
        (cispo, DAPO, [2.0, 1.28, -1.28, 1.6, -1.6, -1.28, 1.28]),
        (cispo, Clips(low=1.0, high=0.28), [2.0, 1.28, -1.28, 1.0, -1.0, -1.28, 1.28]),
        (unclipped, NO_CLIPS, [-2.0, -1.5, 1.5, -0.5, 0.5, 4.0, -4.0]),
    ],
)
def test_losses_worked_by_hand(clipping: Any, clips: Clips, expected: list[float]) -> None:
    losses = clipping(RATIOS, LOGPROBS, ADVANTAGES, clips)
    assert losses.tolist() == pytest.approx(expected)


def test_what_is_held_worked_by_hand() -> None:
    low, high = held(RATIOS, ADVANTAGES, DAPO)
    assert low.tolist() == [False, False, False, False, True, False, False]
    assert high.tolist() == [False, True, False, False, False, False, True]
    low, high = held(RATIOS, ADVANTAGES, DUAL)
    assert high.tolist() == [False, True, False, False, False, True, True]


def test_nothing_is_held_where_nothing_clips() -> None:
    low, high = held(RATIOS, ADVANTAGES, NO_CLIPS)
    assert not low.any() and not high.any()


@pytest.mark.parametrize("name", CLIPPINGS)
def test_ratio_one_gives_the_gradient_of_reinforce(name: str) -> None:
    learner, _, advantages = random_case()
    ratio = (learner - learner.detach()).exp()
    losses = CLIPPINGS[name](ratio, learner, advantages, DUAL)
    (gradient,) = torch.autograd.grad(losses.sum(), learner)
    assert torch.allclose(gradient, -advantages)


@pytest.mark.parametrize("clips", [DAPO, DUAL, Clips(low=0.2, high=0.2)])
def test_exactly_the_tokens_that_ppo_holds_get_no_gradient(clips: Clips) -> None:
    learner, rollout, advantages = random_case()
    ratio = (learner - rollout).exp()
    (gradient,) = torch.autograd.grad(ppo(ratio, learner, advantages, clips).sum(), learner)
    low, high = held(ratio.detach(), advantages, clips)
    assert low.any() and high.any()
    assert torch.equal(gradient == 0, low | high)


def test_every_token_of_cispo_gets_a_gradient_of_the_clipped_weight() -> None:
    learner, rollout, advantages = random_case()
    ratio = (learner - rollout).exp()
    losses = cispo(ratio, learner, advantages, Clips(low=1.0, high=0.2))
    (gradient,) = torch.autograd.grad(losses.sum(), learner)
    assert torch.allclose(gradient, -ratio.detach().clamp(max=1.2) * advantages)
    assert (gradient != 0).all()


def test_the_dual_clip_changes_nothing_but_bad_tokens_that_became_much_likelier() -> None:
    learner, rollout, advantages = random_case()
    ratio = (learner - rollout).exp().detach()
    plain = ppo(ratio, learner, advantages, DAPO).detach()
    dual = ppo(ratio, learner, advantages, DUAL).detach()
    differs = (advantages < 0) & (ratio > 3)
    assert differs.any()
    assert torch.equal(plain != dual, differs)
    assert torch.allclose(dual[differs], -3 * advantages[differs])


@pytest.mark.parametrize("name", CLIPPINGS)
def test_no_advantage_no_loss_and_no_gradient(name: str) -> None:
    learner, rollout, _ = random_case()
    ratio = (learner - rollout).exp()
    losses = CLIPPINGS[name](ratio, learner, torch.zeros_like(rollout), DUAL)
    (gradient,) = torch.autograd.grad(losses.sum(), learner)
    assert not losses.any() and not gradient.any()


@pytest.mark.parametrize("clips", [DAPO, DUAL])
@pytest.mark.parametrize("name", ["ppo", "none"])
def test_gradients_of_the_losses_are_right(name: str, clips: Clips) -> None:
    learner, rollout, advantages = random_case(40)

    def losses(logprobs: torch.Tensor) -> torch.Tensor:
        return CLIPPINGS[name]((logprobs - rollout).exp(), logprobs, advantages, clips)

    assert torch.autograd.gradcheck(losses, learner)


def test_the_gradient_of_cispo_is_right_for_a_weight_that_is_held_still() -> None:
    learner, rollout, advantages = random_case(40)
    ratio = (learner - rollout).exp().detach()
    assert torch.autograd.gradcheck(lambda x: cispo(ratio, x, advantages, DAPO), learner)


def test_losses_of_a_critic_worked_by_hand() -> None:
    values, old, returns = of(1.0, 3.0, 0.0), of(0.0, 3.0, 0.5), of(2.0, 1.0, 0.0)
    # 0.5 (V - G)^2: 0.5, 2, 0; held near its old value V is 0.2, 3, 0.3: 1.62, 2, 0.045.
    plain = value_losses(values, old, returns, clip=None)
    assert plain.tolist() == pytest.approx([0.5, 2.0, 0.0])
    clipped = value_losses(values, old, returns, clip=0.2)
    assert clipped.tolist() == pytest.approx([1.62, 2.0, 0.045])


@pytest.mark.parametrize("clip", [None, 0.2])
def test_gradients_of_a_critics_losses_are_right(clip: float | None) -> None:
    values, old, returns = random_case(40)
    assert torch.autograd.gradcheck(lambda x: value_losses(x, old, returns, clip=clip), values)


def test_a_critic_that_has_not_moved_is_pulled_to_its_target_clip_or_no_clip() -> None:
    values, _, returns = random_case()
    for clip in (None, 0.2):
        losses = value_losses(values, values.detach(), returns, clip=clip)
        (gradient,) = torch.autograd.grad(losses.sum(), values)
        assert torch.allclose(gradient, (values - returns).detach())
