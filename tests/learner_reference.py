"""Updates without DeepSpeed, micro-batches or our losses: formulas written out in plain PyTorch.

Sequences are padded on the left here, unlike anywhere in the learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tailor_rl.types import Batch
from tests.tiny import VOCABULARY

CLIP, WEIGHT_DECAY = 0.5, 0.01
OPTIMIZER = {
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "weight_decay": WEIGHT_DECAY,
    "max_grad_norm": CLIP,
}


def make_batch(
    seed: int, *, sequences: int = 7, shortest: int = 8, longest: int = 30, supervised: int = 0
) -> Batch:
    """Random tokens; the last `supervised` rows are learnt by cross-entropy."""
    random = np.random.default_rng(seed)
    lengths = random.integers(shortest, longest + 1, sequences)
    tokens = random.integers(3, VOCABULARY, (sequences, longest))
    mask = np.zeros(tokens.shape, dtype=np.bool_)
    for row, length in enumerate(lengths):
        mask[row, 3:length] = True
    return Batch(
        tokens=tokens,
        mask=mask,
        rollout_logprobs=(random.normal(-5.5, 0.3, tokens.shape) * mask).astype(np.float32),
        advantages=(random.normal(size=(sequences, 1)) * mask).astype(np.float32),
        lengths=lengths,
        supervised=np.arange(sequences) >= sequences - supervised if supervised else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Settings of a policy loss; KL is estimated by k3."""

    temperature: float = 0.8
    clip_low: float = 0.2
    clip_high: float = 0.28
    sequence_ratio: bool = False
    recomputed: bool = False
    truncation: float | None = None  # of an importance weight per token
    token_mean: bool = False  # else every sequence weighs the same
    kl_coefficient: float = 0.0
    entropy_coefficient: float = 0.0


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy loss: keys of the recipe, and the same for the reference."""

    recipe: Mapping[str, Any]
    loss: Loss
    supervised: int = 0  # rows


VARIANTS = {
    "sequence-level ratios": Variant(
        {"algorithm": "gspo", "clip_low": 0.2, "clip_high": 0.28}, Loss(sequence_ratio=True)
    ),
    "token mean, entropy bonus": Variant(
        {"algorithm": "dapo", "entropy_coefficient": 0.02},
        Loss(token_mean=True, entropy_coefficient=0.02),
    ),
    "recomputed and corrected, with KL": Variant(
        {
            "algorithm": "grpo",
            "clip_high": 0.28,
            "kl_coefficient": 0.05,
            "logprobs": "recomputed",
            "correction": "token_is",
            "correction_high": 1.1,
        },
        Loss(recomputed=True, truncation=1.1, kl_coefficient=0.05),
    ),
    "some rows supervised": Variant({"algorithm": "dapo"}, Loss(token_mean=True), supervised=3),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """How a learner is cut up."""

    ranks: int
    zero_stage: int
    micro_batch_tokens: int
    packing: bool = False
    gradient_checkpointing: bool = False
    attention: str = "sdpa"

    def __str__(self) -> str:
        parts = [f"{self.ranks} x ZeRO {self.zero_stage}", f"{self.micro_batch_tokens} tokens"]
        parts += [word for word in ("packing", "gradient_checkpointing") if getattr(self, word)]
        return ", ".join([*parts, self.attention])


CUTS = [
    Cut(1, 0, 10_000),
    Cut(1, 0, 1),
    Cut(1, 0, 10_000, packing=True),
    Cut(1, 0, 60, packing=True, attention="eager"),
    Cut(1, 1, 60),
    Cut(1, 2, 60),
    Cut(1, 3, 60),
    Cut(2, 0, 60),
    Cut(2, 0, 60, packing=True),
    Cut(2, 1, 10_000),
    Cut(2, 1, 40),
    Cut(2, 1, 40, packing=True),
    Cut(2, 2, 10_000),
    Cut(2, 2, 40),
    Cut(2, 2, 60, packing=True),
    Cut(2, 3, 10_000),
    Cut(2, 3, 40),
    Cut(2, 3, 60, packing=True),
    Cut(2, 3, 40, gradient_checkpointing=True),
    Cut(2, 1, 60, packing=True, gradient_checkpointing=True),
]
VARIED_CUTS = [
    Cut(1, 0, 10_000),
    Cut(1, 1, 60, packing=True),
    Cut(2, 2, 40),
    Cut(2, 3, 60, packing=True, gradient_checkpointing=True),
]


class PlainLearner:
    def __init__(self, student: Path) -> None:
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=WEIGHT_DECAY)

    def distributions(self, batch: Batch, temperature: float) -> torch.Tensor:
        """(B, T, V): entry t is log p(. | tokens before t); column 0 has none and is zeros."""
        width = batch.tokens.shape[1]
        tokens, real = np.zeros_like(batch.tokens), np.zeros_like(batch.mask)
        for row, length in enumerate(batch.lengths):
            tokens[row, width - length :] = batch.tokens[row, :length]
            real[row, width - length :] = True
        logits = self.model(
            input_ids=torch.from_numpy(tokens),
            attention_mask=torch.from_numpy(real.astype(np.int64)),
            position_ids=torch.from_numpy(np.maximum(real.cumsum(axis=1) - 1, 0)),
        ).logits
        rows = []
        for row, length in zip(logits, batch.lengths, strict=True):
            own = (row[width - length : -1] / temperature).log_softmax(-1)
            rows.append(torch.nn.functional.pad(own, (0, 0, 1, width - int(length))))
        return torch.stack(rows)

    def logprobs(self, batch: Batch, temperature: float) -> torch.Tensor:
        return _picked(self.distributions(batch, temperature), batch)

    def update(self, loss: torch.Tensor, learning_rate: float) -> float:
        """The norm of the gradient before clipping."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return float(norm)

    def sft_loss(self, batch: Batch) -> torch.Tensor:
        return -self.logprobs(batch, 1.0)[torch.from_numpy(batch.mask)].mean()

    def policy_loss(
        self, batch: Batch, loss: Loss, *, reference: torch.Tensor, proximal: torch.Tensor
    ) -> torch.Tensor:
        """`reference` and `proximal` are log-probabilities (B, T) of the policies before the step;
        ratios are to the rollout's unless they are recomputed.
        """
        distributions = self.distributions(batch, loss.temperature)
        learner = _picked(distributions, batch)
        rollout = torch.from_numpy(batch.rollout_logprobs)
        entropy = -(distributions.exp() * distributions).sum(-1)
        rows, supervised = [], []
        for i, mask in enumerate(torch.from_numpy(batch.mask)):
            own, old = learner[i][mask], (proximal if loss.recomputed else rollout)[i][mask]
            if batch.supervised is not None and batch.supervised[i]:
                supervised.append(-own)
                continue
            log_ratio = own - old
            if loss.sequence_ratio:
                log_ratio = log_ratio.detach().mean() + own - own.detach()
            ratio, advantage = log_ratio.exp(), torch.from_numpy(batch.advantages)[i][mask]
            clipped = ratio.clamp(1 - loss.clip_low, 1 + loss.clip_high)
            losses = -torch.minimum(ratio * advantage, clipped * advantage)
            if loss.truncation is not None:
                losses = losses * (old - rollout[i][mask]).exp().clamp(max=loss.truncation)
            away = reference[i][mask] - own
            losses = losses + loss.kl_coefficient * (away.exp() - away - 1)
            rows.append(losses - loss.entropy_coefficient * entropy[i][mask])
        mean = (
            torch.cat(rows).mean() if loss.token_mean else torch.stack([*map(_mean, rows)]).mean()
        )
        return mean + (torch.cat(supervised).mean() if supervised else 0.0)

    def first_moments(self) -> dict[str, np.ndarray]:
        state = self.optimizer.state
        return {n: state[p]["exp_avg"].numpy() for n, p in self.model.named_parameters()}

    def weights(self) -> dict[str, np.ndarray]:
        return {name: p.detach().numpy() for name, p in self.model.named_parameters()}


def relative_difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """Euclidean, over all tensors together."""
    assert ours.keys() == theirs.keys()
    difference = sum(float(((ours[n] - theirs[n]).astype(np.float64) ** 2).sum()) for n in ours)
    size = sum(float((theirs[n].astype(np.float64) ** 2).sum()) for n in theirs)
    return float(np.sqrt(difference / size))


def _picked(distributions: torch.Tensor, batch: Batch) -> torch.Tensor:
    tokens: Any = torch.from_numpy(batch.tokens)
    return distributions.gather(-1, tokens[..., None]).squeeze(-1)


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean()
