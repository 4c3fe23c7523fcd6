"""One RL step between the groups that were taken and the learner's update.

    groups -> batch -> scores (where needed) -> KL penalties -> advantages -> method -> policy step

Holds what an algorithm remembers from step to step: the KL coefficient, where it adapts, and the
method's own state. Knows nothing about the run folder: what a person should read is returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tailor_rl.algorithms.estimators import Outcome
from tailor_rl.algorithms.kl import adapted, penalties
from tailor_rl.algorithms.rewards import soft_overlong_punishment
from tailor_rl.batch import collate_demonstrations, collate_groups, joined, rows_of
from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import ConfigError
from tailor_rl.methods.find import rl_method
from tailor_rl.methods.hooks import Beginning, Mix
from tailor_rl.protocols import Learner, Tokens
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.memory import MemoryWatch
from tailor_rl.types import Batch, Demonstration, Group, Scores, Update


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was learnt from, and what came of it. `tokens` went forward and backward: prompts too,
    in every epoch. `notes` are lines for the person who watches.
    """

    batch: Batch
    update: Update
    tokens: int
    notes: tuple[str, ...] = ()


class Lesson:
    """Turns groups into updates. `demonstrations` are what a method may mix in, `warm_up` the
    metrics of SFT's last step.
    """

    def __init__(
        self,
        cfg: RLConfig,
        *,
        learner: Learner,
        tokens: Tokens,
        demonstrations: Sequence[Demonstration],
        batch_size: int,
        seed: int,
        warm_up: Mapping[str, float] | None = None,
    ) -> None:
        self._cfg = cfg
        self._algorithm = resolve_algorithm(cfg)
        self.method = rl_method(cfg.method, cfg.options)
        if self.method.needs_demonstrations and not demonstrations:
            raise ConfigError(
                f'rl.method="{cfg.method}" learns from demonstrations, and this run has none: '
                "choose an initialisation that makes some"
            )
        self._learner = learner
        self._tokens = tokens
        self._demonstrations = demonstrations
        self._batch_size = batch_size
        self._seed = seed
        self._kl_coefficient = self._algorithm.kl_coefficient
        self._memory = MemoryWatch()
        self._alarmed = False  # not kept in a checkpoint: who resumes has read nothing yet
        self.method.begin(self._beginning(warm_up))

    def state(self) -> dict[str, Any]:
        return {"kl_coefficient": self._kl_coefficient, "method": dict(self.method.state())}

    def load(self, state: Mapping[str, Any]) -> None:
        self._kl_coefficient = float(state["kl_coefficient"])
        self.method.load(state["method"])

    def mix(self, step: int) -> Mix:
        """The weights of the policy's own rollouts and of demonstrations in this step; none after
        the last, for which nothing has to be generated.
        """
        if step > self._cfg.num_steps:
            return Mix(policy=0.0)
        return self.method.mix(step, seed=derive_seed(self._seed, "mix", step))

    async def learn(self, step: int, mix: Mix, groups: Sequence[Group]) -> Learnt:
        """`groups` may be empty where the mix has no use for them.

        Where nothing is left to learn from, the weights stay as they are and a note says so.
        """
        parts = []
        if mix.policy:
            parts.append(_scaled(await self._policy_batch(groups), mix.policy))
        if mix.supervised:
            parts.append(_scaled(self._supervised_batch(step), mix.supervised))
        if not parts:
            raise ValueError(f"step {step}: a mix must give rollouts or demonstrations a weight")
        batch = _trained_rows(parts[0] if len(parts) == 1 else _interleaved(*parts))
        if not batch.num_sequences:
            return await self._nothing(step, batch)
        in_loss = self._algorithm.kl_in == "loss"
        update = await self._learner.policy_step(
            batch, kl_coefficient=self._kl_coefficient if in_loss else 0.0
        )
        self.method.learnt(step, mix, update.metrics)
        metrics = dict(update.metrics)
        if "kl_reference" in metrics:
            metrics["kl_coefficient"] = self._kl_coefficient
            self._adapt(metrics["kl_reference"], num=sum(len(g.rollouts) for g in groups))
        return Learnt(
            batch,
            replace(update, metrics=metrics),
            tokens=int(batch.lengths.sum()) * self._cfg.epochs_per_step,
            notes=(*self._alarm(step, metrics), *self._memory.notes(step, metrics)),
        )

    async def _nothing(self, step: int, batch: Batch) -> Learnt:
        held = await self._learner.version()
        said = f"step {step}: no token of its rollouts is left to learn from, so there is no update"
        if self._cfg.overlong_filtering:
            said += (
                f"; rl.overlong_filtering leaves out what is cut off at rl.max_tokens="
                f"{self._cfg.max_tokens}: raise rl.max_tokens if this goes on"
            )
        return Learnt(batch, Update(held.step, {"skipped": 1.0}), tokens=0, notes=(said,))

    def _alarm(self, step: int, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """A line when the mismatch has risen above its bound, not at every step that it stays."""
        cfg, kl = self._cfg, metrics.get("mismatch_kl")
        if kl is None:
            return ()
        before, self._alarmed = self._alarmed, not kl <= cfg.mismatch_alarm  # nan is above, too
        if before or not self._alarmed:
            return ()
        fixes = ["the same dtype for engines and learner"]
        if cfg.correction == "none":
            fixes.insert(0, 'rl.logprobs="recomputed" with rl.correction="token_is"')
        if cfg.max_lag:
            fixes.append(f"rl.max_lag below {cfg.max_lag}")
        return (
            f"step {step}: KL(rollout || learner) is {kl:.3g} nats a token, above "
            f"rl.mismatch_alarm={cfg.mismatch_alarm:g}: try {', or '.join(fixes)}",
        )

    def _adapt(self, kl: float, *, num: int) -> None:
        if self._cfg.kl_target is not None:
            self._kl_coefficient = adapted(
                self._kl_coefficient,
                kl=kl,
                target=self._cfg.kl_target,
                num=num,
                horizon=self._cfg.kl_horizon,
            )

    def _beginning(self, warm_up: Mapping[str, float] | None) -> Beginning:
        wanted = self._demonstrations if self.method.needs_demonstrations else ()
        return Beginning(
            num_steps=self._cfg.num_steps,
            max_tokens=self._cfg.max_tokens,
            demonstrations=wanted,
            completions=[self._tokens.encode_completion(made.trace) for made in wanted],
            warm_up=warm_up,
        )

    async def _policy_batch(self, groups: Sequence[Group]) -> Batch:
        batch = collate_groups(groups, learn_given=self.method.learns_given)
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
            groups_B=_contexts(groups),
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


def _contexts(groups: Sequence[Group]) -> np.ndarray:
    """Who is compared with whom: rollouts of one problem that begin with the same given tokens.
    (B,)
    """
    keys = [
        (i, rollout.token_ids[: rollout.given])
        for i, group in enumerate(groups)
        for rollout in group.rollouts
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def _complete(groups: Sequence[Group]) -> np.ndarray:
    return np.array([r.finish_reason != "length" for group in groups for r in group.rollouts])


def _trained_rows(batch: Batch) -> Batch:
    """Without sequences that nothing is learnt from: no part of a step may consist of them."""
    trained_B = batch.mask.any(axis=1)
    return batch if trained_B.all() else rows_of(batch, np.flatnonzero(trained_B))


def _interleaved(policy: Batch, supervised: Batch) -> Batch:
    """Both, mixed evenly: a step may be cut into parts, and each should hold its share of both."""
    places = [(np.arange(b.num_sequences) + 0.5) / b.num_sequences for b in (policy, supervised)]
    return rows_of(joined(policy, supervised), np.argsort(np.concatenate(places), kind="stable"))


def _scaled(batch: Batch, weight: float) -> Batch:
    """With the weight on every token: also a weight of 1, which a batch that is joined to another
    would lose, for what only one of them has is 0 in the other.
    """
    scales = np.ones(batch.mask.shape, dtype=np.float32) if batch.scales is None else batch.scales
    return replace(batch, scales=scales * np.float32(weight))
