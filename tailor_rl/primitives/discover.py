"""Diagnosis: a teacher reads the student's graded attempts and writes reasoning primitives.

Requests go out in waves: as many at a time as the missing primitives need. When enough are there
the screen looks at them, and what it would refuse is missing again. What a request asks depends on
the answers of earlier waves and on the screen alone, taken in the order of asking, so a resumed run
asks the same questions and finds their answers in the purchase book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.primitives.library import copies, is_new, leaks
from tailor_rl.primitives.questions import Question, Questions
from tailor_rl.printable import one_line
from tailor_rl.protocols import Teacher, TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.parse import Draft, Reading, Refusal, read_primitives
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Attempt, Primitive

Progress = Callable[[int, int, str], None]
Refusing = Callable[[Sequence[Primitive]], Awaitable[int]]  # how many of these nobody may use

COPIED_PROBLEM = "copied-problem"
COPIED_ANSWER = "copied-answer"
LEAKED_ANSWER = "leaked-answer"

_MOST_KNOWN = 40  # primitives listed in a request, so that prompts stay short
_PATIENCE = 4  # unreadable answers before their share is looked at


@dataclass(frozen=True, slots=True)
class DiscoveryCounts:
    """What the search asked and what became of the answers. Tokens are the teacher's own count."""

    requests: int = 0  # that were answered
    asked_again: int = 0  # of these: the same attempts once more, after an unreadable answer
    unreadable: int = 0  # answers without any acceptable primitive
    given_up: int = 0  # questions whose second answer was unreadable too
    duplicates: int = 0  # drafts too much like a primitive that was there
    refused: Mapping[str, int] = field(default_factory=dict)  # drafts by reason, see `Refusal`
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stopped: str = ""  # what the budget said when it ended the search; else empty


@dataclass(frozen=True, slots=True)
class Discovery:
    """The primitives in the order of asking, and the drafts that were refused with their reasons
    (duplicates are only counted).
    """

    primitives: list[Primitive]
    counts: DiscoveryCounts
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    question: Question
    version: str  # of the prompt
    reply: TeacherReply
    reading: Reading
    text: str  # what is quoted where it cannot be read


async def discover(
    attempts: Sequence[Attempt],
    teacher: Teacher,
    *,
    prompts: Prompts,
    num_primitives: int,
    attempts_per_request: int,
    primitives_per_request: int,
    max_requests: int,
    temperature: float,
    max_similarity: float,
    seed: int,
    max_tokens: int,
    num_refused: Refusing,
    on_progress: Progress | None = None,
) -> Discovery:
    """Distinct primitives: `num_primitives` beside those that `num_refused` counts, fewer when
    `max_requests` yield no more.

    Two instructions more than `max_similarity` (0 to 100) alike are one. An answer without any
    acceptable primitive is unreadable: its attempts are shown once more, under another sample
    number and with what was wrong. A spent budget ends the search with what it has.
    Raises ValueError without attempts, TeacherError when nothing usable came or when more than half
    of the answers are unreadable, and BudgetSpent where the budget ended before the first.
    """
    if not attempts:
        raise ValueError("There are no attempts to discover primitives from.")
    questions = Questions(attempts, size=attempts_per_request, seed=seed)
    search = _Search(teacher.name, temperature=temperature, max_similarity=max_similarity)
    wanted = num_primitives
    while questions.num < max_requests:
        if len(search.found) == wanted:
            wanted = num_primitives + await num_refused(search.found)
        if (missing := wanted - len(search.found)) <= 0:
            break
        wave = min(ceil(missing / primitives_per_request), max_requests - questions.num)
        known = [f"{p.name}: {p.instruction}" for p in search.found[-_MOST_KNOWN:]]
        answers = await together(
            _ask(
                question, teacher, prompts, known, count=primitives_per_request,
                temperature=temperature, max_tokens=max_tokens,
            )
            for question in questions.next(wave)
        )  # fmt: skip
        for answer in answers:
            if isinstance(answer, BudgetSpent):
                search.budget = answer
            elif not search.take(answer):
                questions.again(answer.question, _complaint(answer))
        search.found = search.found[:wanted]
        if on_progress is not None:
            note = f"{questions.num} requests, {search.num_unreadable} unreadable"
            on_progress(len(search.found), wanted, note)
        if search.budget is not None:
            break
        search.check_patience()
    search.check_success()
    return search.discovery()


class _Search:
    """What was answered and found so far."""

    def __init__(self, teacher: str, *, temperature: float, max_similarity: float) -> None:
        self._teacher = teacher
        self._temperature = temperature
        self._max_similarity = max_similarity
        self._answers: list[_Answer] = []
        self._num_duplicates = 0
        self._last = ""
        self.found: list[Primitive] = []
        self.num_unreadable = 0
        self.budget: BudgetSpent | None = None

    def take(self, answer: _Answer) -> bool:
        """Add what is new in an answer; False where it was unreadable."""
        self._answers.append(answer)
        for draft in answer.reading.drafts:
            known = [primitive.instruction for primitive in self.found]
            if is_new(draft.instruction, known, max_similarity=self._max_similarity):
                self.found.append(self._primitive(draft, answer))
            else:
                self._num_duplicates += 1
        if not answer.reading.drafts:
            self.num_unreadable += 1
            self._last = answer.text
        return bool(answer.reading.drafts)

    def _primitive(self, draft: Draft, answer: _Answer) -> Primitive:
        return Primitive(
            id=f"primitive-{len(self.found) + 1:03d}",
            name=draft.name,
            instruction=draft.instruction,
            targets=draft.targets,
            source_attempt_ids=tuple(a.id for a in answer.question.attempts),
            teacher=answer.reply.model or self._teacher,
            temperature=self._temperature,
            prompt_version=answer.version,
        )

    def check_patience(self) -> None:
        num = len(self._answers)
        if self.num_unreadable >= _PATIENCE and 2 * self.num_unreadable > num:
            raise TeacherError(
                f"{self.num_unreadable} of {num} answers of the teacher {self._teacher!r} hold no"
                " reasoning primitive in the form it was asked for; try another teacher.model or a"
                f" lower primitives.temperature. {self._last_answer()}"
            )

    def check_success(self) -> None:
        if self.found:
            return
        if self.budget is not None:
            raise self.budget
        raise TeacherError(
            f"The teacher {self._teacher!r} wrote no usable reasoning primitive in"
            f" {len(self._answers)} requests; try another teacher.model. {self._last_answer()}"
        )

    def _last_answer(self) -> str:
        return f"Its last unreadable answer began: {one_line(self._last) or 'with nothing'!r}."

    def discovery(self) -> Discovery:
        answers = self._answers
        refused = tuple(refusal for answer in answers for refusal in answer.reading.refused)
        again = [answer for answer in answers if answer.question.complaint]
        reasons = Counter(refusal.reason for refusal in refused)
        counts = DiscoveryCounts(
            requests=len(answers),
            asked_again=len(again),
            unreadable=self.num_unreadable,
            given_up=sum(not answer.reading.drafts for answer in again),
            duplicates=self._num_duplicates,
            refused=dict(sorted(reasons.items())),
            prompt_tokens=sum(answer.reply.prompt_tokens for answer in answers),
            completion_tokens=sum(answer.reply.completion_tokens for answer in answers),
            stopped="" if self.budget is None else str(self.budget),
        )
        return Discovery(self.found, counts, refused)


async def _ask(
    question: Question,
    teacher: Teacher,
    prompts: Prompts,
    known: Sequence[str],
    *,
    count: int,
    temperature: float,
    max_tokens: int,
) -> _Answer | BudgetSpent:
    asked = prompts.discover(
        question.attempts, num_primitives=count, known=known, complaint=question.complaint
    )
    request = TeacherRequest(
        purpose="discover",
        system=asked.system,
        prompt=asked.prompt,
        temperature=temperature,
        max_tokens=max_tokens,
        sample=question.sample,
        schema=asked.schema,
    )
    try:
        reply = await teacher.complete(request)
    except UnusableAnswer as answer:
        return _Answer(question, asked.version, answer.reply, Reading((), ()), str(answer))
    except BudgetSpent as budget:
        return budget  # as a value: the rest of the wave may be paid for already
    reading = read_primitives(reply.text, complete=reply.finish_reason != "length")
    screened = _without_copies(reading, question.attempts)
    return _Answer(question, asked.version, reply, screened, reply.text)


def _without_copies(reading: Reading, attempts: Sequence[Attempt]) -> Reading:
    """The drafts that say how to think and do not give away what they were shown."""
    judged = [(draft, _copy(draft, attempts)) for draft in reading.drafts]
    return Reading(
        drafts=tuple(draft for draft, refusal in judged if refusal is None),
        refused=(*reading.refused, *(refusal for _, refusal in judged if refusal is not None)),
    )


def _copy(draft: Draft, attempts: Sequence[Attempt]) -> Refusal | None:
    if copies(draft.instruction, [attempt.prompt for attempt in attempts]):
        return Refusal(draft, COPIED_PROBLEM, "the instruction repeats a passage of a problem")
    if copies(draft.instruction, [attempt.text for attempt in attempts]):
        return Refusal(draft, COPIED_ANSWER, "the instruction repeats a passage of an answer")
    if leaks(draft.instruction, [a.text for a in attempts if a.reward >= 1.0]):
        return Refusal(draft, LEAKED_ANSWER, "the instruction holds the final answer of a problem")
    return None


def _complaint(answer: _Answer) -> str:
    """What was wrong with an unreadable answer, in our own words: it goes into the next prompt."""
    details = list(dict.fromkeys(refusal.detail for refusal in answer.reading.refused))
    if details:
        return f"every primitive in it was refused, because {', '.join(details[:3])}."
    if not answer.reply.text.strip():
        return "it held no text."
    if answer.reply.finish_reason == "length":
        return "it was cut off at the length limit before one primitive was complete."
    return "it held no primitive in the form that was asked for."
