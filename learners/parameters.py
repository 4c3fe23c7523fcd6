"""A model's parameters one after another, whole, by their names, whatever ZeRO has done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from learners.adapters import (
    adapted_layers,
    adapter_parameters,
    is_adapter,
    merged_weight,
    plain_name,
)

Weights = dict[str, torch.Tensor]
Walk = Callable[[Any], Iterable[tuple[str, torch.Tensor]]]


def named_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter, whole, by its Hugging Face name; tied ones once. Collective under ZeRO-3.

    Adapters are merged into the weights that they adapt. A tensor is valid until the next one is
    asked for.
    """
    layers = adapted_layers(model)
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            continue
        layer = layers.get(name)
        with whole([parameter] if layer is None else [parameter, *adapter_parameters(layer)]):
            yield plain_name(name), parameter.detach() if layer is None else merged_weight(layer)


def own_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Like `named_weights`, but as the model itself holds and names them: adapters apart."""
    for name, parameter in model.named_parameters():
        with whole([parameter]):
            yield name, parameter.detach()


@contextmanager
def whole(parameters: Sequence[torch.Tensor]) -> Iterator[None]:
    """While this holds, parameters that ZeRO-3 has cut up are put together. Collective."""
    cut = [parameter for parameter in parameters if hasattr(parameter, "ds_id")]
    if not cut:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(cut):
        yield


def copies(model: Any, walk: Walk = named_weights, *, keep: bool = True) -> Weights:
    """On the CPU. `keep=False` only walks through: gathering needs every rank."""
    return {name: weight.to("cpu", copy=True) for name, weight in walk(model) if keep}
