"""What is read of a model's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from learners.model_loading import load_model
from tests.tiny import make_student


def test_pickled_weights_are_not_read_even_beside_a_safetensors_file(
    tmp_path: Path,
) -> None:
    folder = make_student(tmp_path / "model")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    save_file({"x": torch.zeros(1)}, folder / "other.safetensors")
    with pytest.raises(OSError, match="safetensors"):
        load_model(
            str(folder), dtype="float32", device=torch.device("cpu"), gradient_checkpointing=False
        )
