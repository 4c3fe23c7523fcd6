"""From groups and demonstrations to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tailor_rl.batch import collate_demonstrations, collate_groups, given_mask, joined
from tailor_rl.types import Demonstration, Grade, Group, Problem, Rollout

PROBLEM = Problem(id="t:train:0", prompt="p", answer="a", split="train", difficulty=1, metadata={})
GRADE = Grade(correct=0.0, reward=0.0, components={"correct": 0.0})


def rollout(prompt: Sequence[int], completion: Sequence[int]) -> Rollout:
    return Rollout(
        problem_id=PROBLEM.id,
        prompt_ids=tuple(prompt),
        token_ids=tuple(completion),
        rollout_logprobs=tuple(-float(token) for token in completion),
        text="",
        finish_reason="stop",
        first_version=0,
        last_version=0,
    )


def group(*rollouts: Rollout) -> Group:
    return Group(problem=PROBLEM, rollouts=rollouts, grades=(GRADE,) * len(rollouts), order=0)


class Letters:
    """Tokens (tailor_rl/protocols.py): a letter is its code, 1 starts a prompt, 2 ends a turn."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return (1, *map(ord, prompt))

    def encode_completion(self, text: str) -> tuple[int, ...]:
        return (*map(ord, text), 2)

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(map(chr, token_ids))


def test_groups_become_right_padded_rows_in_order() -> None:
    batch = collate_groups(
        [group(rollout([5, 6], [7, 2]), rollout([5, 6], [8, 9, 2])), group(rollout([3], [2]))]
    )
    assert batch.tokens.tolist() == [[5, 6, 7, 2, 0], [5, 6, 8, 9, 2], [3, 2, 0, 0, 0]]
    assert batch.mask.astype(int).tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 1, 0, 0, 0]]
    assert batch.rollout_logprobs.tolist() == [
        [0, 0, -7, -2, 0],
        [0, 0, -8, -9, -2],
        [0, -2, 0, 0, 0],
    ]
    assert not batch.advantages.any()
    assert batch.lengths.tolist() == [4, 5, 2]
    assert (batch.num_sequences, batch.num_trained_tokens) == (3, 6)
    assert batch.tokens.dtype == np.int64
    assert batch.rollout_logprobs.dtype == batch.advantages.dtype == np.float32


def test_demonstrations_train_on_the_trace_and_its_end_alone() -> None:
    rows = [
        Demonstration(
            id=trace,
            problem_id=PROBLEM.id,
            prompt="A",
            trace=trace,
            reward=1.0,
            origin="teacher",
            primitive_id=None,
            prompt_tokens=0,
            completion_tokens=0,
        )
        for trace in ("BC", "D")
    ]
    batch = collate_demonstrations(rows, Letters())
    assert batch.tokens.tolist() == [[1, 65, 66, 67, 2], [1, 65, 68, 2, 0]]
    assert batch.mask.astype(int).tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 1, 0]]
    assert not batch.advantages.any()


def test_given_tokens_are_learnt_only_where_that_is_asked_for() -> None:
    groups = [group(rollout([5, 6], [7, 8, 2]), replace(rollout([5, 6], [7, 8, 2]), given=2))]
    assert collate_groups(groups).mask.astype(int).tolist() == [[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]
    whole = collate_groups(groups, learn_given=True)
    assert whole.mask.astype(int).tolist() == [[0, 0, 1, 1, 1]] * 2
    assert given_mask(whole, groups).astype(int).tolist() == [[0] * 5, [0, 0, 1, 1, 0]]


def test_counts_that_disagree_are_refused() -> None:
    broken = Rollout(
        problem_id=PROBLEM.id,
        prompt_ids=(3,),
        token_ids=(4, 2),
        rollout_logprobs=(-1.0,),
        text="",
        finish_reason="stop",
        first_version=0,
        last_version=0,
    )
    with pytest.raises(ValueError, match="2 tokens but 1 log-probabilities"):
        collate_groups([group(broken)])


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sequence"):
        collate_groups([])
    with pytest.raises(ValueError, match="prompt"):
        collate_groups([group(rollout([], [2]))])


def test_joined_batches_keep_every_row_and_fill_in_what_one_of_them_lacks() -> None:
    first = collate_groups([group(rollout([5, 6], [7, 2]))])
    second = collate_groups([group(rollout([3], [8, 9, 4, 2]))])
    second = replace(
        second,
        supervised=np.array([True]),
        reference_logprobs=np.full((1, 5), -2.0, dtype=np.float32),
    )
    both = joined(first, second)
    assert both.tokens.tolist() == [[5, 6, 7, 2, 0], [3, 8, 9, 4, 2]]
    assert both.supervised is not None and both.supervised.tolist() == [False, True]
    assert both.reference_logprobs is not None
    assert both.reference_logprobs.tolist() == [[0.0] * 5, [-2.0] * 5]
    assert both.old_values is None
    assert both.lengths.tolist() == [4, 5]
