"""The learner's end of a weight sync: every parameter packed, a checksum over all, and a canary.

Knows nothing about transports: a bundle is a value.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from learners.forward import Forward, token_row_logprobs
from tailor_rl.types import WeightVersion
from tailor_rl.weights import PackedTensor, WeightBundle, combined_checksum, pack

CANARY_TOKENS = 32


def canary_tokens(vocabulary: int) -> tuple[int, ...]:
    """A fixed sequence of ordinary and special tokens from all over the vocabulary."""
    drawn = np.random.default_rng(0).integers(0, vocabulary, size=CANARY_TOKENS)
    return tuple(int(token) for token in drawn)


@torch.no_grad()
def next_token_logprobs(
    forward: Forward, tokens: tuple[int, ...], *, device: torch.device
) -> tuple[float, ...]:
    """Entry t: log-probability of tokens[t + 1] given those before it, at temperature 1."""
    return tuple(token_row_logprobs(forward, tokens, device=device).tolist())


def pack_all(weights: Iterable[tuple[str, torch.Tensor]], *, keep: bool) -> dict[str, PackedTensor]:
    """Packed parameters by name. `keep=False` only walks through: gathering needs every rank."""
    packed = {}
    for name, tensor in weights:
        if keep:
            packed[name] = pack(tensor)
    return packed


def make_bundle(
    tensors: dict[str, PackedTensor],
    *,
    step: int,
    canary: tuple[int, ...],
    canary_logprobs: tuple[float, ...],
) -> WeightBundle:
    checksum = combined_checksum((name, packed.checksum) for name, packed in tensors.items())
    return WeightBundle(
        version=WeightVersion(step=step, checksum=checksum),
        tensors=tensors,
        canary_tokens=canary,
        canary_logprobs=canary_logprobs,
    )
