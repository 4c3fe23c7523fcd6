"""From groups and demonstrations to right-padded arrays.

Numpy only: knows nothing about devices, ranks or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.protocols import Tokens
from tailor_rl.types import Batch, Demonstration, Group, Rollout

PADDING = 0  # any id would do: padding is never trained on, and no earlier token can see it


@dataclass(frozen=True, slots=True)
class _Row:
    prompt: Sequence[int]
    completion: Sequence[int]
    rollout_logprobs: Sequence[float]
    advantage: float


def collate_groups(groups: Sequence[Group], advantages: Sequence[np.ndarray]) -> Batch:
    """Every rollout of every group as one sequence, in order.

    `advantages[i]` (G,) belongs to `groups[i]`: each completion token carries that of its rollout.
    Raises ValueError when the counts disagree or there is nothing to collate.
    """
    rows = []
    for group, advantages_G in zip(groups, advantages, strict=True):
        pairs = zip(group.rollouts, advantages_G, strict=True)
        rows += [_rollout_row(rollout, float(advantage)) for rollout, advantage in pairs]
    return _pad(rows)


def collate_demonstrations(demonstrations: Sequence[Demonstration], tokens: Tokens) -> Batch:
    """Prompt and trace of each demonstration, through the chat template; the trace is trained on.

    `rollout_logprobs` and `advantages` are zeros: supervised fine-tuning reads neither.
    """
    rows = []
    for demonstration in demonstrations:
        completion = tokens.encode_completion(demonstration.trace)
        rows.append(
            _Row(
                prompt=tokens.encode_prompt(demonstration.prompt),
                completion=completion,
                rollout_logprobs=[0.0] * len(completion),
                advantage=0.0,
            )
        )
    return _pad(rows)


def _rollout_row(rollout: Rollout, advantage: float) -> _Row:
    if len(rollout.rollout_logprobs) != len(rollout.token_ids):
        raise ValueError(
            f"a rollout of {rollout.problem_id} has {len(rollout.token_ids)} tokens "
            f"but {len(rollout.rollout_logprobs)} log-probabilities"
        )
    return _Row(
        prompt=rollout.prompt_ids,
        completion=rollout.token_ids,
        rollout_logprobs=rollout.rollout_logprobs,
        advantage=advantage,
    )


def _pad(rows: Sequence[_Row]) -> Batch:
    if not rows:
        raise ValueError("a batch needs at least one sequence")
    lengths = np.array([len(row.prompt) + len(row.completion) for row in rows], dtype=np.int64)
    shape = (len(rows), int(lengths.max()))
    batch = Batch(
        tokens=np.full(shape, PADDING, dtype=np.int64),
        mask=np.zeros(shape, dtype=np.bool_),
        rollout_logprobs=np.zeros(shape, dtype=np.float32),
        advantages=np.zeros(shape, dtype=np.float32),
        lengths=lengths,
    )
    for i, row in enumerate(rows):
        if not row.prompt:
            raise ValueError("a prompt needs at least one token: nothing predicts the first one")
        start, end = len(row.prompt), int(lengths[i])
        batch.tokens[i, :end] = [*row.prompt, *row.completion]
        batch.mask[i, start:end] = True
        batch.rollout_logprobs[i, start:end] = row.rollout_logprobs
        batch.advantages[i, start:end] = row.advantage
    return batch
