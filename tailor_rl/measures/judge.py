"""The four habits counted by a judge: another model, asked through the teacher client.

One question a habit and trace, at temperature 0. An answer without a count is asked for once more;
after that the trace counts as unjudged for that habit, and never as 0.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.measures.habits import HABITS, mean_habits
from tailor_rl.measures.ranks import rank_correlation
from tailor_rl.measures.words import words
from tailor_rl.printable import one_line
from tailor_rl.protocols import Teacher, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer

MAX_TOKENS = 512  # of an answer: a sentence or two and the count, with room for a preamble
_PROBES = 2  # traces that are judged before the others: a judge that never counts costs no more
_TRACES_AT_ONCE = 64
_COUNT = re.compile(r"<count>\s{0,9}(\d{1,6})\s{0,9}</count>", re.IGNORECASE)

Counts = Mapping[str, int | None]


class Question(Protocol):
    """What `JudgePrompts.judge` returns: teachers.prompts.Asked."""

    @property
    def system(self) -> str: ...

    @property
    def prompt(self) -> str: ...


class JudgePrompts(Protocol):
    def judge(self, habit: str, /, *, problem: str, trace: str) -> Question: ...


@dataclass(frozen=True, slots=True)
class JudgedText:
    problem: str
    trace: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`counts[i][habit]` of trace i; None where no count came, which `unjudged` adds up."""

    judge: str  # the model that answered
    counts: tuple[Counts, ...]
    unjudged: int
    asked_again: int
    ended_by_budget: bool = False

    @property
    def means(self) -> dict[str, float | None]:
        return mean_habits(self.counts)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of patterns with a judge, over the traces that it judged for one habit."""

    num_traces: int
    same_count: float  # share of traces
    same_presence: float  # share of traces where both see the habit, or neither does
    rank_correlation: float | None  # Spearman's; None where one side has a single value


def read_count(answer: str, *, at_most: int) -> int | None:
    """N of the last <count>N</count>; None where there is none, or it cannot be."""
    found = _COUNT.findall(answer)
    count = int(found[-1]) if found else None
    return count if count is not None and count <= at_most else None


async def judge_habits(
    texts: Sequence[JudgedText],
    teacher: Teacher,
    *,
    prompts: JudgePrompts,
    endpoint: str,
    max_tokens: int = MAX_TOKENS,
    on_progress: Callable[[int, int], None] | None = None,
) -> Judgement:
    """Counts of every habit in every text by the teacher `endpoint` (its name in the recipe).

    Where the budget ends, the rest is unjudged. Raises TeacherError for a judge that gave no count
    for any of the first texts: it names the model and its last answer.
    """
    asking = _Asking(teacher, prompts, endpoint=endpoint, max_tokens=max_tokens)
    done = 0

    async def one(text: JudgedText) -> Counts:
        nonlocal done
        counts = await asking.counts(text)
        done += 1
        if on_progress is not None:
            on_progress(done, len(texts))
        return counts

    found = await together(one(text) for text in texts[:_PROBES])
    if texts and not asking.ended and not _any_count(found):
        raise TeacherError(
            f"the judge {asking.model!r} gave no <count>N</count> for any habit of "
            f"{len(found)} trace(s), each asked twice; its last answer was "
            f"{one_line(asking.last, 160)!r}: name another teacher as measures.judge, or leave it "
            "empty to count by patterns"
        )
    slots = asyncio.Semaphore(_TRACES_AT_ONCE)

    async def in_turn(text: JudgedText) -> Counts:
        async with slots:
            return await one(text)

    found += await together(in_turn(text) for text in texts[_PROBES:])
    unjudged = sum(count is None for counts in found for count in counts.values())
    return Judgement(asking.model, tuple(found), unjudged, asking.asked_again, asking.ended)


def agreement(
    patterns: Sequence[Mapping[str, int]], judged: Sequence[Counts]
) -> dict[str, Agreement]:
    """By habit, of the counts of the same traces; a habit that was never judged is left out."""
    found = {}
    for habit in HABITS:
        pairs = [
            (own[habit], count)
            for own, counts in zip(patterns, judged, strict=True)
            if (count := counts[habit]) is not None
        ]
        if pairs:
            own, other = ([pair[side] for pair in pairs] for side in (0, 1))
            found[habit] = Agreement(
                num_traces=len(pairs),
                same_count=sum(a == b for a, b in pairs) / len(pairs),
                same_presence=sum((a > 0) == (b > 0) for a, b in pairs) / len(pairs),
                rank_correlation=rank_correlation(own, other),
            )
    return found


class _Asking:
    """Asks one judge, and remembers what a failure is explained with."""

    def __init__(
        self, teacher: Teacher, prompts: JudgePrompts, *, endpoint: str, max_tokens: int
    ) -> None:
        self._teacher, self._prompts = teacher, prompts
        self._endpoint, self._max_tokens = endpoint, max_tokens
        self.model = teacher.name
        self.last = ""
        self.asked_again = 0
        self.ended = False

    async def counts(self, text: JudgedText) -> Counts:
        found = await together(self._count(habit, text) for habit in HABITS)
        return dict(zip(HABITS, found, strict=True))

    async def _count(self, habit: str, text: JudgedText) -> int | None:
        asked = self._prompts.judge(habit, problem=text.problem, trace=text.trace)
        at_most = len(words(text.trace))  # no more places than words
        for sample in (0, 1):
            if self.ended:
                return None
            self.asked_again += sample
            request = TeacherRequest(
                purpose="judge",
                system=asked.system,
                prompt=asked.prompt,
                temperature=0.0,
                max_tokens=self._max_tokens,
                sample=sample,
                teacher=self._endpoint,
            )
            count = read_count(await self._answer(request), at_most=at_most)
            if count is not None:
                return count
        return None

    async def _answer(self, request: TeacherRequest) -> str:
        """Its text; empty where none came, or the budget is spent."""
        try:
            reply = await self._teacher.complete(request)
        except UnusableAnswer as unusable:
            reply = unusable.reply
        except BudgetSpent:
            self.ended = True
            return ""
        self.model, self.last = reply.model, reply.text
        return reply.text


def _any_count(found: Sequence[Counts]) -> bool:
    return any(count is not None for counts in found for count in counts.values())
