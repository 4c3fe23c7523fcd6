"""A DeepSpeed optimizer's state as whole tensors by parameter name, whatever its ZeRO stage.

Where each stage keeps its master weights and moments is known here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch


class StateByName(Protocol):
    """Optimizer tensors of a parameter by its name."""

    def __getitem__(self, name: str, /) -> Mapping[str, torch.Tensor]: ...


class OptimizerState:
    """Of one DeepSpeed engine. Collective: all ranks walk through it in step."""

    def __init__(self, engine: Any, model: Any, *, zero_stage: int) -> None:
        self._engine = engine
        self._model = model
        self._zero_stage = zero_stage

    def tensors(self) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        """Each trained parameter by name with its "master" weight and, after the first step, Adam's
        "exp_avg", "exp_avg_sq" and "step": whole, in float32, valid until the next is asked for.
        """
        for name, parameter in self._trained():
            yield name, self._state_of(parameter)

    @torch.no_grad()
    def load(self, saved: StateByName) -> None:
        """The inverse; the model's own weights must have been loaded before the engine was made."""
        linked = False
        for name, parameter in self._trained():
            state = dict(saved[name])
            step = state.pop("step", None)
            if step is not None and not linked:
                self._make_moments(step)
                linked = True
            for key, value in state.items():
                self._set(parameter, key, value)

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        """By their Hugging Face names where the model is a policy's: see `PolicyModel`."""
        parameters = self._model.named_parameters()
        return [(n.removeprefix("language_model."), p) for n, p in parameters if p.requires_grad]

    def _state_of(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        moments = self._engine.basic_optimizer.state
        if self._zero_stage == 0:
            return {"master": parameter.detach(), **moments.get(parameter, {})}
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        state = {"master": safe_get_full_fp32_param(parameter)}
        step = moments.get(self._masters()[0], {}).get("step")
        if step is not None:
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = safe_get_full_optimizer_state(parameter, key)
            state["step"] = step
        return state

    def _make_moments(self, step: torch.Tensor) -> None:
        """Zeros, where otherwise the first step would make them: DeepSpeed can set what is there.

        A fused Adam keeps its step counter beside the moments.
        """
        moments = self._engine.basic_optimizer.state
        for master in self._masters():
            moments[master] = {
                "step": step.to(master.device, copy=True),
                "exp_avg": torch.zeros_like(master),
                "exp_avg_sq": torch.zeros_like(master),
            }
        if self._zero_stage in (1, 2):
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    def _set(self, parameter: Any, key: str, value: torch.Tensor) -> None:
        value = value.to(parameter.device)
        is_master = key == "master"
        if self._zero_stage == 0:
            moments = self._engine.basic_optimizer.state
            (parameter if is_master else moments[parameter][key]).copy_(value)
            return
        from deepspeed import utils

        if self._zero_stage == 3:
            # Not safe_set_full_*: in 0.19 those fail where the ranks' shares are of unequal size.
            own = _share(value, parameter.ds_tensor.numel())
            if is_master:
                utils.safe_set_local_fp32_param(parameter, own)
            else:
                utils.safe_set_local_optimizer_state(parameter, own, key)
        elif is_master:
            utils.safe_set_full_fp32_param(parameter, value)
        else:
            utils.safe_set_full_optimizer_state(parameter, value, key)

    def _masters(self) -> list[torch.Tensor]:
        optimizer = self._engine.optimizer
        if self._zero_stage == 3:
            return list(optimizer.fp32_partitioned_groups_flat)
        if hasattr(optimizer, "fp32_groups_flat_partition"):  # BF16_Optimizer: bfloat16, ZeRO-1
            return list(optimizer.fp32_groups_flat_partition)
        if hasattr(optimizer, "single_partition_of_fp32_groups"):  # ZeRO-1 and 2
            return list(optimizer.single_partition_of_fp32_groups)
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _share(value: torch.Tensor, numel: int) -> torch.Tensor:
    """This rank's `numel` elements of a whole tensor; the last rank's end in zeros."""
    own = value.new_zeros(numel)
    mine = value.flatten()[torch.distributed.get_rank() * numel :][:numel]
    own[: mine.numel()] = mine
    return own
