"""Every named algorithm against a reference written out from its paper, and laws of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tailor_rl.algorithms.algorithm import NAMES, Algorithm, named
from tailor_rl.algorithms.corrections import PRESETS
from tailor_rl.algorithms.estimators import Outcome
from tailor_rl.algorithms.kl import penalties
from tailor_rl.algorithms.objective import objective
from tests.algorithm_references import GROUPS, MAX_TOKENS, REFERENCES, REWARDS, Case, make_case


def ours(
    algorithm: Algorithm, case: Case, **changes: Any
) -> tuple[torch.Tensor, np.ndarray, torch.Tensor]:
    """(loss, advantages, weights) as a learner makes them."""
    learner = case.learner_BT
    in_reward = algorithm.kl_in == "reward"
    taken = np.zeros(case.mask_BT.shape, dtype=np.float32)
    if in_reward:
        taken = penalties(
            algorithm.kl_estimate,
            learner.detach().numpy(),
            case.reference_BT,
            coefficient=case.beta,
        )
    estimated = algorithm.estimate(
        Outcome(
            rewards_B=np.array(REWARDS),
            groups_B=np.array(GROUPS),
            mask_BT=case.mask_BT,
            penalties_BT=taken,
            values_BT=case.values_BT,
            gamma=algorithm.gamma,
            lam=algorithm.lam,
        )
    )
    mask = case.trained_BT
    weights = torch.from_numpy(algorithm.aggregate(mask, max_tokens=MAX_TOKENS)[mask]).double()
    made = objective(
        algorithm,
        learner[torch.from_numpy(mask)],
        **{
            "rollout_logprobs": torch.from_numpy(case.rollout_BT[mask]),
            "proximal_logprobs": None,
            "reference_logprobs": torch.from_numpy(case.reference_BT[mask]),
            "advantages": torch.from_numpy(estimated.advantages_BT[mask]).double(),
            "sequences_N": torch.from_numpy(np.nonzero(mask)[0]),
            "kl_coefficient": 0.0 if in_reward else case.beta,
            "correction": None,
            **changes,
        },
    )
    return (weights * made.losses).sum(), estimated.advantages_BT[mask], weights


@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_those_of_the_paper(name: str, beta: float) -> None:
    case = make_case(beta=beta)
    loss, *_ = ours(named(name), case)
    expected = REFERENCES[name](case)
    (gradient,) = torch.autograd.grad(loss, case.logits_BTV)
    (wanted,) = torch.autograd.grad(expected, case.logits_BTV)
    assert wanted.abs().max() > 1e-3
    # Advantages and weights are float32.
    assert loss.item() == pytest.approx(expected.item(), rel=2e-6, abs=2e-7)
    assert torch.allclose(gradient, wanted, rtol=2e-6, atol=2e-6 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_of_these_tests_is_clipped_from_both_sides_and_not_everywhere(name: str) -> None:
    case = make_case(beta=0.1)
    mask = torch.from_numpy(case.trained_BT)
    sequences = torch.from_numpy(np.nonzero(case.trained_BT)[0])
    algorithm = named(name)
    ratio = algorithm.ratio(
        case.learner_BT.detach()[mask], torch.from_numpy(case.rollout_BT)[mask], sequences
    )
    low, high = ratio < 1 - algorithm.clips.low, ratio > 1 + algorithm.clips.high
    assert high.any() and (~low & ~high).any()
    assert low.any() or name == "cispo"


@pytest.mark.parametrize("name", NAMES)
def test_ratio_one_gives_the_gradient_of_reinforce(name: str) -> None:
    """The gradient of -sum(weight A log p), with respect to the logits."""
    case = make_case(beta=0.0, noise=0.0)
    loss, advantages, weights = ours(named(name), case)
    logprobs = case.learner_BT[torch.from_numpy(case.trained_BT)]
    reinforce = -(weights * torch.from_numpy(advantages) * logprobs).sum()
    (gradient,) = torch.autograd.grad(loss, case.logits_BTV)
    (wanted,) = torch.autograd.grad(reinforce, case.logits_BTV)
    assert wanted.abs().max() > 1e-3
    assert torch.allclose(gradient, wanted, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_outside_the_mask_change_nothing(name: str) -> None:
    case = make_case(beta=0.1)
    outside = ~case.mask_BT
    soiled = replace(
        case,
        rollout_BT=np.where(outside, 5.0, case.rollout_BT),
        reference_BT=np.where(outside, -5.0, case.reference_BT),
        values_BT=np.where(outside, 9.0, case.values_BT),
    )
    (gradient,) = torch.autograd.grad(ours(named(name), case)[0], case.logits_BTV)
    (again,) = torch.autograd.grad(ours(named(name), soiled)[0], case.logits_BTV)
    assert torch.equal(gradient, again)
    assert not gradient[torch.from_numpy(~case.trained_BT)].any()


@pytest.mark.parametrize("name", NAMES)
def test_ratios_are_taken_to_the_proximal_policy_where_there_is_one(name: str) -> None:
    """With the learner as its own proximal policy nothing is clipped, whatever the engine said."""
    case = make_case(beta=0.0)
    learner = case.learner_BT.detach()[torch.from_numpy(case.trained_BT)]
    loss, *_ = ours(named(name), case, proximal_logprobs=learner)
    (gradient,) = torch.autograd.grad(loss, case.logits_BTV)
    on_policy = replace(case, rollout_BT=case.learner_BT.detach().numpy())
    (wanted,) = torch.autograd.grad(ours(named(name), on_policy)[0], case.logits_BTV)
    assert torch.allclose(gradient, wanted, atol=1e-12)


def test_a_correction_multiplies_the_policys_loss_and_leaves_the_kl_alone() -> None:
    case = make_case(beta=0.1)
    mask = torch.from_numpy(case.trained_BT)
    learner, rollout = case.learner_BT.detach()[mask], torch.from_numpy(case.rollout_BT)[mask]
    settings = {"proximal_logprobs": learner}
    algorithm = named("grpo")
    plain, _, weights = ours(algorithm, case, **settings, kl_coefficient=0.0)
    kl = ours(algorithm, case, **settings)[0] - plain
    corrected, *_ = ours(algorithm, case, **settings, correction=PRESETS["token_is"])
    advantages = ours(algorithm, case)[1]
    factors = (learner - rollout).exp().clamp(max=2.0)
    assert (factors == 2).any() and (factors < 1).any()
    expected = -(weights * factors * torch.from_numpy(advantages)).sum() + kl
    assert corrected.item() == pytest.approx(expected.item(), rel=1e-12)


def test_without_a_proximal_policy_a_correction_is_of_the_learner_itself_and_has_no_gradient() -> (
    None
):
    case = make_case(beta=0.0)
    algorithm = replace(named("dapo"), clipping=lambda ratio, logprobs, advantages, clips: logprobs)
    loss, _, weights = ours(algorithm, case, correction=PRESETS["sequence_mask"])
    mask = torch.from_numpy(case.trained_BT)
    (gradient,) = torch.autograd.grad(loss, case.logits_BTV)
    # Of all sequences, only the first is near enough to its rollout.
    kept = torch.zeros_like(mask)
    kept[0] = mask[0]
    weights_BT = torch.zeros(mask.shape, dtype=torch.float64)
    weights_BT[mask] = weights
    (wanted,) = torch.autograd.grad((weights_BT * kept * case.learner_BT).sum(), case.logits_BTV)
    assert wanted.any() and torch.allclose(gradient, wanted, atol=1e-12)


def test_every_name_is_an_algorithm_and_no_other() -> None:
    assert set(REFERENCES) == set(NAMES)
    for name in NAMES:
        assert isinstance(named(name), Algorithm)
    with pytest.raises(KeyError):
        named("grpo2")


@pytest.mark.parametrize(
    ("name", "low", "high", "coefficient", "dynamic_sampling"),
    [
        ("grpo", 0.2, 0.2, 0.001, False),
        ("dapo", 0.2, 0.28, 0.0, True),
        ("dr_grpo", 0.2, 0.2, 0.0, False),
        ("gspo", 3e-4, 4e-4, 0.0, False),
        ("cispo", 1.0, 0.2, 0.0, False),
        ("rloo", 0.2, 0.2, 0.001, False),
        ("maxrl", 0.2, 0.2, 0.0, True),
        ("ppo", 0.2, 0.2, 0.01, False),
    ],
)
def test_numbers_that_come_with_a_name(
    name: str, low: float, high: float, coefficient: float, dynamic_sampling: bool
) -> None:
    algorithm = named(name)
    assert (algorithm.clips.low, algorithm.clips.high) == (low, high)
    assert algorithm.kl_coefficient == coefficient
    assert algorithm.dynamic_sampling is dynamic_sampling
    assert algorithm.critic is (name == "ppo")
