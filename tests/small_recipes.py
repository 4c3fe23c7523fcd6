"""A small recipe, the files of a student without weights, and how a wrong recipe is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailor_rl.config.checks import check_options
from tailor_rl.config.load import load_config
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine

RECIPE = """
student = "student"
[task]
name = "knights"
[rl]
group_size = 4
groups_per_step = 8
"""
TWO_CORES = Machine(cores=2, gpus=0, memory_gib=8.0)


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def write_checkpoint(folder: Path, **config: object) -> Path:
    """The files of a checkpoint, without weights or words."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2", **config}))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def refused(path: Path, *overrides: str) -> str:
    """The sentence with which a recipe is refused, by itself or by `check_options`."""
    with pytest.raises(ConfigError) as caught:
        check_options(load_config(path, overrides))
    text = str(caught.value)
    assert "\n" not in text
    assert "pydantic" not in text.lower() and "validation error" not in text.lower()
    return text
