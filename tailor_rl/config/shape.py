"""The sizes of a student's layers and the number of its parameters, from its config.json alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.config.learning import LoRAConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of the Llama family, by what its config.json says."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    biased: bool  # query, key and value layers

    @property
    def linear(self) -> Mapping[str, tuple[int, int]]:
        """Widths in and out of each linear layer of a block, by its name."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def backbone(self) -> int:
        """Parameters of everything but a separate output layer."""
        block = sum(width * height for width, height in self.linear.values()) + 2 * self.hidden
        if self.biased:
            block += (self.heads + 2 * self.kv_heads) * self.head_dim
        return self.embedding + self.layers * block + self.hidden

    @property
    def parameters(self) -> int:
        return self.backbone + (0 if self.tied else self.embedding)

    def adapters(self, lora: LoRAConfig) -> int:
        """Parameters of LoRA's adapters; targets of other names than those of a block are none."""
        names = {target.rpartition(".")[2] for target in lora.targets or self.linear}
        widths = [sum(both) for name, both in self.linear.items() if name in names]
        return self.layers * lora.rank * sum(widths)


_KNOWN = {"qwen2": True, "llama": False, "mistral": False}  # model_type -> biased


def read_shape(student: str) -> Shape | None:
    """None for a model that is not here yet, or of a family that the formulas are not made for."""
    path = Path(student).expanduser() / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return shape_of(config) if isinstance(config, dict) else None
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """Raises KeyError or TypeError where a number is missing."""
    if config.get("model_type") not in _KNOWN:
        return None
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    biased = bool(config.get("attention_bias", _KNOWN[config["model_type"]]))
    return Shape(
        hidden=hidden,
        intermediate=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        biased=biased,
    )
