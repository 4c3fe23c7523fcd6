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
    sequences: torch.Tensor  # (N,) int64: the row of each

    def of(self, micro: Shard, name: str) -> torch.Tensor | None:
        """The column `name` of the micro-batch at the trained tokens, (N,); None where it is."""
        values = getattr(micro, name)
        if values is None:
            return None
        if values.ndim == 1:  # one a sequence
            values = np.broadcast_to(values[:, None], micro.mask.shape)
        return torch.from_numpy(values[micro.mask]).to(self.targets.device)

    def must(self, micro: Shard, name: str) -> torch.Tensor:
        values = self.of(micro, name)
        assert values is not None, name
        return values


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
    return TrainedTokens(
        logits=logits_BCV[torch.from_numpy(predicted[:, columns]).to(device)],
        targets=torch.from_numpy(micro.tokens[micro.mask]).to(device),
        sequences=torch.from_numpy(np.nonzero(micro.mask)[0]).to(device),
    )


def model_logits(model: Any) -> Logits:
    """A transformers model as a function to its logits, like `Engine.logits`."""

    def logits(**inputs: Any) -> torch.Tensor:
        return model(**inputs).logits

    return logits
