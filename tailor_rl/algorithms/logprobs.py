"""Log-probabilities and entropies from logits, without a float32 copy of all logits.

Legend: N the positions that are trained on, V vocabulary. Callers select those N rows first: the
padding and the prompts of a batch cost nothing here.
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 1 << 24  # 64 MiB of float32 at a time


def token_logprobs(
    logits_NV: torch.Tensor,
    targets_N: torch.Tensor,
    *,
    temperature: float,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """log softmax(logits / temperature)[target], in float32 (N,), differentiable.

    The same convention as the rollout engines', which report the distribution they drew from. Rows
    are converted to float32 a chunk at a time, again in the backward pass instead of being kept.
    """
    chunks = []
    for rows in _chunks(logits_NV, chunk_elements):
        logits, targets = logits_NV[rows], targets_N[rows]
        if logits.requires_grad and torch.is_grad_enabled():
            chunks.append(checkpoint(_gathered, logits, targets, temperature, use_reentrant=False))
        else:
            chunks.append(_gathered(logits, targets, temperature))
    return torch.cat(chunks)


def entropies(
    logits_NV: torch.Tensor, *, temperature: float, chunk_elements: int = CHUNK_ELEMENTS
) -> torch.Tensor:
    """-sum_v p_v log p_v, p = softmax(logits / temperature), in nats, float32 (N,), differentiable.

    Exact: over the whole vocabulary. Chunks as in `token_logprobs`.
    """
    chunks = []
    for rows in _chunks(logits_NV, chunk_elements):
        logits = logits_NV[rows]
        if logits.requires_grad and torch.is_grad_enabled():
            chunks.append(checkpoint(_entropy, logits, temperature, use_reentrant=False))
        else:
            chunks.append(_entropy(logits, temperature))
    return torch.cat(chunks)


def _entropy(logits_NV: torch.Tensor, temperature: float) -> torch.Tensor:
    logprobs = (logits_NV.float() / temperature).log_softmax(dim=-1)
    # A logit of -inf is an impossible token: 0 log 0 = 0, not nan.
    return -(logprobs.exp() * logprobs.clamp_min(-1e30)).sum(dim=-1)


def _gathered(logits_NV: torch.Tensor, targets_N: torch.Tensor, temperature: float) -> torch.Tensor:
    scaled = logits_NV.float() / temperature
    chosen = scaled.gather(-1, targets_N[:, None]).squeeze(-1)
    return chosen - scaled.logsumexp(dim=-1)


def _chunks(logits_NV: torch.Tensor, chunk_elements: int) -> list[slice]:
    num_rows, vocabulary = logits_NV.shape
    step = max(1, chunk_elements // vocabulary)
    return [slice(start, start + step) for start in range(0, max(num_rows, 1), step)]
