"""From a micro-batch to what a loss needs: the trained tokens, flattened, with their logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from learners.packing import Shard

Logits = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True)
class TrainedTokens:
    """The N trained tokens of a micro-batch, row by row. A fill-in has one, of weight 0."""

    logits: torch.Tensor  # (N, V), of the model's dtype
    targets: torch.Tensor  # (N,) int64
    rollout_logprobs: torch.Tensor  # (N,) float32
    advantages: torch.Tensor  # (N,) float32
    weights: torch.Tensor  # (N,) float32


def trained_tokens(logits: Logits, micro: Shard, *, device: torch.device) -> TrainedTokens:
    """Run the model and keep what predicts a trained token (`mask[t]` speaks of tokens[t]).

    The output layer runs only for columns in which some sequence is trained on. No attention mask:
    padding is on the right, where the earlier tokens of a causal model cannot see it.
    """
    predicted = micro.mask[:, 1:]  # column t is about predicting tokens[t + 1]
    columns = np.flatnonzero(predicted.any(axis=0))
    logits_BCV = logits(
        input_ids=torch.from_numpy(micro.tokens).to(device),
        logits_to_keep=torch.from_numpy(columns).to(device),
        use_cache=False,
    )

    def flat(values_BT: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values_BT[micro.mask]).to(device)

    return TrainedTokens(
        logits=logits_BCV[torch.from_numpy(predicted[:, columns]).to(device)],
        targets=flat(micro.tokens),
        rollout_logprobs=flat(micro.rollout_logprobs),
        advantages=flat(micro.advantages),
        weights=flat(micro.weights),
    )


def model_logits(model: Any) -> Logits:
    """A transformers model as a function to its logits, like `Engine.logits`."""

    def logits(**inputs: Any) -> torch.Tensor:
        return model(**inputs).logits

    return logits
