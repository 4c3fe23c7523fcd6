"""One policy update on one rank: the clipped loss, an optional KL term, and what is measured.

The denominator of the ratio is what the engine that drew a token reported for it ("bypass mode"):
the learner makes no second pass over the batch. With stale rollouts, or several updates a step, the
clip then bounds the distance to what was really sampled from; the clip fractions show how often.
"""

from __future__ import annotations

import time

import torch

from learners.accumulate import accumulate
from learners.engine import Engine
from learners.forward import Logits, TrainedTokens, trained_tokens
from learners.metrics import PolicyReport
from learners.packing import Shard
from learners.settings import LossSettings
from tailor_rl.algorithms.logprobs import entropies, token_logprobs
from tailor_rl.algorithms.losses import clipped_losses, clipped_tokens, kl_k3


def policy_step(
    engine: Engine,
    shard: Shard,
    *,
    loss: LossSettings,
    reference: Logits | None,
    learning_rate: float,
    max_tokens: int,
    device: torch.device,
) -> PolicyReport:
    """Update the weights by this rank's share of a batch. Collective.

    The loss is sum(weight * (clipped loss + kl_coefficient * KL to the reference)). `reference`
    gives the logits of the frozen weights; None leaves the KL term out.
    """
    start = time.perf_counter()
    measured: list[torch.Tensor] = []

    def loss_of(micro: Shard) -> torch.Tensor:
        tokens = trained_tokens(engine.logits, micro, device=device)
        logprobs = token_logprobs(tokens.logits, tokens.targets, temperature=loss.temperature)
        losses = _clipped_losses(tokens, logprobs, loss)
        kl = torch.zeros_like(logprobs)
        if reference is not None:
            kl = kl_k3(logprobs, _logprobs(reference, micro, loss.temperature, device))
            losses = losses + loss.kl_coefficient * kl
        value = (tokens.weights * losses).sum()
        measured.append(_measure(tokens, logprobs, kl, loss=value, settings=loss))
        return value

    accumulate(engine, shard, loss_of=loss_of, max_tokens=max_tokens, device=device)
    rows = torch.stack(measured)
    sums, largest = rows[:, :-1].sum(dim=0).tolist(), rows[:, -1].max().item()
    seconds = time.perf_counter() - start
    return PolicyReport(
        loss=sums[0],
        entropy_sum=sums[1],
        clipped_low=round(sums[2]),
        clipped_high=round(sums[3]),
        logprob_difference_sum=sums[4],
        logprob_difference_max=largest,
        kl_sum=None if reference is None else sums[5],
        grad_norm=engine.step(learning_rate),
        learning_rate=learning_rate,
        num_trained_tokens=shard.num_trained_tokens,
        num_tokens=shard.num_tokens,
        num_sequences=shard.num_sequences,
        seconds=seconds,
    )


def _clipped_losses(
    tokens: TrainedTokens, logprobs: torch.Tensor, settings: LossSettings
) -> torch.Tensor:
    return clipped_losses(
        logprobs,
        tokens.rollout_logprobs,
        advantages=tokens.advantages,
        clip_low=settings.clip_low,
        clip_high=settings.clip_high,
    )


@torch.no_grad()
def _logprobs(
    reference: Logits, micro: Shard, temperature: float, device: torch.device
) -> torch.Tensor:
    tokens = trained_tokens(reference, micro, device=device)
    return token_logprobs(tokens.logits, tokens.targets, temperature=temperature)


@torch.no_grad()
def _measure(
    tokens: TrainedTokens,
    logprobs: torch.Tensor,
    kl: torch.Tensor,
    *,
    loss: torch.Tensor,
    settings: LossSettings,
) -> torch.Tensor:
    """Loss, sums of entropy, clipped low, clipped high, |learner - rollout|, KL; and the largest.

    Stays on the device: reading numbers back after every micro-batch would stall a GPU.
    """
    real = tokens.weights > 0  # a fill-in's token is in no metric
    low, high = clipped_tokens(
        logprobs,
        tokens.rollout_logprobs,
        advantages=tokens.advantages,
        clip_low=settings.clip_low,
        clip_high=settings.clip_high,
    )
    entropy = entropies(tokens.logits, temperature=settings.temperature)
    difference = (logprobs - tokens.rollout_logprobs).abs() * real
    sums = [loss, (entropy * real).sum(), (low & real).sum(), (high & real).sum()]
    sums += [difference.sum(), (kl * real).sum(), difference.max()]
    return torch.stack([value.detach().double() for value in sums])
