"""Where a method may act in SFT and in RL. Each hook does nothing unless it is overridden.

A method's constructor takes the recipe's `options` as keywords and raises ConfigError for wrong
ones. What it remembers from step to step goes through `state` and `load`, as JSON, so that a
resumed run goes on as if nothing had happened. Further terms of the reward need no hook: they are
rewards (tailor_rl/graders/rewards.py).

Shapes: N trained tokens of some sequences, row by row; `sequences_N` numbers the row of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tailor_rl.types import Batch, Demonstration, Draw, Group, Problem, Scores

if TYPE_CHECKING:
    import torch

    from tailor_rl.config.learning import RLConfig


class SFTMethod:
    """Hooks of supervised fine-tuning. The first three run in learner ranks, on whole sequences;
    the others on the driver, by another instance: ranks share no memory with it.
    """

    needs_behaviour = False  # log-probabilities of the traces under the policy that wrote them
    behaviour = ""  # folder of the model that they are taken from; empty: the student as it was
    candidates_per_example = 1  # drawn for each demonstration that is trained on

    def token_weights(
        self,
        learner_logprobs_N: torch.Tensor,
        behaviour_logprobs_N: torch.Tensor,
        sequences_N: torch.Tensor,
    ) -> torch.Tensor | None:
        """(N,) that multiply the cross-entropy of tokens; the arguments carry no gradient."""
        return None

    def extra_losses(
        self,
        learner_logprobs_N: torch.Tensor,
        behaviour_logprobs_N: torch.Tensor,
        sequences_N: torch.Tensor,
    ) -> torch.Tensor | None:
        """(N,) added to the cross-entropy of tokens; the learner's carry a gradient."""
        return None

    def features(self, logits_TV: torch.Tensor, token_ids_T: torch.Tensor) -> torch.Tensor:
        """(F,) of one demonstration, for `select`; T is its trained tokens."""
        return logits_TV.new_zeros(0)

    def select(self, features_BF: np.ndarray, *, num: int) -> np.ndarray:
        """Which `num` of B candidates are trained on: indices, in the order of the candidates."""
        return np.arange(num)

    def state(self) -> Mapping[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Mix:
    """The weights of the two losses of one RL step: a weight of 0 leaves that part out."""

    policy: float = 1.0
    supervised: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What RL begins with, and goes on with after a kill: the same in every sitting."""

    num_steps: int
    max_tokens: int  # of a rollout, given tokens included
    demonstrations: Sequence[Demonstration] = ()  # the SFT set; empty unless it is needed
    completions: Sequence[tuple[int, ...]] = ()  # token ids of each trace, with its end of turn
    warm_up: Mapping[str, float] | None = None  # metrics of SFT's last step; None: there was none


class RLMethod:
    """Hooks of RL. All run on the driver."""

    needs_demonstrations = False  # the SFT set
    needs_scores = False  # `shape` reads the learner's own log-probabilities or entropies
    learns_given = False  # given tokens are in the batch's mask; else nothing is learnt from them

    supervises = False  # `mix` gives demonstrations a weight

    def check(self, rl: RLConfig) -> None:
        """Before the run: raises ConfigError where other keys do not go with the method's."""

    def begin(self, beginning: Beginning) -> None:
        """Once in every sitting, before anything else; `load` follows where a run goes on."""

    def problem(self, order: int) -> int:
        """The train problem of group `order`: a curriculum."""
        return order

    def draws(self, order: int, problem: Problem, *, group_size: int, seed: int) -> Sequence[Draw]:
        """One `Draw` a rollout."""
        return [Draw()] * group_size

    def saw(self, group: Group) -> None:
        """Each group in the order started, those passed over too: a curriculum's news.

        `problem` and `draws` should heed it from the next `learnt` on: before, the order in which
        rollouts end would decide who knows of it, and no run could be repeated.
        """

    def mix(self, step: int, *, seed: int) -> Mix:
        """Asked before the step, more than once: it depends on its arguments and on what `learnt`
        was told of the steps before.
        """
        return Mix()

    def shape(self, batch: Batch, groups: Sequence[Group], scores: Scores | None) -> Batch:
        """The last word on a batch's mask, advantages and scales."""
        return batch

    def learnt(self, step: int, mix: Mix, metrics: Mapping[str, float]) -> None:
        """What the update of a step came to: `grad_norm`, `entropy`, ..."""

    def state(self) -> Mapping[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None: ...
