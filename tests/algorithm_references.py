"""One batch, and the loss of each named algorithm on it, written out from its paper in float64.

Knows nothing of tailor_rl: sequences are lists of numbers, and sums are loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

LENGTHS = [4, 2, 5, 3, 1, 4, 2, 5]  # of the completions
GROUPS = [0, 0, 0, 1, 1, 1, 2, 2]
REWARDS = [1.0, 0.0, 0.5, 0.0, 1.0, 1.0, 0.25, 0.25]
FILTERED = {3}  # counted in its group, not learnt from
VOCABULARY, WIDTH, MAX_TOKENS = 7, 6, 9
GAMMA, LAMBDA = 1.0, 0.95

Sequences = list[list[torch.Tensor]]  # one number a token


@dataclass(frozen=True)
class Case:
    """A batch whose tokens have every kind of ratio; columns are (B, T) in float64."""

    logits_BTV: torch.Tensor
    targets_BT: torch.Tensor
    mask_BT: np.ndarray  # of the completions
    rollout_BT: np.ndarray
    reference_BT: np.ndarray
    values_BT: np.ndarray
    beta: float

    @property
    def learner_BT(self) -> torch.Tensor:
        logprobs_BTV = self.logits_BTV.log_softmax(-1)
        return logprobs_BTV.gather(-1, self.targets_BT[..., None])[..., 0]

    @property
    def trained_BT(self) -> np.ndarray:
        kept = np.array([row not in FILTERED for row in range(len(LENGTHS))])
        return self.mask_BT & kept[:, None]


def make_case(*, beta: float, noise: float = 0.4, seed: int = 0) -> Case:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(LENGTHS), WIDTH)
    case = Case(
        logits_BTV=torch.randn(
            *shape, VOCABULARY, generator=generator, dtype=torch.float64
        ).requires_grad_(),
        targets_BT=torch.randint(VOCABULARY, shape, generator=generator),
        mask_BT=np.arange(WIDTH)[None] < np.array(LENGTHS)[:, None],
        rollout_BT=np.zeros(shape),
        reference_BT=np.zeros(shape),
        values_BT=np.zeros(shape),
        beta=beta,
    )
    rng = np.random.default_rng(seed)
    learner = case.learner_BT.detach().numpy()
    drift = noise * rng.normal(size=shape)
    drift[0] *= 1e-3  # a sequence whose ratio no clip of GSPO holds
    return replace(
        case,
        rollout_BT=learner + drift,
        reference_BT=learner + 0.3 * rng.normal(size=shape),
        values_BT=rng.normal(size=shape),
    )


def rows_of(column_BT: Any) -> list[list[Any]]:
    return [[column_BT[i, t] for t in range(num)] for i, num in enumerate(LENGTHS)]


def groups_of(values: list[Any]) -> list[list[Any]]:
    """For each rollout, the values of its whole group."""
    return [[v for v, h in zip(values, GROUPS, strict=True) if h == g] for g in GROUPS]


def mean(values: list[Any]) -> Any:
    return sum(values) / len(values)


def deviation(values: list[Any]) -> float:
    middle = mean(values)
    return math.sqrt(mean([(value - middle) ** 2 for value in values]))


def normalised() -> list[float]:
    return [
        (r - mean(g)) / (deviation(g) + 1e-6)
        for r, g in zip(REWARDS, groups_of(REWARDS), strict=True)
    ]


def spread(advantages: list[float]) -> list[list[float]]:
    return [[a] * num for a, num in zip(advantages, LENGTHS, strict=True)]


def whitened(rows: list[list[float]]) -> list[list[float]]:
    flat = [value for row in rows for value in row]
    return [[(value - mean(flat)) / (deviation(flat) + 1e-8) for value in row] for row in rows]


def ppo_clip(r: Any, advantage: float, low: float, high: float) -> Any:
    clipped = min(max(r, 1 - low), 1 + high)
    return -min(r * advantage, clipped * advantage)


def token_terms(case: Case, rows: list[list[float]], low: float, high: float) -> list[list[Any]]:
    """-min(r A, clip(r) A) at every token."""
    learner, rollout = rows_of(case.learner_BT), rows_of(case.rollout_BT)
    return [
        [
            ppo_clip((p - q).exp(), a, low, high)
            for p, q, a in zip(learner[i], rollout[i], rows[i], strict=True)
        ]
        for i in range(len(LENGTHS))
    ]


def plus_kl(case: Case, terms: list[list[Any]], estimate: Callable[[Any], Any]) -> list[list[Any]]:
    """`estimate` is a function of log(learner / reference)."""
    learner, reference = rows_of(case.learner_BT), rows_of(case.reference_BT)
    return [
        [
            term + case.beta * estimate(p - q)
            for term, p, q in zip(terms[i], learner[i], reference[i], strict=True)
        ]
        for i in range(len(LENGTHS))
    ]


def k3(difference: Any) -> Any:
    return (-difference).exp() + difference - 1


def learnt(rows: list[list[Any]]) -> list[list[Any]]:
    return [row for i, row in enumerate(rows) if i not in FILTERED]


def over_tokens(rows: list[list[Any]]) -> Any:
    return mean([value for row in learnt(rows) for value in row])


def over_sequences(rows: list[list[Any]]) -> Any:
    return mean([mean(row) for row in learnt(rows)])


def reference_grpo(case: Case) -> Any:
    """DeepSeekMath equation 3, the KL of its equation 4 inside."""
    return over_sequences(plus_kl(case, token_terms(case, spread(normalised()), 0.2, 0.2), k3))


def reference_dapo(case: Case) -> Any:
    """Equation 8, over a batch; a KL that a recipe adds is k3 in the loss."""
    return over_tokens(plus_kl(case, token_terms(case, spread(normalised()), 0.2, 0.28), k3))


def reference_dr_grpo(case: Case) -> Any:
    """No deviation, and a divisor that no length moves."""
    centred = [r - mean(g) for r, g in zip(REWARDS, groups_of(REWARDS), strict=True)]
    terms = plus_kl(case, token_terms(case, spread(centred), 0.2, 0.2), k3)
    return mean([sum(row) / MAX_TOKENS for row in learnt(terms)])


def reference_gspo(case: Case) -> Any:
    """Equation 5: one clipped ratio a sequence, the gradient through all of its tokens."""
    learner, rollout = rows_of(case.learner_BT), rows_of(case.rollout_BT)
    policy = []
    for i, advantage in enumerate(normalised()):
        s = mean([p - q for p, q in zip(learner[i], rollout[i], strict=True)]).exp()
        policy.append([ppo_clip(s, advantage, 3e-4, 4e-4)] * LENGTHS[i])
    return over_sequences(plus_kl(case, policy, k3))


def reference_cispo(case: Case) -> Any:
    """Equation 4: a stopped, clipped ratio times A log p."""
    learner, rollout = rows_of(case.learner_BT), rows_of(case.rollout_BT)
    terms = [
        [
            -min((p - q).exp().item(), 1.2) * advantage * p
            for p, q in zip(learner[i], rollout[i], strict=True)
        ]
        for i, advantage in enumerate(normalised())
    ]
    return over_tokens(plus_kl(case, terms, k3))


def paid(case: Case) -> list[list[float]]:
    """beta k1 of every token, where KL is a part of the reward."""
    learner, reference = rows_of(case.learner_BT.detach()), rows_of(case.reference_BT)
    return [
        [case.beta * float(p - q) for p, q in zip(learner[i], reference[i], strict=True)]
        for i in range(len(LENGTHS))
    ]


def reference_rloo(case: Case) -> Any:
    """Equation 8, R being the reward less beta times the KL of the whole completion."""
    totals = [r - sum(costs) for r, costs in zip(REWARDS, paid(case), strict=True)]
    advantages = []
    for i, total in enumerate(totals):
        others = [t for j, t in enumerate(totals) if GROUPS[j] == GROUPS[i] and j != i]
        advantages.append(total - mean(others))
    terms = token_terms(case, spread(advantages), 0.2, 0.2)
    return mean([sum(row) for row in learnt(terms)])


def token_rewards(case: Case) -> list[list[float]]:
    rows = [[-cost for cost in costs] for costs in paid(case)]
    for row, reward in zip(rows, REWARDS, strict=True):
        row[-1] += reward
    return rows


def reference_reinforce_pp(case: Case) -> Any:
    """Returns to go of the penalised rewards, normalised over the batch."""
    returns = [[sum(row[t:]) for t in range(len(row))] for row in token_rewards(case)]
    return over_tokens(token_terms(case, whitened(returns), 0.2, 0.2))


def reference_reinforce_pp_baseline(case: Case) -> Any:
    """The group's mean off, the batch's deviation under, and k2 in the loss."""
    centred = [r - mean(g) for r, g in zip(REWARDS, groups_of(REWARDS), strict=True)]
    terms = token_terms(case, whitened(spread(centred)), 0.2, 0.2)
    return over_tokens(plus_kl(case, terms, lambda difference: difference**2 / 2))


def reference_maxrl(case: Case) -> Any:
    """(R - mean) / mean; clip, token mean and a KL that a recipe adds as in GRPO."""
    advantages = [(r - mean(g)) / mean(g) for r, g in zip(REWARDS, groups_of(REWARDS), strict=True)]
    return over_tokens(plus_kl(case, token_terms(case, spread(advantages), 0.2, 0.2), k3))


def reference_ppo(case: Case) -> Any:
    """GAE over the penalised rewards, normalised over the batch."""
    values = rows_of(case.values_BT)
    advantages = []
    for i, rewards in enumerate(token_rewards(case)):
        ahead = [*values[i][1:], 0.0]
        deltas = [r + GAMMA * n - v for r, n, v in zip(rewards, ahead, values[i], strict=True)]
        advantages.append(
            [
                sum((GAMMA * LAMBDA) ** k * delta for k, delta in enumerate(deltas[t:]))
                for t in range(len(deltas))
            ]
        )
    return over_tokens(token_terms(case, whitened(advantages), 0.2, 0.2))


REFERENCES: dict[str, Callable[[Case], Any]] = {
    "grpo": reference_grpo,
    "dapo": reference_dapo,
    "dr_grpo": reference_dr_grpo,
    "gspo": reference_gspo,
    "cispo": reference_cispo,
    "rloo": reference_rloo,
    "reinforce_pp": reference_reinforce_pp,
    "reinforce_pp_baseline": reference_reinforce_pp_baseline,
    "maxrl": reference_maxrl,
    "ppo": reference_ppo,
}
