"""Which demonstrations each SFT step is trained on, as batches.

    epoch's order -> candidates of the step -> (features -> method.select) -> batch

Without a method that selects, the candidates are the batch: every demonstration once an epoch. One
that draws k candidates for each example goes through an epoch k times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.learning import SFTConfig
from tailor_rl.methods.find import sft_method
from tailor_rl.protocols import Learner, Tokens
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Batch, Demonstration

SCORED_TOGETHER = 4096  # demonstrations: bounds the memory, and how often a model is loaded


class Examples:
    """The batches of SFT, by step. The method, if any, acts on the driver through this class."""

    def __init__(
        self,
        demonstrations: Sequence[Demonstration],
        *,
        cfg: SFTConfig,
        learner: Learner,
        tokens: Tokens,
        seed: int,
    ) -> None:
        self._demonstrations = demonstrations
        self._learner = learner
        self._tokens = tokens
        self._seed = seed
        self._method = sft_method(cfg.method, cfg.options)
        self._candidates = cfg.batch_size * self._method.candidates_per_example
        self._behaviour: list[np.ndarray] | None = None  # of each demonstration, (tokens of it,)
        self.steps_an_epoch = ceil(len(demonstrations) / self._candidates)
        self.num_steps = cfg.num_steps or cfg.epochs * self.steps_an_epoch

    async def prepare(self) -> None:
        """Behaviour log-probabilities, if the method reads them: from a fixed folder, or of the
        student as it was, so they are the same whenever a run goes on.
        """
        if not self._method.needs_behaviour:
            return
        folder = Path(self._method.behaviour) if self._method.behaviour else None
        self._behaviour = []
        for start in range(0, len(self._demonstrations), SCORED_TOGETHER):
            some = self._demonstrations[start : start + SCORED_TOGETHER]
            batch = collate_demonstrations(some, self._tokens)
            logprobs_BT = await self._learner.logprobs_of(folder, batch)
            pairs = zip(logprobs_BT, batch.mask, strict=True)
            self._behaviour += [logprobs_T[mask_T] for logprobs_T, mask_T in pairs]

    async def batch(self, step: int) -> Batch:
        """The demonstrations of `step`, which counts from 1.

        The last batch of an epoch may be smaller. A method that selects remembers what it took:
        it is asked for each step once, in order, after `load` of the state of the step before.
        """
        chosen = self._candidates_of(step)
        per_example = self._method.candidates_per_example
        if per_example > 1:
            features_BF = await self._learner.sft_features(self._collate(chosen))
            chosen = chosen[self._method.select(features_BF, num=ceil(len(chosen) / per_example))]
        return self._collate(chosen)

    def state(self) -> dict[str, Any]:
        """What the method remembers, as JSON."""
        return dict(self._method.state())

    def load(self, state: Mapping[str, Any]) -> None:
        self._method.load(state)

    def _candidates_of(self, step: int) -> np.ndarray:
        """Indices of demonstrations: every one once an epoch, in an order of the epoch's own."""
        epoch, place = divmod(step - 1, self.steps_an_epoch)
        rng = np.random.default_rng(derive_seed(self._seed, "sft", epoch))
        order = rng.permutation(len(self._demonstrations))
        return order[place * self._candidates : (place + 1) * self._candidates]

    def _collate(self, chosen: np.ndarray) -> Batch:
        batch = collate_demonstrations([self._demonstrations[i] for i in chosen], self._tokens)
        if self._behaviour is None:
            return batch
        behaviour_BT = batch.rollout_logprobs.copy()
        behaviour_BT[batch.mask] = np.concatenate([self._behaviour[i] for i in chosen])
        return replace(batch, rollout_logprobs=behaviour_BT)
