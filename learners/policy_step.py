"""One policy update on one rank: the algorithm's loss, and what is measured.

Ratios are taken to `proximal_logprobs`, which the learner computed before the step, or where there
are none to what the engine that drew a token reported for it ("bypass mode": no second pass over
the batch). With stale rollouts, or several updates a step, the clip then bounds the distance to
what was really sampled from.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from learners.accumulate import accumulate
from learners.budget import Budget
from learners.engine import Engine
from learners.forward import TrainedTokens, trained_tokens
from learners.metrics import MAX_LOG_RATIOS, PolicyReport
from learners.packing import Shard
from learners.settings import PolicyLoss
from tailor_rl.algorithms.losses import held
from tailor_rl.algorithms.objective import objective


def policy_step(
    engine: Engine,
    shard: Shard,
    *,
    loss: PolicyLoss,
    learning_rate: float,
    budget: Budget,
    device: torch.device,
) -> PolicyReport:
    """Update the weights by this rank's share of a batch. Collective.

    The loss is sum(weight * (correction * clipped loss + kl_coefficient * KL to the reference -
    entropy_coefficient * entropy)), and sum(weight * -log p) in rows that are supervised.
    """
    start = time.perf_counter()

    def loss_of(micro: Shard) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        tokens = trained_tokens(
            engine.forward,
            micro,
            temperature=loss.temperature,
            with_entropies=True,
            device=device,
        )
        value, row, mismatch = _loss(micro, tokens, loss)
        return value, (row, mismatch)

    done = accumulate(engine, shard, loss_of=loss_of, budget=budget, device=device)
    rows = torch.stack([row for row, _ in done.measured])
    sums, largest = rows[:, :-1].sum(dim=0).tolist(), rows[:, -1].max().item()
    seconds = time.perf_counter() - start
    return PolicyReport(
        loss=sums[0],
        entropy_sum=sums[1],
        clipped_low=round(sums[2]),
        clipped_high=round(sums[3]),
        logprob_difference_sum=sums[4],
        logprob_difference_max=largest,
        kl_sum=None if shard.reference_logprobs is None else sums[5],
        correction_sum=sums[6],
        correction_square_sum=sums[7],
        corrected=round(sums[8]),
        supervised_tokens=round(sums[9]),
        own_tokens=round(sums[10]),
        log_ratios=_thinned([each for _, each in done.measured]),
        grad_norm=engine.step(learning_rate),
        learning_rate=learning_rate,
        num_trained_tokens=shard.num_trained_tokens,
        num_tokens=shard.num_tokens,
        num_sequences=shard.num_sequences,
        passes=done.passes,
        seconds=seconds,
    )


def _loss(
    micro: Shard, tokens: TrainedTokens, settings: PolicyLoss
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss, what is measured, log-ratios learner - rollout of the policy's own tokens)."""
    algorithm = settings.algorithm
    logprobs, entropy = tokens.logprobs, tokens.entropies
    assert entropy is not None
    rollout = tokens.must(micro, "rollout_logprobs")
    advantages = tokens.must(micro, "advantages")
    weights = tokens.must(micro, "weights")
    made = objective(
        algorithm,
        logprobs,
        rollout_logprobs=rollout,
        proximal_logprobs=tokens.of(micro, "proximal_logprobs"),
        reference_logprobs=tokens.of(micro, "reference_logprobs"),
        advantages=advantages,
        sequences_N=tokens.sequences,
        kl_coefficient=settings.kl_coefficient,
        correction=settings.correction,
    )
    losses, factors = made.losses, made.factors
    kl = torch.zeros_like(logprobs) if made.kl is None else made.kl
    if settings.entropy_coefficient:
        losses = losses - settings.entropy_coefficient * entropy
    supervised = tokens.of(micro, "supervised")
    if supervised is None:
        supervised = torch.zeros_like(weights, dtype=torch.bool)
    losses = torch.where(supervised, -logprobs, losses)
    value = (weights * losses).sum()

    with torch.no_grad():
        # In no metric: tokens of fill-ins, and those that a method has given no weight.
        own = (weights > 0) & ~supervised
        low, high = held(made.ratio, advantages, algorithm.clips)
        difference = (logprobs - rollout) * own
        left_alone = factors == 1.0
        sums = [value, (entropy * own).sum(), (low & own).sum(), (high & own).sum()]
        sums += [difference.abs().sum(), (kl * own).sum()]
        sums += [(factors * own).sum(), (factors.square() * own).sum(), (~left_alone & own).sum()]
        sums += [((weights > 0) & supervised).sum(), own.sum(), difference.abs().max()]
        row = torch.stack([each.detach().double() for each in sums])
        return value, row, difference[own]


def _thinned(log_ratios: list[torch.Tensor]) -> np.ndarray:
    """At most MAX_LOG_RATIOS of them, evenly spaced: quantiles need no more."""
    every = torch.cat(log_ratios).float().cpu().numpy()
    return every[:: max(1, -(-len(every) // MAX_LOG_RATIOS))]
