"""One DeepSpeed engine around one model: forward, backward, step, and a view of whole parameters.

The boundary to DeepSpeed: its config, its scaling of gradients and the places where each ZeRO stage
keeps its master weights are known here and nowhere else. Knows nothing about batches or losses.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

import torch

from learners.model_loading import DType
from tailor_rl.errors import ConfigError, LearnerError

# Smaller parameters stay whole on every rank under ZeRO-3: gathering a bias costs more than it
# saves. DeepSpeed's own default of 100,000 would keep all of a tiny model.
PERSISTENT_NUMEL = 4096


class Engine:
    """A model with an AdamW of its own. Collective: all ranks call the same methods in order."""

    def __init__(
        self,
        model: Any,
        *,
        zero_stage: int,
        dtype: DType,
        world_size: int,
        weight_decay: float,
        max_grad_norm: float,
    ) -> None:
        logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
        import deepspeed

        self._zero_stage = zero_stage
        self._world_size = world_size
        self._max_grad_norm = max_grad_norm
        # The rate is set before every step: DeepSpeed's own schedulers are not used.
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=weight_decay)
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        config = deepspeed_config(
            zero_stage=zero_stage,
            dtype=dtype,
            max_grad_norm=max_grad_norm,
            num_parameters=num_parameters,
        )
        self._engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
        if zero_stage == 3:  # parameters cannot be gathered before a forward pass has run
            device = next(model.parameters()).device
            tokens = torch.zeros((1, 2), dtype=torch.long, device=device)
            with torch.no_grad():
                self.logits(input_ids=tokens, use_cache=False)

    @property
    def model(self) -> Any:
        return self._engine.module

    def logits(self, **inputs: Any) -> torch.Tensor:
        return self._engine(**inputs).logits

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of `loss`; gradients of all calls and ranks up to `last` are summed.

        DeepSpeed divides by the number of ranks when it exchanges gradients, and by the number of
        accumulation steps unless told not to: the first is undone here, the second is turned off.
        """
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss * self._world_size, scale_wrt_gas=False)

    def step(self, learning_rate: float) -> float:
        """Clip, update, forget the gradients; returns their norm before clipping, over all ranks.

        Raises LearnerError when that norm is no finite number; the weights are lost then.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        norm: Any = None
        if self._zero_stage == 0:  # a plain AdamW, of which DeepSpeed reports no norm
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._max_grad_norm)
        self._engine.step()
        if norm is None:
            norm = self._engine.get_global_grad_norm()
        if not math.isfinite(norm):
            raise LearnerError(
                f"the gradient norm is {float(norm)}: lower the learning rate, or look for rewards "
                f"or log-probabilities that are no finite numbers; resume from the last checkpoint"
            )
        return float(norm)

    def optimizer_state(self) -> list[dict[str, torch.Tensor]]:
        """This rank's master weights and Adam moments, copied to CPU, in a fixed order."""
        moments = self._engine.basic_optimizer.state
        return [
            {"master": _cpu(master), **{key: _cpu(value) for key, value in moments[master].items()}}
            for master in self._masters()
        ]

    @torch.no_grad()
    def load_optimizer_state(self, state: list[dict[str, torch.Tensor]]) -> None:
        """The inverse; the model's own weights must have been loaded before the engine was made."""
        moments = self._engine.basic_optimizer.state
        for master, saved in zip(self._masters(), state, strict=True):
            master.copy_(saved["master"])
            moments[master] = {
                # Adam keeps its step counter on the CPU wherever the moments are.
                key: value.clone() if key == "step" else value.to(master.device, copy=True)
                for key, value in saved.items()
                if key != "master"
            }

    def destroy(self) -> None:
        """Remove DeepSpeed's hooks, so that another engine can be made in this process."""
        self._engine.destroy()

    def _masters(self) -> list[torch.Tensor]:
        optimizer = self._engine.optimizer
        if self._zero_stage == 3:
            return list(optimizer.fp32_partitioned_groups_flat)
        if hasattr(optimizer, "fp32_groups_flat_partition"):  # BF16_Optimizer: bfloat16, ZeRO-1
            return list(optimizer.fp32_groups_flat_partition)
        if hasattr(optimizer, "single_partition_of_fp32_groups"):  # ZeRO-1 and 2
            return list(optimizer.single_partition_of_fp32_groups)
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def deepspeed_config(
    *, zero_stage: int, dtype: DType, max_grad_norm: float, num_parameters: int
) -> dict[str, Any]:
    """Raises ConfigError for bfloat16 without ZeRO: nothing would keep float32 master weights."""
    if dtype == "bfloat16" and zero_stage == 0:
        raise ConfigError(
            'learner.dtype = "bfloat16" with learner.zero_stage = 0 would train without float32 '
            "master weights: set learner.zero_stage to 1, 2 or 3"
        )
    config: dict[str, Any] = {
        # Sequences and accumulation are ours; these two only have to be there.
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": max_grad_norm if zero_stage > 0 else 0.0,
        "bf16": {"enabled": dtype == "bfloat16"},
        "zero_optimization": {
            "stage": zero_stage,
            # The default of 5e8 allocates 2 GB, whatever the size of the model.
            "reduce_bucket_size": min(num_parameters, 500_000_000),
            "stage3_param_persistence_threshold": PERSISTENT_NUMEL,
        },
    }
    if dtype == "bfloat16":
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def named_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter, whole, by its Hugging Face name; tied ones once. Collective under ZeRO-3.

    A tensor is valid until the next one is asked for.
    """
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "ds_id"):
            import deepspeed

            with deepspeed.zero.GatheredParameters([parameter]):
                yield name, parameter.detach()
        else:
            yield name, parameter.detach()


def _cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True)
