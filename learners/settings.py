"""What a learner is told, as values: the recipe's defaults are resolved here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tailor_rl.algorithms.schedules import Schedule
from tailor_rl.config.schema import RLConfig, SFTConfig

Aggregation = Literal["token_mean", "sequence_mean"]

CLIP_LOW = 0.2
CLIP_HIGH = {"dapo": 0.28, "grpo": 0.2}  # DAPO (arXiv 2503.14476) section 3.1
KL_COEFFICIENT = {"dapo": 0.0, "grpo": 0.001}
AGGREGATION: dict[str, Aggregation] = {"dapo": "token_mean", "grpo": "sequence_mean"}


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
    """One stage of `num_steps` steps, with a fresh optimizer.

    `keep_reference` keeps a frozen copy of the weights at its beginning, for the KL term.
    """

    optimizer: OptimizerSettings
    num_steps: int
    keep_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """The policy loss. Rewards and advantages are made before the learner sees them."""

    clip_low: float
    clip_high: float
    kl_coefficient: float
    temperature: (
        float  # of the rollouts: learner log-probabilities are those of logits / temperature
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTSettings:
    optimizer: OptimizerSettings

    @classmethod
    def from_config(cls, config: SFTConfig) -> SFTSettings:
        return cls(
            optimizer=OptimizerSettings(
                learning_rate=config.learning_rate,
                warmup_steps=config.warmup_steps,
                schedule=config.schedule,
                weight_decay=config.weight_decay,
                max_grad_norm=config.max_grad_norm,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    optimizer: OptimizerSettings
    loss: LossSettings
    aggregation: Aggregation
    updates_per_step: int

    @classmethod
    def from_config(cls, config: RLConfig) -> PolicySettings:
        name = config.algorithm
        return cls(
            optimizer=OptimizerSettings(
                learning_rate=config.learning_rate,
                warmup_steps=config.warmup_steps,
                schedule="constant",
                weight_decay=config.weight_decay,
                max_grad_norm=config.max_grad_norm,
            ),
            loss=LossSettings(
                clip_low=_or(config.clip_low, CLIP_LOW),
                clip_high=_or(config.clip_high, CLIP_HIGH[name]),
                kl_coefficient=_or(config.kl_coefficient, KL_COEFFICIENT[name]),
                temperature=config.temperature,
            ),
            aggregation=AGGREGATION[name],
            updates_per_step=config.updates_per_step,
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
