"""Makes the models of one rank: policy, critic, reference, each as the recipe asks for.

Knows nothing about steps, batches or files other than the student's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from learners.adapters import add_adapters
from learners.critic import ValueModel
from learners.engine import Engine
from learners.model_loading import Attention, DType, load_model, set_weights
from learners.parameters import Weights
from learners.settings import StageSettings
from tailor_rl.config.learning import LoRAConfig
from tailor_rl.seeds import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    student: str
    dtype: DType
    device: torch.device
    attention: Attention
    gradient_checkpointing: bool
    lora: LoRAConfig | None  # None: every weight is trained
    zero_stage: int
    world_size: int
    seed: int

    def load(self, path: str) -> Any:
        """A language model that can be trained."""
        return self._loaded(path, gradient_checkpointing=self.gradient_checkpointing)

    def fixed(self, path: str) -> Any:
        """A language model that is only asked."""
        return self._loaded(path, gradient_checkpointing=False)

    def frozen(self, weights: Weights) -> Any:
        """A whole copy of the student with these weights on every rank, whatever the ZeRO stage."""
        model = self.fixed(self.student)
        set_weights(model, weights)
        return model.requires_grad_(False)

    def adapt(self, model: Any, *, stage_began: int) -> None:
        """Put fresh adapters on, where the recipe has any; `stage_began` is a step."""
        if self.lora is not None:
            add_adapters(model, self.lora, seed=derive_seed(self.seed, "adapters", stage_began))

    def engine(self, module: Any, stage: StageSettings) -> Engine:
        return Engine(
            module,
            zero_stage=self.zero_stage,
            dtype=self.dtype,
            world_size=self.world_size,
            weight_decay=stage.optimizer.weight_decay,
            max_grad_norm=stage.optimizer.max_grad_norm,
        )

    def new_critic(self, stage: StageSettings, weights: Weights, *, stage_began: int) -> Engine:
        """Its backbone begins as the policy, whose weights these are."""
        model = self.load(self.student)
        set_weights(model, weights)
        self.adapt(model, stage_began=stage_began)
        return self.engine(ValueModel(model), stage)

    def restored_critic(
        self, stage: StageSettings, weights: Weights, *, stage_began: int
    ) -> Engine:
        """`weights` are the critic's own, head and adapters included."""
        language_model = self.load(self.student)
        self.adapt(language_model, stage_began=stage_began)
        model = ValueModel(language_model)
        set_weights(model, weights)
        return self.engine(model, stage)

    def _loaded(self, path: str, *, gradient_checkpointing: bool) -> Any:
        return load_model(
            path,
            dtype=self.dtype,
            device=self.device,
            gradient_checkpointing=gradient_checkpointing,
            attention=self.attention,
        )
