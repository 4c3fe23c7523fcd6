"""One supervised step on one rank: cross-entropy of the demonstrations' tokens."""

from __future__ import annotations

import time

import torch

from learners.accumulate import accumulate
from learners.budget import Budget
from learners.engine import Engine
from learners.forward import trained_tokens
from learners.metrics import SFTReport
from learners.packing import Shard
from tailor_rl.methods.hooks import SFTMethod


def sft_step(
    engine: Engine,
    shard: Shard,
    *,
    method: SFTMethod,
    learning_rate: float,
    budget: Budget,
    device: torch.device,
) -> SFTReport:
    """Update the weights by this rank's share of a batch. Collective.

    The loss is sum(weight * (method's weight * -log p(token) + method's extra loss)), at
    temperature 1; with no method that of the cross-entropy.
    """
    start = time.perf_counter()

    def loss_of(micro: Shard) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = trained_tokens(engine.forward, micro, temperature=1.0, device=device)
        logprobs = tokens.logprobs
        behaviour = tokens.must(micro, "rollout_logprobs")
        token_losses = -logprobs
        factors = method.token_weights(logprobs.detach(), behaviour, tokens.sequences)
        if factors is not None:
            token_losses = factors * token_losses
        extra = method.extra_losses(logprobs, behaviour, tokens.sequences)
        if extra is not None:
            token_losses = token_losses + extra
        weights = tokens.must(micro, "weights")
        # Reported as plain cross-entropy, so that methods can be compared by it.
        return (weights * token_losses).sum(), -(weights * logprobs).sum().detach()

    done = accumulate(engine, shard, loss_of=loss_of, budget=budget, device=device)
    loss = float(torch.stack(done.measured).sum())
    return SFTReport(
        loss=loss,
        grad_norm=engine.step(learning_rate),
        learning_rate=learning_rate,
        num_trained_tokens=shard.num_trained_tokens,
        passes=done.passes,
        seconds=time.perf_counter() - start,
    )
