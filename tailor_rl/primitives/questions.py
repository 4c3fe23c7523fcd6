"""Whom a teacher is shown next: batches of wrong and right attempts in rotation.

Knows nothing about teachers or prompts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tailor_rl.types import Attempt


@dataclass(frozen=True, slots=True)
class Question:
    """One batch to be shown. `complaint`: what was wrong with the first answer about it."""

    attempts: tuple[Attempt, ...]
    sample: int  # unique in one discovery: no two requests are the same purchase
    complaint: str = ""


class Questions:
    """One question shows two thirds wrong attempts and one third right ones, in rotation; where one
    kind is short the other fills its places.
    """

    def __init__(self, attempts: Sequence[Attempt], *, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shuffled = [attempts[i] for i in rng.permutation(len(attempts))]
        self._wrong = deque(a for a in shuffled if a.reward <= 0.5)
        self._right = deque(a for a in shuffled if a.reward >= 1.0)
        num_right = min(size // 3, len(self._right))
        self._num_wrong = min(size - num_right, len(self._wrong))
        self._num_right = min(size - self._num_wrong, len(self._right))
        self._again: deque[tuple[tuple[Attempt, ...], str]] = deque()
        self.num = 0  # asked so far

    def next(self, num: int) -> list[Question]:
        """The next `num` questions: those to be asked again first, then new batches."""
        asked = []
        for _ in range(num):
            batch, complaint = self._again.popleft() if self._again else (self._batch(), "")
            asked.append(Question(batch, sample=self.num, complaint=complaint))
            self.num += 1
        return asked

    def again(self, question: Question, complaint: str) -> None:
        """Ask about the same attempts once more; a question that was asked again is left."""
        if not question.complaint:
            self._again.append((question.attempts, complaint))

    def _batch(self) -> tuple[Attempt, ...]:
        drawn = (*islice(self._wrong, self._num_wrong), *islice(self._right, self._num_right))
        self._wrong.rotate(-self._num_wrong)
        self._right.rotate(-self._num_right)
        return drawn
