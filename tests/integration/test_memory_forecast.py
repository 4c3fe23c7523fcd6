"""The memory forecast's formulas against what torch really keeps."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tailor_rl.config.learning import LearnerConfig
from tailor_rl.config.memory import RankMemory
from tailor_rl.config.shape import shape_of


def test_torch_saves_what_is_forecast() -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "head_dim": 16, "vocab_size": 50}
    tokens = torch.zeros((2, 8), dtype=torch.long)

    def saved(layers: int) -> tuple[int, int]:
        config = LlamaConfig(**sizes, num_hidden_layers=layers, tie_word_embeddings=True)
        model = LlamaForCausalLM(config)
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        kept: dict[int, Any] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.model(input_ids=tokens, use_cache=False)
        num = sum(p.numel() for p in model.parameters())
        return sum(storage.nbytes() for storage in kept.values()), num

    def forecast(layers: int) -> tuple[int, int]:
        config = {**sizes, "model_type": "llama", "num_hidden_layers": layers}
        shape = shape_of({**config, "tie_word_embeddings": True})
        assert shape is not None
        held = RankMemory(LearnerConfig(gpus_per_rank=1), shape, tokens=16)
        return held.parts["activations"], shape.parameters

    (one, few), (three, many) = saved(1), saved(3)
    (first, ours), (third, theirs) = forecast(1), forecast(3)
    assert (few, many) == (ours, theirs)
    assert three - one == third - first
