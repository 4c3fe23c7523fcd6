"""Log-probabilities and entropies without a float32 copy of all logits.

Legend: N the positions that are trained on, V vocabulary, D width of the hidden states. Callers
select those N rows first: the padding and the prompts of a batch cost nothing here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 1 << 24  # 64 MiB of float32 at a time
# A logit of -inf is an impossible token: 0 log 0 = 0, not nan.
IMPOSSIBLE = -1e30


def output_scores(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets_N: torch.Tensor,
    *,
    bias_V: torch.Tensor | None = None,
    temperature: float,
    with_entropies: bool = False,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What `token_logprobs` and `entropies` say of logits = hidden @ weight.T + bias, float32 (N,)
    each; entropies are None unless asked for. Differentiable, also with respect to the weight.

    The logits never exist as a whole: forward they are made for a chunk of positions at a time,
    backward again for a chunk of the vocabulary. So every row of the weight's gradient is one
    product, as it is without chunks, and none is summed from pieces rounded to bfloat16.
    """
    logprobs_N, entropies_N = _OutputScores.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, bias_V, targets_N, temperature, with_entropies, chunk_elements
    )
    return logprobs_N, entropies_N


class _OutputScores(torch.autograd.Function):
    """With z = logits / temperature, p = softmax(z) and H the entropy:

    d log p_t / dz_v = [v = t] - p_v and dH / dz_v = -p_v (log p_v + H).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        targets_N: torch.Tensor,
        temperature: float,
        with_entropies: bool,
        chunk_elements: int,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        chosen, normalisers, entropies = [], [], []
        kept = None
        chunks = _chunks(len(hidden_ND), len(weight_VD), chunk_elements)
        for rows in chunks:
            scaled = _scaled(hidden_ND[rows], weight_VD, bias_V, temperature)
            normaliser = scaled.logsumexp(dim=-1)
            logprobs = scaled.sub_(normaliser[:, None])
            chosen.append(logprobs.gather(-1, targets_N[rows, None]).squeeze(-1))
            normalisers.append(normaliser)
            if with_entropies:
                entropies.append(_entropy_of(logprobs))
            if len(chunks) == 1:
                kept = logprobs  # a single chunk is not made again
        entropies_N = torch.cat(entropies) if with_entropies else None
        ctx.save_for_backward(
            hidden_ND, weight_VD, bias_V, targets_N, torch.cat(normalisers), entropies_N, kept
        )
        ctx.temperature, ctx.chunk_elements = temperature, chunk_elements
        ctx.set_materialize_grads(False)
        return torch.cat(chosen), entropies_N

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V, targets_N, normalisers_N, entropies_N, kept = (
            ctx.saved_tensors
        )
        by_logprob_N, by_entropy_N = grads
        wanted = ctx.needs_input_grad
        blocks = _chunks(len(weight_VD), len(hidden_ND), ctx.chunk_elements)
        grad_hidden = torch.zeros_like(hidden_ND, dtype=normalisers_N.dtype)
        grad_weight = torch.empty_like(weight_VD) if wanted[1] else None
        grad_bias = torch.empty_like(bias_V) if wanted[2] else None
        for block in blocks:
            weight = weight_VD[block]
            if kept is None:
                bias = None if bias_V is None else bias_V[block]
                scaled = _scaled(hidden_ND, weight, bias, ctx.temperature)
                logprobs = scaled.sub_(normalisers_N[:, None])
            else:
                logprobs = kept[:, block]
            by_scaled = torch.zeros_like(logprobs)
            probabilities = logprobs.exp()
            if by_logprob_N is not None:
                by_scaled.addcmul_(probabilities, by_logprob_N[:, None], value=-1)
                _add_at_targets(by_scaled, targets_N, by_logprob_N, block)
            if by_entropy_N is not None:
                surprise = logprobs.clamp_min(IMPOSSIBLE).add_(entropies_N[:, None])
                by_scaled.addcmul_(probabilities.mul_(surprise), by_entropy_N[:, None], value=-1)
            by_logits = by_scaled.div_(ctx.temperature).to(weight.dtype)
            if wanted[0]:
                grad_hidden += by_logits @ weight
            if grad_weight is not None:
                torch.mm(by_logits.T, hidden_ND, out=grad_weight[block])
            if grad_bias is not None:
                grad_bias[block] = by_logits.sum(dim=0)
        by_hidden = grad_hidden.to(hidden_ND.dtype) if wanted[0] else None
        return by_hidden, grad_weight, grad_bias, None, None, None, None


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
    num_rows, vocabulary = logits_NV.shape
    for rows in _chunks(num_rows, vocabulary, chunk_elements):
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
    num_rows, vocabulary = logits_NV.shape
    for rows in _chunks(num_rows, vocabulary, chunk_elements):
        logits = logits_NV[rows]
        if logits.requires_grad and torch.is_grad_enabled():
            chunks.append(checkpoint(_entropy, logits, temperature, use_reentrant=False))
        else:
            chunks.append(_entropy(logits, temperature))
    return torch.cat(chunks)


def _scaled(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    temperature: float,
) -> torch.Tensor:
    """logits / temperature in float32 at least: rounded to the model's own type first, as engines
    do.
    """
    logits = torch.nn.functional.linear(hidden_ND, weight_VD, bias_V)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).div_(temperature)


def _add_at_targets(
    grad_NV: torch.Tensor, targets_N: torch.Tensor, values_N: torch.Tensor, block: slice
) -> None:
    """grad[n, target_n] += value_n for the targets in the block of the vocabulary that it is of."""
    places = targets_N - block.start
    inside = (places >= 0) & (places < grad_NV.shape[1])
    values = torch.where(inside, values_N, 0.0)
    grad_NV.scatter_add_(1, places.clamp(0, grad_NV.shape[1] - 1)[:, None], values[:, None])


def _entropy(logits_NV: torch.Tensor, temperature: float) -> torch.Tensor:
    return _entropy_of((logits_NV.float() / temperature).log_softmax(dim=-1))


def _entropy_of(logprobs_NV: torch.Tensor) -> torch.Tensor:
    return -(logprobs_NV.exp() * logprobs_NV.clamp_min(IMPOSSIBLE)).sum(dim=-1)


def _gathered(logits_NV: torch.Tensor, targets_N: torch.Tensor, temperature: float) -> torch.Tensor:
    scaled = logits_NV.float() / temperature
    chosen = scaled.gather(-1, targets_N[:, None]).squeeze(-1)
    return chosen - scaled.logsumexp(dim=-1)


def _chunks(length: int, width: int, chunk_elements: int) -> list[slice]:
    """Slices of `length` such that one, times `width`, is no more than a chunk."""
    step = max(1, chunk_elements // max(1, width))
    return [slice(start, start + step) for start in range(0, max(length, 1), step)]
