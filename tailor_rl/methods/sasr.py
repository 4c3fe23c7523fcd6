"""SASR: each step is supervised or GRPO's, by how large the last supervised gradient was
(arXiv 2505.13026).

    p = G_last / (G_last + gamma * G_warm)

is the chance of a supervised step: G_warm is the gradient's norm at the last step of SFT, G_last
that of the most recent supervised step. Where demonstrations still pull as hard as at the end of
SFT (and gamma is 1) every other step is theirs; as the policy comes to agree with them, RL takes
over.

Ours, where the paper is silent:

- gamma is 1, a value that could not be found in print. G_last begins as G_warm.
- The warm-up is the recipe's SFT stage, whose last `grad_norm` (before clipping, over all ranks) is
  G_warm. A supervised step draws `sft.batch_size` demonstrations, at RL's learning rate.
- The paper's split of tokens at the median advantage serves its analysis and changes no update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import Beginning, Mix, RLMethod


class Sasr(RLMethod):
    needs_demonstrations = True
    supervises = True

    def __init__(self, *, gamma: float = 1.0) -> None:
        if gamma <= 0:
            raise ConfigError(f"rl.options.gamma={gamma} must be more than 0")
        self._gamma = gamma
        self._warm = self._last = 0.0

    def begin(self, beginning: Beginning) -> None:
        if beginning.warm_up is None:
            raise ConfigError(
                'rl.method = "sasr" compares gradients with those of SFT, and this run has no SFT '
                "stage: choose an initialisation that makes demonstrations"
            )
        self._warm = self._last = float(beginning.warm_up["grad_norm"])

    def mix(self, step: int, *, seed: int) -> Mix:
        if np.random.default_rng(seed).random() < self.supervised_chance:
            return Mix(policy=0.0, supervised=1.0)
        return Mix()

    @property
    def supervised_chance(self) -> float:
        """p of the next step; 0 where the gradients have vanished."""
        if not self._last:
            return 0.0
        return self._last / (self._last + self._gamma * self._warm)

    def learnt(self, step: int, mix: Mix, metrics: Mapping[str, float]) -> None:
        if mix.supervised:
            self._last = float(metrics["grad_norm"])

    def state(self) -> Mapping[str, Any]:
        return {"last_grad_norm": self._last}

    def load(self, state: Mapping[str, Any]) -> None:
        self._last = float(state["last_grad_norm"])
