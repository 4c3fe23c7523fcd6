"""LoRA (arXiv 2106.09685): low-rank adapters on the linear layers of a backbone, by peft.

Outside of the learner nobody sees them: weights are sent and saved with the adapters merged in,
under their Hugging Face names (`named_weights` in parameters.py). Within a stage the base is
frozen, so the policy at the stage's beginning is the same model with the adapters turned off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tailor_rl.config.learning import LoRAConfig
from tailor_rl.errors import ConfigError

_ADAPTER = "default"  # peft's name for the only one


def add_adapters(model: Any, lora: LoRAConfig, *, seed: int) -> None:
    """Freeze a causal language model and put fresh adapters, which change nothing yet, into its
    backbone. The same `seed`, the same adapters, on every rank.

    Raises ConfigError for targets that name no linear layer below the output layer.
    """
    from peft import LoraConfig, inject_adapter_in_model

    targets = _targets(model.base_model, lora)
    model.requires_grad_(False)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets)  # type: ignore[arg-type]  # a float is as good
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model.base_model)


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter, not to the model that it adapts."""
    return ".lora_A." in name or ".lora_B." in name


def plain_name(name: str) -> str:
    """The name that a parameter had before an adapter was put around its layer."""
    return name.replace(".base_layer.", ".")


def adapted_layers(model: Any) -> dict[str, Any]:
    """The layers with an adapter, by the name of the weight that it adapts."""
    return {
        f"{name}.base_layer.weight": module
        for name, module in model.named_modules()
        if hasattr(module, "lora_A") and hasattr(module, "base_layer")
    }


def adapter_parameters(layer: Any) -> list[torch.Tensor]:
    return [layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight]


def merged_weight(layer: Any) -> torch.Tensor:
    """W + (alpha / rank) B A. The parameters must be whole."""
    delta = layer.get_delta_weight(_ADAPTER)
    merged: torch.Tensor = (layer.base_layer.weight + delta).detach()
    return merged


@contextmanager
def without_adapters(model: Any) -> Iterator[None]:
    """The model as it was before the adapters learnt anything, for forward passes alone."""
    layers = list(adapted_layers(model).values())
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def _targets(backbone: Any, lora: LoRAConfig) -> list[str]:
    modules = backbone.named_modules()
    linear = [name for name, module in modules if isinstance(module, torch.nn.Linear)]
    known = sorted({name.rpartition(".")[2] for name in linear})
    if lora.targets is None:
        return known
    for target in lora.targets:
        if not any(name == target or name.endswith(f".{target}") for name in linear):
            raise ConfigError(
                f"learner.lora.targets names {target!r}, which is no linear layer below the output "
                f"layer of this student: choose from {', '.join(known)}"
            )
    return list(lora.targets)
