"""What a student recipe may say."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailor_rl.config.load import read_toml
from tailor_rl.errors import ConfigError


class Corpus(Protocol):
    """Endless (prompt, completion) documents; deterministic in its seed."""

    def document(self) -> tuple[str, str]: ...


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shape(Section):
    family: Literal["qwen2", "llama"] = "qwen2"
    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    max_positions: int = 1024
    vocabulary: int = Field(768, ge=300)
    tied_embeddings: bool = True


class Training(Section):
    tokens: int = Field(ge=1, description="tokens of documents to learn from, prompts included")
    batch_tokens: int = Field(8192, ge=64)
    learning_rate: float = Field(1e-3, gt=0)
    final_learning_rate: float = Field(5e-5, gt=0)
    warmup_steps: int = Field(50, ge=0)
    threads: int = Field(1, ge=1)
    seed: int = 0


class CorpusSource(Section):
    """`maker` is "module:Class"; `options` go to its constructor next to the seed."""

    maker: str
    options: dict[str, Any] = Field(default_factory=dict)

    def make(self, *, seed: int) -> Corpus:
        module, _, name = self.maker.partition(":")
        try:
            make = getattr(importlib.import_module(module), name)
            corpus: Corpus = make(seed=seed, **self.options)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise ConfigError(f"corpus.maker = {self.maker} makes no corpus: {error}") from error
        return corpus


class StudentRecipe(Section):
    shape: Shape = Shape()
    training: Training
    corpus: CorpusSource


def read_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> StudentRecipe:
    """Read a TOML student recipe; ConfigError in one sentence when it is wrong."""
    table = read_toml(path)
    if "corpus" not in table:
        raise ConfigError(
            f"{path} is no recipe of a student, for it has no [corpus]: students/recipes has some"
        )
    if overrides:
        table.setdefault("training", {}).update(overrides)
    try:
        return StudentRecipe.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: {where}: {first['msg']}") from error
