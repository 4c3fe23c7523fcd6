"""The losses that TRL 1.16 computes, on the same batch: its own code, our parts.

Equal to 1e-5, loss and gradient with respect to the logits: GRPO, DAPO, Dr. GRPO (`loss_type`
"grpo", "dapo", "dr_grpo"), GSPO (`importance_sampling_level` "sequence" with "grpo") and CISPO,
with and without KL, and the two-sided clip (`delta`), which is the dual clip. RLOO: the gradient
of rollouts that are not stale.

Not the same, by definition:

- advantages: TRL divides by the deviation with Bessel's correction, plus 1e-4; ours by that of the
  group itself, plus 1e-6: TRL's are smaller by sqrt((G - 1) / G);
- GRPO's mean over sequences: TRL counts a sequence that is masked as a whole, as an answer that is
  cut off may be, and so makes the others smaller; ours does not count it. The same in Dr. GRPO;
- CISPO: TRL's `epsilon_high` is the bound of the ratio itself (ours: 1 + `clip_high`);
- RLOO: TRL's ratio is one of the whole completion, and is clipped; ours is one a token. They differ
  where rollouts are stale, and the values of the losses, not their gradients, where they are not;
- KL: TRL's estimate is k3 in the loss (RLOO: k1 in the reward); ours is any of three in either;
- the mismatch of engine and learner: TRL leaves out sequences whose ratio is above 3 unless told
  otherwise; ours corrects nothing unless told to.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tailor_rl.algorithms.advantages import group_advantages, leave_one_out_advantages
from tailor_rl.algorithms.algorithm import Algorithm, named
from tailor_rl.algorithms.losses import Clips
from tailor_rl.algorithms.objective import objective

LENGTHS = [4, 2, 5, 3, 1, 5]
WIDTH, VOCABULARY, MAX_TOKENS = 5, 11, 8
MASK = np.arange(WIDTH)[None] < np.array(LENGTHS)[:, None]
ADVANTAGES = torch.tensor([1.0, -0.5, 0.7, -1.2, 0.3, -0.4], dtype=torch.float64)


@pytest.fixture(scope="module")
def trainers() -> SimpleNamespace:
    pytest.importorskip("trl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SimpleNamespace(
            grpo=importlib.import_module("trl.trainer.grpo_trainer").GRPOTrainer,
            rloo=importlib.import_module("trl.trainer.rloo_trainer").RLOOTrainer,
        )


class Batch:
    """Logits with a gradient, and log-probabilities of the policies around them."""

    def __init__(self, *, drift: float) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (len(LENGTHS), WIDTH)
        self.logits = torch.randn(*shape, VOCABULARY, generator=generator, dtype=torch.float64)
        self.logits.requires_grad_()
        self.targets = torch.randint(VOCABULARY, shape, generator=generator)
        noise = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        noise[0, 0] *= 1e-3  # a sequence that no clip of GSPO holds
        self.rollout = self.logprobs.detach() + drift * noise[0]
        self.reference = self.logprobs.detach() + 0.3 * noise[1]

    @property
    def logprobs(self) -> torch.Tensor:
        return self.logits.log_softmax(-1).gather(-1, self.targets[..., None])[..., 0]


def trl_trainer(trainer: Any, batch: Batch, **options: Any) -> Any:
    """TRL's trainer as its loss sees it: log-probabilities of these logits instead of a model's."""
    made = object.__new__(trainer)
    plain = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1)
    attributes = {
        "loss_type": "grpo",
        "importance_sampling_level": "token",
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "beta": 0.0,
        "args": plain,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "use_vllm": False,
        "vllm_importance_sampling_correction": False,
        "aux_loss_enabled": False,
        "_entropy_bonus_enabled": False,
        "max_completion_length": MAX_TOKENS,
        "current_gradient_accumulation_steps": 1,
        "model": SimpleNamespace(training=True),
        "accelerator": SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x
        ),
        "_metrics": defaultdict(lambda: defaultdict(list)),
    }
    for name, value in {**attributes, **options}.items():
        setattr(made, name, value)
    made._get_per_token_logps_and_entropies = lambda *args, **kwargs: (
        batch.logprobs,
        torch.zeros_like(batch.rollout),
        None,
    )
    return made


def trl_loss(trainer: Any, batch: Batch, *, mask: np.ndarray = MASK, **options: Any) -> Any:
    ones = torch.ones(len(LENGTHS), 2, dtype=torch.long)
    trained = torch.from_numpy(mask).to(torch.long)
    return trl_trainer(trainer, batch, **options)._compute_loss(
        SimpleNamespace(),
        {
            "prompt_ids": ones,
            "prompt_mask": ones,
            "completion_ids": batch.targets,
            "completion_mask": trained,
            "advantages": ADVANTAGES,
            "old_per_token_logps": batch.rollout,
            "old_logps": (batch.rollout * trained).sum(-1),
            "ref_per_token_logps": batch.reference,
            "num_items_in_batch": trained.sum(),
        },
    )


def our_loss(
    algorithm: Algorithm, batch: Batch, *, mask: np.ndarray = MASK, beta: float = 0.0
) -> torch.Tensor:
    trained = torch.from_numpy(mask)
    made = objective(
        algorithm,
        batch.logprobs[trained],
        rollout_logprobs=batch.rollout[trained],
        proximal_logprobs=None,
        reference_logprobs=batch.reference[trained],
        advantages=ADVANTAGES[:, None].expand(trained.shape)[trained],
        sequences_N=torch.from_numpy(np.nonzero(mask)[0]),
        kl_coefficient=beta,
        correction=None,
    )
    weights = algorithm.aggregate(mask, max_tokens=MAX_TOKENS)[mask]
    return (torch.from_numpy(weights).double() * made.losses).sum()


def gradient_of(loss: torch.Tensor, batch: Batch) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss, batch.logits)
    assert gradient.abs().max() > 1e-4
    return gradient


SAME: dict[str, dict[str, Any]] = {
    "grpo": {"loss_type": "grpo"},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "gspo": {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4},
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.2},
}


@pytest.mark.parametrize("drift", [0.0, 0.4])
@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("name", SAME)
def test_losses_and_gradients_are_those_of_trl(
    trainers: SimpleNamespace, name: str, beta: float, drift: float
) -> None:
    batch = Batch(drift=drift)
    theirs = trl_loss(trainers.grpo, batch, beta=beta, **SAME[name])
    loss = our_loss(named(name), batch, beta=beta)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5, abs=1e-7)
    wanted = gradient_of(theirs, batch)
    difference = (gradient_of(loss, batch) - wanted).norm() / wanted.norm()
    assert difference.item() < 1e-5


def test_the_dual_clip_is_trls_two_sided_one(trainers: SimpleNamespace) -> None:
    batch = Batch(drift=1.5)
    args = SimpleNamespace(delta=1.5, use_bias_correction_kl=False, steps_per_generation=1)
    theirs = trl_loss(trainers.grpo, batch, args=args)
    algorithm = replace(named("grpo"), clips=Clips(low=0.2, high=0.2, dual=1.5))
    loss = our_loss(algorithm, batch)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert torch.allclose(gradient_of(loss, batch), gradient_of(theirs, batch), atol=1e-7)
    assert loss.item() < our_loss(named("grpo"), batch).item()  # it acts on this batch


def test_rloo_has_trls_gradient_where_rollouts_are_not_stale(trainers: SimpleNamespace) -> None:
    batch = Batch(drift=0.0)
    theirs = gradient_of(trl_loss(trainers.rloo, batch), batch)
    ours = gradient_of(our_loss(named("rloo"), batch), batch)
    assert ((ours - theirs).norm() / theirs.norm()).item() < 1e-5


@pytest.mark.parametrize("name", ["grpo", "dr_grpo"])
def test_a_sequence_masked_as_a_whole_dilutes_trls_others_and_not_ours(
    trainers: SimpleNamespace, name: str
) -> None:
    batch = Batch(drift=0.4)
    mask = MASK.copy()
    mask[2] = False
    theirs = trl_loss(trainers.grpo, batch, mask=mask, **SAME[name])
    loss = our_loss(named(name), batch, mask=mask)
    assert loss.item() == pytest.approx(theirs.item() * 6 / 5, rel=1e-5)


def test_advantages_differ_from_trls_by_bessels_correction_alone(
    trainers: SimpleNamespace,
) -> None:
    nanstd = importlib.import_module("trl.trainer.utils").nanstd
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.5, 0.0, 1.0, 1.0, 0.0])
    theirs = (rewards - rewards.mean()) / (nanstd(rewards[None], dim=1) + 1e-4)
    ours = torch.from_numpy(group_advantages(rewards.tolist()))
    assert torch.allclose(ours * math.sqrt(7 / 8), theirs, rtol=1e-3)
    others = (rewards.sum() - rewards) / 7
    left_out = torch.from_numpy(leave_one_out_advantages(rewards.tolist()))
    assert torch.allclose(left_out, rewards - others, atol=1e-6)
