"""The critic of PPO: a network of its own that says what each state is worth.

Knows nothing about rewards or advantages: those are made from its values before the step, in
tailor_rl/algorithms/estimators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from learners.accumulate import accumulate, look
from learners.budget import Budget
from learners.engine import Engine
from learners.forward import model_inputs
from learners.metrics import CriticReport
from learners.packing import Shard
from learners.score import spread
from tailor_rl.algorithms.losses import value_losses


class ValueModel(torch.nn.Module):
    """The backbone of a causal language model under a layer with one output.

    That layer begins at zero. A random one would begin with values that mean nothing, and GAE would
    carry them into the first advantages; from zero those are plain returns. The backbone gets its
    first gradient in the second update.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.config = model.config
        self.backbone = model.base_model
        like = next(model.parameters())
        self.head = torch.nn.Linear(
            model.config.hidden_size, 1, dtype=like.dtype, device=like.device
        )
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(
        self, input_ids: torch.Tensor, *, places: torch.Tensor | None = None, **inputs: Any
    ) -> torch.Tensor:
        """Values of the states after the inputs at `places` (N,), counted row by row, float32 (N,);
        after every input by default.
        """
        outputs = self.backbone(input_ids=input_ids, use_cache=False, **inputs)
        hidden = outputs.last_hidden_state.flatten(0, 1)
        hidden = hidden if places is None else hidden[places]
        return self.head(hidden).squeeze(-1).float()


@dataclass(frozen=True, slots=True)
class ValueTokens:
    """The N trained tokens of a micro-batch with the values of the states they were chosen in."""

    values: torch.Tensor  # (N,) float32
    own: torch.Tensor  # (N,) bool: chosen by the policy itself, and no fill-in

    def column(self, micro: Shard, name: str) -> torch.Tensor:
        return torch.from_numpy(getattr(micro, name)[micro.mask]).to(self.values.device)


def value_tokens(
    values: Callable[..., torch.Tensor], micro: Shard, *, device: torch.device
) -> ValueTokens:
    """Token t was chosen in the state after token t - 1: its value is read there."""
    own = micro.weights > 0
    if micro.supervised is not None:
        own = own & ~micro.supervised[:, None]
    return ValueTokens(
        values=values(**model_inputs(micro, device=device)),
        own=torch.from_numpy(own[micro.mask]).to(device),
    )


def values_of(engine: Engine, shard: Shard, *, budget: Budget, device: torch.device) -> np.ndarray:
    """(B, T) float32: at a trained token the value of its state, 0 elsewhere. Collective."""

    def visit(micro: Shard) -> torch.Tensor:
        return value_tokens(engine.forward, micro, device=device).values

    in_step = engine.looks_in_step
    return spread(shard, look(shard, visit, budget=budget, in_step=in_step, device=device))


def critic_step(
    engine: Engine,
    shard: Shard,
    *,
    clip: float | None,
    learning_rate: float,
    budget: Budget,
    device: torch.device,
) -> CriticReport:
    """One update towards `returns`: the mean of `value_losses` over the tokens that the policies of
    all ranks' shards drew. Collective.
    """
    num = _own_tokens(shard, device=device)

    def loss_of(micro: Shard) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = value_tokens(engine.forward, micro, device=device)
        old, returns = tokens.column(micro, "old_values"), tokens.column(micro, "returns")
        losses = value_losses(tokens.values, old, returns, clip=clip)
        loss = (losses * tokens.own).sum() / num
        return loss, _sums(loss, old, returns, tokens.own)

    done = accumulate(engine, shard, loss_of=loss_of, budget=budget, device=device)
    sums = torch.stack(done.measured).sum(dim=0).tolist()
    return CriticReport(
        loss=sums[0],
        num_tokens=round(sums[1]),
        return_sum=sums[2],
        return_square_sum=sums[3],
        error_sum=sums[4],
        error_square_sum=sums[5],
        grad_norm=engine.step(learning_rate),
    )


@torch.no_grad()
def _sums(
    loss: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, own: torch.Tensor
) -> torch.Tensor:
    returns, errors = returns[own].double(), (returns - old)[own].double()
    sums = [loss.double(), own.sum().double()]
    sums += [returns.sum(), returns.square().sum(), errors.sum(), errors.square().sum()]
    return torch.stack(sums)


def _own_tokens(shard: Shard, *, device: torch.device) -> int:
    """Tokens that the policy drew itself, over all ranks; at least 1. Collective."""
    own = shard.weights > 0
    if shard.supervised is not None:
        own = own & ~shard.supervised[:, None]
    total = torch.tensor(int((own & shard.mask).sum()), device=device)
    torch.distributed.all_reduce(total)
    return max(1, int(total.item()))
