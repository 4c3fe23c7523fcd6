"""What a rank is told when a stage begins, and what it makes of it.

Recipes travel, not functions: a function from a user's file could not be unpickled elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.corrections import Preset
from tailor_rl.algorithms.schedules import Schedule
from tailor_rl.config.algorithms import resolve_algorithm, resolve_correction
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.methods.find import sft_method
from tailor_rl.methods.hooks import SFTMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """AdamW and its learning rate; `warmup_steps` counts steps of the stage."""

    learning_rate: float
    warmup_steps: int
    schedule: Schedule
    weight_decay: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """One stage of `num_steps` steps, with a fresh optimizer: SFT or RL, by its section."""

    config: SFTConfig | RLConfig
    num_steps: int

    @property
    def name(self) -> str:
        return "sft" if isinstance(self.config, SFTConfig) else "rl"

    @property
    def optimizer(self) -> OptimizerSettings:
        config = self.config
        return OptimizerSettings(
            learning_rate=config.learning_rate,
            warmup_steps=config.warmup_steps,
            schedule=config.schedule,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
        )

    @property
    def keep_reference(self) -> bool:
        """Whether a frozen copy of the weights at the beginning is needed, for a KL term."""
        config = self.config
        return isinstance(config, RLConfig) and resolve_algorithm(config).kl_coefficient > 0

    @property
    def critic_warmup_steps(self) -> int:
        """Steps at the beginning that leave the policy as it is."""
        config = self.config
        return config.critic_warmup_steps if isinstance(config, RLConfig) and self.critic else 0

    @property
    def critic(self) -> bool:
        config = self.config
        return isinstance(config, RLConfig) and resolve_algorithm(config).critic


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """The loss of one policy step. Rewards and advantages are made before the learner sees them."""

    algorithm: Algorithm
    correction: Preset | None
    entropy_coefficient: float
    kl_coefficient: float  # of the loss, at this step
    temperature: float  # of the rollouts: learner log-probabilities are of logits / temperature

    @classmethod
    def of(cls, config: RLConfig, *, kl_coefficient: float) -> PolicyLoss:
        return cls(
            algorithm=resolve_algorithm(config),
            correction=resolve_correction(config),
            entropy_coefficient=config.entropy_coefficient,
            kl_coefficient=kl_coefficient,
            temperature=config.temperature,
        )


def sft_hooks(config: SFTConfig | RLConfig) -> SFTMethod:
    """The method of an SFT stage; in RL methods act on the driver, and this one does nothing."""
    if isinstance(config, RLConfig):
        return SFTMethod()
    return sft_method(config.method, config.options)
