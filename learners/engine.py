"""One DeepSpeed engine around one model: forward, backward, step, and a view of whole parameters.

The boundary to DeepSpeed: its config and its scaling of gradients are known here and nowhere else.
Knows nothing about batches or losses.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import torch

from learners.forward import PolicyModel
from learners.model_loading import DType
from learners.optimizer_state import OptimizerState
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
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # The rate is set before every step: DeepSpeed's own schedulers are not used. Fused, as ZeRO
        # has all parameters in one: otherwise each step takes twice its memory for temporaries.
        optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=weight_decay, fused=True)
        num_parameters = sum(parameter.numel() for parameter in trained)
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
                self.forward(input_ids=tokens)

    @property
    def model(self) -> Any:
        """The model by whose names its parameters are known."""
        module = self._engine.module
        return module.language_model if isinstance(module, PolicyModel) else module

    @property
    def world_size(self) -> int:
        return self._world_size

    @property
    def goes_in_step(self) -> bool:
        """Whether ranks meet in every backward pass: with ZeRO-2 to exchange gradients, with ZeRO-3
        parameters too, which makes them meet in every forward pass.
        """
        return self._world_size > 1 and self._zero_stage >= 2

    @property
    def looks_in_step(self) -> bool:
        """Whether ranks meet in forward passes."""
        return self._world_size > 1 and self._zero_stage == 3

    @property
    def begins_again_alone(self) -> bool:
        """Whether a rank that failed in a pass can forget its gradients while the others wait."""
        return self._zero_stage < 3 and not self.goes_in_step

    def forward(self, **inputs: Any) -> Any:
        return self._engine(**inputs)

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of `loss`; gradients of all calls and ranks up to `last` are summed.

        DeepSpeed divides by the number of ranks when it exchanges gradients, and by the number of
        accumulation steps unless told not to: the first is undone here, the second is turned off.
        """
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss * self._world_size, scale_wrt_gas=False)

    def forget_gradients(self) -> None:
        """Undo all `backward` since the last step, also one that failed half-way."""
        optimizer = self._engine.optimizer
        if self._zero_stage == 0:
            self._engine.zero_grad()
            return
        optimizer.zero_grad()
        while optimizer._backward_active_depth:  # DeepSpeed believes that it is still in the pass
            optimizer.exit_backward()
        if hasattr(optimizer, "ipg_buckets"):  # not BF16_Optimizer, which has gradients alone
            for bucket in optimizer.ipg_buckets.values():
                bucket.clear()
            optimizer.extra_large_param_to_reduce.clear()
            optimizer.params_already_reduced[:] = [False] * len(optimizer.params_already_reduced)
            optimizer.all_grad_tensors.clear()
            optimizer.averaged_gradients.clear()
            optimizer._release_ipg_buffers()

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

    @property
    def optimizer_state(self) -> OptimizerState:
        return OptimizerState(self._engine, self.model, zero_stage=self._zero_stage)

    def destroy(self) -> None:
        """Remove DeepSpeed's hooks, so that another engine can be made in this process.

        Memory is free once whoever holds the engine and its model has let go of them, and garbage
        has been collected: they refer to each other in circles.
        """
        self._engine.destroy()
        if self._zero_stage == 3:
            _forget_modules(self._engine.module)


class Unmoved(Engine):
    """An engine whose forward passes are run and whose weights stay: no gradient, no update."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__.update(engine.__dict__)

    @torch.no_grad()
    def forward(self, **inputs: Any) -> Any:
        return self._engine(**inputs)

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        pass

    def step(self, learning_rate: float) -> float:
        return 0.0


def _forget_modules(module: torch.nn.Module) -> None:
    """Take a model out of two variables of DeepSpeed's that outlive every engine, and would keep
    its weights, master weights and moments: the stack of running modules, at whose bottom it lies,
    and a cache of a method, whose keys are modules.
    """
    from deepspeed.runtime.zero import parameter_offload
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator

    own = set(module.modules())
    running = parameter_offload.FWD_MODULE_STACK
    running[:] = [each for each in running if each not in own]
    for method in vars(PartitionedParameterCoordinator).values():
        for cell in getattr(method, "__closure__", None) or ():  # the cache lies under a decorator
            if hasattr(cell.cell_contents, "cache_clear"):
                cell.cell_contents.cache_clear()


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
