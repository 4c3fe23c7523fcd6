"""A checkpoint folder: an ordinary Hugging Face model, and beside it all that is needed to go on.

    FOLDER/model.safetensors, config.json, tokenizer files      loadable by transformers and vLLM
    FOLDER/learner/rank-0.pt, rank-1.pt, ...                    optimizer, counters, random state
    FOLDER/learner/reference.safetensors                        weights of the KL reference, if kept

All ranks write to one folder: on several hosts it has to be on a shared file system. It holds only
tensors, numbers and strings, read with `weights_only=True`; DeepSpeed's own would execute pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tailor_rl.errors import LearnerError

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the optimizer is cut up. A rank's state fits only the same cut."""

    world_size: int
    zero_stage: int
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankState:
    """What one rank needs beside the weights to go on as if nothing had happened."""

    step: int
    stage_step: int
    optimizer: list[dict[str, torch.Tensor]]
    random_cpu: torch.Tensor
    random_device: torch.Tensor | None


def save_model(
    folder: Path, weights: Mapping[str, torch.Tensor], *, model: Any, tokenizer: Any
) -> None:
    """Write weights, config and tokenizer under their Hugging Face names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / MODEL_FILE, metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_rank(folder: Path, state: RankState, *, rank: int, layout: Layout) -> None:
    path = _rank_file(folder, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {name: getattr(state, name) for name in RankState.__dataclass_fields__}
    torch.save({"layout": asdict(layout), **fields}, path)


def load_rank(folder: Path, *, rank: int, layout: Layout) -> RankState:
    """Raises LearnerError when there is no such state, or it was cut up differently."""
    path = _rank_file(folder, rank)
    if not path.is_file():
        raise LearnerError(f"{folder} holds no learner state to go on from: {path} is missing")
    saved = torch.load(path, weights_only=True, map_location="cpu")
    written = Layout(**saved.pop("layout"))
    if written != layout:
        raise LearnerError(
            f"{folder} was written by {_describe(written)} and cannot be resumed by "
            f"{_describe(layout)}: set the [learner] section back"
        )
    return RankState(**saved)


def save_reference(folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
    path = _reference_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), path)


def load_reference(folder: Path) -> dict[str, torch.Tensor]:
    """Raises LearnerError when the checkpoint was written without a reference."""
    path = _reference_file(folder)
    if not path.is_file():
        raise LearnerError(
            f"{folder} holds no KL reference, but this run uses one: "
            f"set rl.kl_coefficient = 0, or resume with the setting that it was written with"
        )
    return load_file(path)


def _rank_file(folder: Path, rank: int) -> Path:
    return folder / "learner" / f"rank-{rank}.pt"


def _reference_file(folder: Path) -> Path:
    return folder / "learner" / "reference.safetensors"


def _describe(layout: Layout) -> str:
    return f"{layout.world_size} rank(s) with ZeRO {layout.zero_stage} in {layout.dtype}"
