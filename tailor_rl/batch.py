"""From groups and demonstrations to right-padded arrays.

Numpy only: knows nothing about devices, ranks or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tailor_rl.protocols import Tokens
from tailor_rl.types import Batch, Demonstration, Group, Rollout

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Rows = TypeVar("Rows", bound="DataclassInstance")

PADDING = 0  # any id would do: padding is never trained on, and no earlier token can see it


@dataclass(frozen=True, slots=True)
class _Row:
    prompt: Sequence[int]
    completion: Sequence[int]
    rollout_logprobs: Sequence[float]
    given: int = 0  # tokens at the beginning of the completion that are not trained on


def collate_groups(groups: Sequence[Group], *, learn_given: bool = False) -> Batch:
    """Every rollout of every group as one sequence, in order; advantages are zeros as yet.

    Tokens that were given to a rollout are no choice of the policy: they are in the mask only where
    `learn_given`. Raises ValueError when there is nothing to collate.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return _pad([_rollout_row(rollout, learn_given=learn_given) for rollout in rollouts])


def given_mask(batch: Batch, groups: Sequence[Group]) -> np.ndarray:
    """(B, T) bool: the tokens that were given to the rollouts of a batch of these groups."""
    mask_BT = np.zeros(batch.mask.shape, dtype=np.bool_)
    rollouts = (rollout for group in groups for rollout in group.rollouts)
    for row, rollout in enumerate(rollouts):
        start = len(rollout.prompt_ids)
        mask_BT[row, start : start + rollout.given] = True
    return mask_BT


def joined(first: Batch, second: Batch) -> Batch:
    """The sequences of both, padded alike. Optional arrays that only one has are zeros in the
    other.
    """
    width = max(first.tokens.shape[1], second.tokens.shape[1])
    columns: dict[str, np.ndarray | None] = {}
    for field in fields(Batch):
        parts = [getattr(batch, field.name) for batch in (first, second)]
        known = next((part for part in parts if part is not None), None)
        columns[field.name] = None
        if known is not None:
            columns[field.name] = np.concatenate(
                [
                    _widened(part, batch.num_sequences, width, like=known)
                    for part, batch in zip(parts, (first, second), strict=True)
                ]
            )
    return Batch(**columns)  # type: ignore[arg-type]  # what a Batch must have, both have


def rows_of(batch: Rows, rows: np.ndarray) -> Rows:
    """The sequences `rows` of a batch, or of anything made of arrays by sequence, as wide as it
    was.
    """
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return replace(batch, **{n: a[rows] for n, a in values.items() if isinstance(a, np.ndarray)})


def _widened(part: np.ndarray | None, rows: int, width: int, *, like: np.ndarray) -> np.ndarray:
    shape = (rows,) if like.ndim == 1 else (rows, width)
    wide = np.zeros(shape, dtype=like.dtype)
    if part is not None:
        wide[..., : part.shape[-1]] = part
    return wide


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
            )
        )
    return _pad(rows)


def _rollout_row(rollout: Rollout, *, learn_given: bool) -> _Row:
    if len(rollout.rollout_logprobs) != len(rollout.token_ids):
        raise ValueError(
            f"a rollout of {rollout.problem_id} has {len(rollout.token_ids)} tokens "
            f"but {len(rollout.rollout_logprobs)} log-probabilities"
        )
    return _Row(
        prompt=rollout.prompt_ids,
        completion=rollout.token_ids,
        rollout_logprobs=rollout.rollout_logprobs,
        given=0 if learn_given else rollout.given,
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
        batch.mask[i, start + row.given : end] = True
        batch.rollout_logprobs[i, start:end] = row.rollout_logprobs
    return batch
