"""Diagnosis: a teacher reads the student's graded attempts and writes reasoning primitives.

Requests go out in waves: as many at a time as the missing primitives need. What a request asks
depends on the answers of earlier waves alone, taken in the order of asking, so a resumed run asks
the same questions and finds their answers in the purchase book.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil

import numpy as np

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.primitives.library import copies, is_new
from tailor_rl.printable import one_line
from tailor_rl.protocols import Teacher, TeacherRequest
from tailor_rl.teachers.faults import UnusableAnswer
from tailor_rl.teachers.prompts import DISCOVER_SYSTEM, Draft, discover_prompt, parse_primitives
from tailor_rl.types import Attempt, Primitive

Progress = Callable[[int, int, str], None]

_MOST_KNOWN = 40  # primitives listed in a request, so that prompts stay short
_PATIENCE = 4  # garbage answers before their share is looked at


@dataclass(frozen=True, slots=True)
class _Question:
    attempts: tuple[Attempt, ...]
    sample: int  # unique in one discovery: no two requests are the same purchase


@dataclass(frozen=True, slots=True)
class _Answer:
    question: _Question
    drafts: tuple[Draft, ...]  # empty: garbage
    text: str


async def discover(
    attempts: Sequence[Attempt],
    teacher: Teacher,
    *,
    num_primitives: int,
    attempts_per_request: int,
    primitives_per_request: int,
    max_requests: int,
    temperature: float,
    max_similarity: float,
    seed: int,
    max_tokens: int,
    on_progress: Progress | None = None,
) -> list[Primitive]:
    """Up to `num_primitives` distinct primitives; fewer when `max_requests` yield no more.

    Two instructions more than `max_similarity` (0 to 100) alike are one. An answer without any
    acceptable primitive is garbage: the same attempts are shown again under another sample number.
    Raises ValueError without attempts, and TeacherError when nothing usable came or when more than
    half of the answers are garbage.
    """
    if not attempts:
        raise ValueError("There are no attempts to discover primitives from.")
    search = _Search(attempts, size=attempts_per_request, seed=seed)
    while (missing := num_primitives - len(search.found)) > 0 and search.num_asked < max_requests:
        wave = min(ceil(missing / primitives_per_request), max_requests - search.num_asked)
        known = [f"{p.name}: {p.instruction}" for p in search.found[-_MOST_KNOWN:]]
        answers = await together(
            _ask(
                question, teacher, known, count=primitives_per_request,
                temperature=temperature, max_tokens=max_tokens,
            )
            for question in search.questions(wave)
        )  # fmt: skip
        for answer in answers:
            search.take(answer, teacher.name, temperature, max_similarity)
        search.found = search.found[:num_primitives]
        if on_progress is not None:
            note = f"{search.num_asked} requests, {search.num_garbage} unreadable"
            on_progress(len(search.found), num_primitives, note)
        search.check_patience(teacher.name)
    search.check_success(teacher.name)
    return search.found


class _Search:
    """What was asked and found so far, and whom to show next.

    One request shows two thirds wrong attempts and one third right ones, in rotation; where one
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
        self._again: list[tuple[Attempt, ...]] = []
        self._last = ""
        self.found: list[Primitive] = []
        self.num_asked = 0
        self.num_garbage = 0

    def questions(self, num: int) -> list[_Question]:
        """The next `num` questions: those that got garbage first, then new batches."""
        asked = []
        for _ in range(num):
            batch = self._again.pop(0) if self._again else self._batch()
            asked.append(_Question(batch, sample=self.num_asked))
            self.num_asked += 1
        return asked

    def take(
        self, answer: _Answer, teacher: str, temperature: float, max_similarity: float
    ) -> None:
        """Add what is new in an answer, or note that it was garbage."""
        if not answer.drafts:
            self.num_garbage += 1
            self._last = answer.text
            self._again.append(answer.question.attempts)
        for draft in answer.drafts:
            known = [primitive.instruction for primitive in self.found]
            if is_new(draft.instruction, known, max_similarity=max_similarity):
                self.found.append(
                    Primitive(
                        id=f"primitive-{len(known) + 1:03d}",
                        name=draft.name,
                        instruction=draft.instruction,
                        targets=draft.targets,
                        source_attempt_ids=tuple(a.id for a in answer.question.attempts),
                        teacher=teacher,
                        temperature=temperature,
                    )
                )

    def check_patience(self, teacher: str) -> None:
        if self.num_garbage >= _PATIENCE and 2 * self.num_garbage > self.num_asked:
            raise TeacherError(
                f"{self.num_garbage} of {self.num_asked} answers of the teacher {teacher!r} hold no"
                " reasoning primitive in the form it was asked for; try another teacher.model or a"
                f" lower primitives.temperature. {self._last_answer()}"
            )

    def check_success(self, teacher: str) -> None:
        if not self.found:
            raise TeacherError(
                f"The teacher {teacher!r} wrote no usable reasoning primitive in {self.num_asked}"
                f" requests; try another teacher.model. {self._last_answer()}"
            )

    def _last_answer(self) -> str:
        return f"Its last unreadable answer began: {one_line(self._last) or 'with nothing'!r}."

    def _batch(self) -> tuple[Attempt, ...]:
        drawn = (*islice(self._wrong, self._num_wrong), *islice(self._right, self._num_right))
        self._wrong.rotate(-self._num_wrong)
        self._right.rotate(-self._num_right)
        return drawn


async def _ask(
    question: _Question,
    teacher: Teacher,
    known: Sequence[str],
    *,
    count: int,
    temperature: float,
    max_tokens: int,
) -> _Answer:
    request = TeacherRequest(
        purpose="discover",
        system=DISCOVER_SYSTEM,
        prompt=discover_prompt(question.attempts, num_primitives=count, known=known),
        temperature=temperature,
        max_tokens=max_tokens,
        sample=question.sample,
    )
    try:
        reply = await teacher.complete(request)
    except UnusableAnswer as answer:
        return _Answer(question, (), str(answer))
    drafts = parse_primitives(reply.text, complete=reply.finish_reason != "length")
    problems = [attempt.prompt for attempt in question.attempts]
    kept = tuple(draft for draft in drafts if not copies(draft.instruction, problems))
    return _Answer(question, kept, reply.text)
