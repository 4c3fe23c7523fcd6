"""One state of the policy's weights on its way from learners to engines: bytes, checksums and a
canary.

Knows nothing about transports: the same bundle travels through Ray's object store or any other
channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tailor_rl.types import WeightVersion

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """A tensor as raw bytes: numpy has no bfloat16, and plain arrays cross Ray without a copy."""

    data: np.ndarray  # (num_bytes,) uint8
    dtype: str  # "float32", "bfloat16", ...
    shape: tuple[int, ...]
    checksum: str


@dataclass(frozen=True, slots=True)
class WeightBundle:
    """Every parameter by its Hugging Face name, and what the learner itself says of a fixed token
    sequence.

    `canary_logprobs[t]` is the learner's log-probability of `canary_tokens[t + 1]` given those
    before it.
    """

    version: WeightVersion
    tensors: Mapping[str, PackedTensor]
    canary_tokens: tuple[int, ...]
    canary_logprobs: tuple[float, ...]


def checksum(data: np.ndarray) -> str:
    """blake2b-128 of an array's bytes."""
    return hashlib.blake2b(np.ascontiguousarray(data).data, digest_size=16).hexdigest()


def pack(tensor: torch.Tensor) -> PackedTensor:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().copy()
    return PackedTensor(
        data=flat,
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tuple(tensor.shape),
        checksum=checksum(flat),
    )


def unpack(packed: PackedTensor) -> torch.Tensor:
    """The tensor again, in memory of its own (Ray's buffers are read-only)."""
    import torch

    return (
        torch.from_numpy(packed.data.copy())
        .view(getattr(torch, packed.dtype))
        .reshape(packed.shape)
    )


def combined_checksum(checksums: Iterable[tuple[str, str]]) -> str:
    """One name for a whole state: hash of the sorted (parameter, checksum) pairs."""
    lines = "\n".join(f"{name} {value}" for name, value in sorted(checksums))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()
