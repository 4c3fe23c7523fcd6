"""One RL step between the groups that were taken and the learner's update.

    groups -> batch -> scores (where needed) -> KL penalties -> advantages -> method -> policy step

Holds what an algorithm remembers from step to step: the KL coefficient, where it adapts, and the
method's own state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tailor_rl.algorithms.estimators import Outcome
from tailor_rl.algorithms.kl import adapted, penalties
from tailor_rl.algorithms.rewards import soft_overlong_punishment
from tailor_rl.batch import collate_demonstrations, collate_groups, joined
from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.schema import RLConfig
from tailor_rl.methods.find import rl_method
from tailor_rl.methods.hooks import Mix
from tailor_rl.protocols import Learner, Tokens
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Batch, Demonstration, Group, Scores, Update


@dataclass(frozen=True, slots=True)
class Learnt:
    batch: Batch
    update: Update


class Lesson:
    """Turns groups into updates. `demonstrations` are what a method may mix in."""

    def __init__(
        self,
        cfg: RLConfig,
        *,
        learner: Learner,
        tokens: Tokens,
        demonstrations: Sequence[Demonstration],
        batch_size: int,
        seed: int,
    ) -> None:
        self._cfg = cfg
        self._algorithm = resolve_algorithm(cfg)
        self.method = rl_method(cfg.method, cfg.options)
        self._learner = learner
        self._tokens = tokens
        self._demonstrations = demonstrations
        self._batch_size = batch_size
        self._seed = seed
        self._kl_coefficient = self._algorithm.kl_coefficient

    def state(self) -> dict[str, Any]:
        return {"kl_coefficient": self._kl_coefficient, "method": dict(self.method.state())}

    def load(self, state: Mapping[str, Any]) -> None:
        self._kl_coefficient = float(state["kl_coefficient"])
        self.method.load(state["method"])

    def mix(self, step: int) -> Mix:
        """The weights of the policy's own rollouts and of demonstrations in this step."""
        return self.method.mix(step, seed=derive_seed(self._seed, "mix", step))

    async def learn(self, step: int, mix: Mix, groups: Sequence[Group]) -> Learnt:
        """`groups` may be empty where the mix has no use for them."""
        parts = []
        if mix.policy:
            parts.append(_scaled(await self._policy_batch(groups), mix.policy))
        if mix.supervised:
            parts.append(_scaled(self._supervised_batch(step), mix.supervised))
        batch = parts[0] if len(parts) == 1 else joined(*parts)
        in_loss = self._algorithm.kl_in == "loss"
        update = await self._learner.policy_step(
            batch, kl_coefficient=self._kl_coefficient if in_loss else 0.0
        )
        self.method.learnt(step, mix, update.metrics)
        metrics = dict(update.metrics)
        if "kl_reference" in metrics:
            metrics["kl_coefficient"] = self._kl_coefficient
            self._adapt(metrics["kl_reference"], num=batch.num_sequences)
        return Learnt(batch, replace(update, metrics=metrics))

    def _adapt(self, kl: float, *, num: int) -> None:
        if self._cfg.kl_target is not None:
            self._kl_coefficient = adapted(
                self._kl_coefficient,
                kl=kl,
                target=self._cfg.kl_target,
                num=num,
                horizon=self._cfg.kl_horizon,
            )

    async def _policy_batch(self, groups: Sequence[Group]) -> Batch:
        batch = collate_groups(groups)
        scores = await self._learner.score(batch) if self._needs_scores else None
        batch = self._with_advantages(batch, groups, scores)
        if scores is not None:
            if self._cfg.logprobs == "recomputed":
                batch = replace(batch, proximal_logprobs=scores.learner_logprobs)
            batch = replace(
                batch, reference_logprobs=scores.reference_logprobs, old_values=scores.values
            )
        if self._cfg.overlong_filtering:
            batch = replace(batch, mask=batch.mask & _complete(groups)[:, None])
        return self.method.shape(batch, groups, scores)

    @property
    def _needs_scores(self) -> bool:
        return (
            self._cfg.logprobs == "recomputed"
            or self._algorithm.kl_coefficient > 0
            or self._algorithm.critic
            or self.method.needs_scores
        )

    def _with_advantages(
        self, batch: Batch, groups: Sequence[Group], scores: Scores | None
    ) -> Batch:
        cfg, algorithm = self._cfg, self._algorithm
        penalties_BT = np.zeros(batch.mask.shape, dtype=np.float32)
        if algorithm.kl_in == "reward" and scores and scores.reference_logprobs is not None:
            penalties_BT = penalties(
                algorithm.kl_estimate,
                scores.learner_logprobs,
                scores.reference_logprobs,
                coefficient=self._kl_coefficient,
            )
        outcome = Outcome(
            rewards_B=_rewards(groups, cfg),
            groups_B=np.repeat(np.arange(len(groups)), [len(g.rollouts) for g in groups]),
            mask_BT=batch.mask,
            penalties_BT=penalties_BT,
            values_BT=None if scores is None else scores.values,
            gamma=algorithm.gamma,
            lam=algorithm.lam,
        )
        advantages = algorithm.estimate(outcome)
        return replace(batch, advantages=advantages.advantages_BT, returns=advantages.returns_BT)

    def _supervised_batch(self, step: int) -> Batch:
        rng = np.random.default_rng(derive_seed(self._seed, "supervised", step))
        num = min(self._batch_size, len(self._demonstrations))
        chosen = rng.choice(len(self._demonstrations), size=num, replace=False)
        batch = collate_demonstrations([self._demonstrations[i] for i in chosen], self._tokens)
        return replace(batch, supervised=np.ones(num, dtype=np.bool_))


def _rewards(groups: Sequence[Group], cfg: RLConfig) -> np.ndarray:
    """Outcome rewards plus, near `max_tokens`, the punishment for length. (B,)"""
    return np.array(
        [
            reward
            + soft_overlong_punishment(
                len(rollout.token_ids), max_tokens=cfg.max_tokens, buffer=cfg.overlong_buffer
            )
            for group in groups
            for rollout, reward in zip(group.rollouts, group.rewards, strict=True)
        ]
    )


def _complete(groups: Sequence[Group]) -> np.ndarray:
    return np.array([r.finish_reason != "length" for group in groups for r in group.rollouts])


def _scaled(batch: Batch, weight: float) -> Batch:
    """With the weight on every token; a weight of 1 leaves the batch as it is."""
    if weight == 1.0 and batch.scales is None:
        return batch
    scales = np.ones(batch.mask.shape, dtype=np.float32) if batch.scales is None else batch.scales
    return replace(batch, scales=scales * np.float32(weight))
