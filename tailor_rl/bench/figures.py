"""One cell's run in figures, as comparisons and charts take them.

Knows nothing about other cells. Shares lie between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement on validation within RL, and what RL had spent by then, discarded groups
    included.
    """

    step: int
    accuracy: float
    pass_at_k: float | None
    rollouts: float
    generated_tokens: float
    learner_tokens: float
    seconds: float


# What the x-axis of a learning curve may be: fields of Measured.
SPENT = ("step", "rollouts", "generated_tokens", "learner_tokens", "seconds")


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The SFT set of a run and what SFT made of it: what matching is checked by."""

    examples: int
    queries: int
    completion_tokens: int
    right: float  # share of traces that are right
    sft_steps: int
    learner_tokens: int


@dataclass(frozen=True, slots=True)
class Solved:
    """The share of answers to each problem of a split that are right. Problems of one family are
    the same up to renaming; families are numbered in the order in which they come. `problems` is a
    hash that tells whether two runs were examined on the same ones.
    """

    problems: str
    families: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CellFigures:
    """A finished run.

    `figures`: "STAGE SPLIT FIGURE" -> share; "plateau" of the curve. `training`: metric
    -> one number an RL step (reward, entropy, response_tokens, informative). `making`: what the
    SFT set cost, by kind (teacher_tokens, generated_tokens, rollouts, learner_tokens, seconds,
    ...); `sft` and `rl` likewise. `forecast` is the gain that the gate foretold before RL. `inputs`
    are hashes of student and data ("student knights-qwen2" -> hash), `solved` is by "STAGE SPLIT",
    after SFT and after RL; both are {} in older files.
    """

    cell: str
    setting: str
    arm: str
    seed: int
    figures: Mapping[str, float]
    curve: tuple[Measured, ...]
    training: Mapping[str, tuple[float, ...]]
    making: Mapping[str, float]
    sft: Mapping[str, float]
    rl: Mapping[str, float]
    set_facts: SetFacts | None
    forecast: float | None
    commit: str
    versions: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    solved: Mapping[str, Solved] = field(default_factory=dict)
