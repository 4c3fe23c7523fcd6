"""Loads a weight bundle into vLLM through its weight-transfer API. The vLLM side of a weight sync.

Knows nothing about versions, canaries or pausing: see weight_update.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from vllm.distributed.weight_transfer import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)
from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info

from tailor_rl.weights import PackedTensor, unpack

BACKEND = "tailor_bundle"


@dataclass
class NoInitInfo(WeightTransferInitInfo):
    """A bundle needs no connection: it comes with the call."""


@dataclass
class BundleUpdateInfo(WeightTransferUpdateInfo):
    tensors: Mapping[str, PackedTensor]


class BundleReceiver(WeightTransferEngine):
    """One worker's receiver. ValueError names the parameter; the model is then not to be used.

    Layerwise reload, because on CPU the linear layers are repacked after loading and a plain
    `load_weights` finds their parameters empty.
    """

    init_info_cls, update_info_cls = NoInitInfo, BundleUpdateInfo

    def init_transfer_engine(self, init_info: NoInitInfo) -> None:
        pass

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def receive_weights(self, update_info: BundleUpdateInfo) -> None:
        # All in this one call: after an error in here vLLM's worker takes the next update, but
        # after one in finish_weight_update it believes for good that an update is still open.
        expected = {name for name, _ in self.model.named_parameters()}
        reached = "(none)"

        def stream() -> Iterator[tuple[str, torch.Tensor]]:
            nonlocal reached
            for name, packed in update_info.tensors.items():
                reached = name
                yield name, unpack(packed)

        try:
            loaded = set(self.model.load_weights(stream()) or ())
        except Exception as error:
            self._abort()
            raise ValueError(f"parameter {reached}: {type(error).__name__}: {error}") from error
        if self._tied:
            expected.discard("lm_head.weight")
        if missing := expected - loaded:
            self._abort()
            raise ValueError(f"parameter {min(missing)}: not in the bundle")
        self._close()

    def finish_weight_update(self) -> None:
        pass

    def shutdown(self) -> None:
        pass

    @property
    def _tied(self) -> bool:
        return bool(getattr(self.model_config.hf_config, "tie_word_embeddings", False))

    def _abort(self) -> None:
        """Forget what half-open layers have buffered: it would spoil the next, good update."""
        for layer in self.model.modules():
            info = get_layerwise_info(layer)
            info.loaded_weights.clear()
            info.load_numel = 0
        self._close()

    def _close(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)
        head: Any = getattr(self.model, "lm_head", None)
        if self.device.type == "cpu" and self._tied and head is not None:
            # The reload knows the shared matrix as the embedding's and leaves the head's packed
            # copy stale: log-probabilities off by 0.6, with nothing but a warning in the log.
            head.quant_method.process_weights_after_loading(head)


class WorkerExtension:
    """Named to vLLM, so that worker processes (tensor parallelism) import this and register."""


if BACKEND not in WeightTransferEngineFactory._registry:
    WeightTransferEngineFactory.register_engine(BACKEND, BundleReceiver)
