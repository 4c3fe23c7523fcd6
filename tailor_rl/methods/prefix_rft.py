"""Prefix-RFT: in every group some rollouts continue the beginning of a demonstration
(arXiv 2507.01679).

Of G rollouts, `continuations` begin with the first tokens of a demonstration of the problem and are
graded as wholes. How much is given is drawn between `low` and `high` shares of the demonstration;
`low` falls by a cosine from `high` to `low_end` over the steps of RL. Advantages:

- rollouts that begin with nothing: the algorithm's own, among themselves;
- what the policy wrote after a prefix: the algorithm's own among the continuations of that prefix;
  a lone one has mean 0 and deviation 1, so it is its reward;
- given tokens: (R - mean R of the rollouts without a prefix) / continuations, and only for the
  share `learnt_share` of a step's given tokens at which the policy is least certain (its entropy is
  highest); the others are not learnt.

Ours, where the paper is silent:

- Every group is of a problem with a demonstration: `problem` goes through them, in an order of its
  own for every pass. RL so sees no others, and its problems are those of SFT.
- Given tokens were not drawn by anybody: ratios are taken to the learner's log-probabilities before
  the step, as in the published code, so they begin at 1, and no correction of the mismatch between
  engine and learner touches them.
- Tokens that are not learnt leave the mask: they are in no mean of the loss, and in no KL term.
- A demonstration that is longer than `rl.max_tokens` could not be finished: it is not used. The
  end of a demonstration is never given: something must be left to write.
- Rewards here are the plain ones, without punishments for length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import cos, pi
from typing import Any

import numpy as np

from tailor_rl.batch import given_mask
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import Beginning, Mix, RLMethod
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Batch, Draw, Group, Problem, Scores


class PrefixRft(RLMethod):
    needs_demonstrations = True
    needs_scores = True
    learns_given = True

    def __init__(
        self,
        *,
        continuations: int = 1,
        high: float = 0.95,
        low_end: float = 0.05,
        learnt_share: float = 0.2,
        seed: int = 0,
    ) -> None:
        if continuations < 1:
            raise ConfigError(f"rl.options.continuations={continuations} must be at least 1")
        if not 0 <= low_end <= high < 1:
            raise ConfigError(
                f"rl.options.low_end={low_end} and high={high} must be shares of a demonstration "
                "in this order, below 1"
            )
        if not 0 <= learnt_share <= 1:
            raise ConfigError(f"rl.options.learnt_share={learnt_share} must be between 0 and 1")
        self._continuations = continuations
        self._high = high
        self._low_end = low_end
        self._learnt_share = learnt_share
        self._seed = seed
        self._completions: dict[str, list[tuple[int, ...]]] = {}  # by problem
        self._indices: list[int] = []  # of the train problems that have some
        self._num_steps = 1
        self._step = 0  # that was learnt last

    def check(self, rl: RLConfig) -> None:
        if rl.group_size < self._continuations + 2:
            raise ConfigError(
                f"rl.group_size={rl.group_size} leaves fewer than two plain rollouts, which are "
                f"compared with each other, beside rl.options.continuations={self._continuations}: "
                f"set rl.group_size={self._continuations + 2} or more"
            )

    def begin(self, beginning: Beginning) -> None:
        pairs = zip(beginning.demonstrations, beginning.completions, strict=True)
        for demonstration, completion in pairs:
            if 1 < len(completion) <= beginning.max_tokens:
                self._completions.setdefault(demonstration.problem_id, []).append(completion)
        if not self._completions:
            raise ConfigError(
                "rl.method = 'prefix_rft' needs a demonstration of at most rl.max_tokens="
                f"{beginning.max_tokens} tokens, and all are longer: raise rl.max_tokens"
            )
        self._indices = [int(problem.rpartition(":")[2]) for problem in self._completions]
        self._num_steps = beginning.num_steps

    def problem(self, order: int) -> int:
        """Every problem with a demonstration once a pass."""
        turn, place = divmod(order, len(self._indices))
        rng = np.random.default_rng(derive_seed(self._seed, "problems", turn))
        return self._indices[int(rng.permutation(len(self._indices))[place])]

    def draws(self, order: int, problem: Problem, *, group_size: int, seed: int) -> Sequence[Draw]:
        rng = np.random.default_rng(seed)
        completions = self._completions[problem.id]
        completion = completions[int(rng.integers(len(completions)))]
        num_given = int(rng.uniform(self.low, self._high) * len(completion))
        prefix = completion[: min(max(num_given, 1), len(completion) - 1)]
        plain = [Draw()] * (group_size - self._continuations)
        return [*plain, *[Draw(prefix=prefix)] * self._continuations]

    @property
    def low(self) -> float:
        """The least share of a demonstration that is given, after the last step learnt."""
        fallen = (1 + cos(pi * min(1.0, self._step / self._num_steps))) / 2
        return self._low_end + (self._high - self._low_end) * fallen

    def shape(self, batch: Batch, groups: Sequence[Group], scores: Scores | None) -> Batch:
        assert scores is not None
        given_BT = given_mask(batch, groups) & batch.mask
        learnt_BT = _most_uncertain(given_BT, scores.entropies, share=self._learnt_share)
        advantages_BT = batch.advantages.copy()
        row = 0
        for group in groups:
            for rollout, reward in zip(group.rollouts, group.rewards, strict=True):
                if rollout.given:
                    own = _worth(group, reward, self._continuations)
                    if _continuations_of(group) == 1:
                        advantages_BT[row, batch.mask[row]] = reward
                    advantages_BT[row, given_BT[row]] = own
                row += 1
        own_BT = scores.learner_logprobs
        proximal_BT = batch.proximal_logprobs
        return replace(
            batch,
            mask=batch.mask & (~given_BT | learnt_BT),
            advantages=advantages_BT,
            rollout_logprobs=np.where(given_BT, own_BT, batch.rollout_logprobs),
            proximal_logprobs=(
                None if proximal_BT is None else np.where(given_BT, own_BT, proximal_BT)
            ),
        )

    def learnt(self, step: int, mix: Mix, metrics: Mapping[str, float]) -> None:
        self._step = step

    def state(self) -> Mapping[str, Any]:
        return {"step": self._step}

    def load(self, state: Mapping[str, Any]) -> None:
        self._step = int(state["step"])


def _worth(group: Group, reward: float, continuations: int) -> float:
    """The advantage of given tokens; against 0 where every plain rollout was set aside."""
    pairs = zip(group.rollouts, group.rewards, strict=True)
    plain = [each for rollout, each in pairs if not rollout.given]
    return (reward - float(np.mean(plain or [0.0]))) / continuations


def _continuations_of(group: Group) -> int:
    return sum(rollout.given > 0 for rollout in group.rollouts)


def _most_uncertain(given_BT: np.ndarray, entropies_BT: np.ndarray, *, share: float) -> np.ndarray:
    """The `share` of the given tokens of a step with the highest entropies. (B, T) bool"""
    places = np.flatnonzero(given_BT)
    order = np.argsort(-entropies_BT.ravel()[places], kind="stable")
    learnt_BT = np.zeros(given_BT.shape, dtype=np.bool_)
    learnt_BT.ravel()[places[order[: int(np.ceil(share * len(places)))]]] = True
    return learnt_BT
