"""What a named algorithm is: one function of each kind, and the numbers that its paper gives."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from tailor_rl.algorithms import aggregation, estimators, kl, losses, ratios
from tailor_rl.algorithms.aggregation import Aggregation
from tailor_rl.algorithms.estimators import Estimator
from tailor_rl.algorithms.losses import Clipping, Clips
from tailor_rl.algorithms.ratios import Ratio

ESTIMATORS: dict[str, Estimator] = {
    "group_normalised": estimators.group_normalised,
    "group_centred": estimators.group_centred,
    "leave_one_out": estimators.leave_one_out,
    "maximum_likelihood": estimators.maximum_likelihood,
    "whitened_returns": estimators.whitened_returns,
    "whitened_group_centred": estimators.whitened_group_centred,
    "generalised": estimators.generalised,
}
RATIOS: dict[str, Ratio] = {"token": ratios.token_ratio, "sequence": ratios.sequence_ratio}
CLIPPINGS: dict[str, Clipping] = {
    "ppo": losses.ppo,
    "cispo": losses.cispo,
    "none": losses.unclipped,
}
AGGREGATIONS: dict[str, Aggregation] = {
    "token_mean": aggregation.token_mean,
    "sequence_mean": aggregation.sequence_mean,
    "sequence_sum": aggregation.sequence_sum,
    "constant": aggregation.constant,
}
PPO_CLIPS = Clips(low=0.2, high=0.2)
KL_ESTIMATES: dict[str, kl.Estimate] = {"k1": kl.k1, "k2": kl.k2, "k3": kl.k3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """Every part may be a function of your own with the same signature."""

    estimate: Estimator
    ratio: Ratio = ratios.token_ratio
    clipping: Clipping = losses.ppo
    clips: Clips = PPO_CLIPS
    aggregate: Aggregation
    kl_coefficient: float = 0.0
    kl_estimate: kl.Estimate = kl.k3
    kl_in: Literal["loss", "reward"] = "loss"
    dynamic_sampling: bool = False
    critic: bool = False
    gamma: float = 1.0
    lam: float = 1.0


NAMES = (
    "grpo", "dapo", "dr_grpo", "gspo", "cispo", "rloo",
    "reinforce_pp", "reinforce_pp_baseline", "maxrl", "ppo",
)  # fmt: skip


def named(name: str) -> Algorithm:
    """One of NAMES. Raises KeyError for any other."""
    if name not in NAMES:
        raise KeyError(name)
    algorithm = import_module(f"tailor_rl.algorithms.named.{name}").ALGORITHM
    assert isinstance(algorithm, Algorithm), name
    return algorithm
