"""Demonstrations: a teacher solves problems as it is told to, and the grades decide which stay.

The primitive is in the teacher's prompt and not in the student's: the student learns to think that
way without being told (arXiv 2511.12429).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.primitives.assign import Guide, Guides
from tailor_rl.primitives.discover import Progress
from tailor_rl.printable import one_line
from tailor_rl.protocols import Grader, Teacher, TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.screen import has_control_tokens
from tailor_rl.types import Demonstration, Problem

Keep = Literal["correct", "all", "wrong"]


@dataclass(frozen=True, slots=True)
class DemonstrationCounts:
    """What the demonstrations cost and what was dropped. Tokens are the teacher's own count."""

    problems: int = 0
    kept: int = 0
    given_up: int = 0  # problems without a trace to keep after max_tries
    requests: int = 0
    refused: int = (
        0  # traces dropped for their grade: wrong ones, or right ones where wrong is kept
    )
    unusable: int = 0  # answers dropped: no text, chat-template tokens in it, or cut off
    ungraded: int = 0  # traces dropped because the grader failed on them
    unbought: int = 0  # problems that the budget left without an answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stopped: str = ""  # the sentence of the budget that ended it early

    def spent(self) -> dict[str, float]:
        """For the ledger; requests and tokens are counted there as they are paid."""
        return {
            "problems": self.problems,
            "dropped_traces": self.refused + self.unusable + self.ungraded,
        }


async def demonstrate(
    problems: Sequence[Problem],
    guides: Guides,
    teacher: Teacher,
    grader: Grader,
    *,
    keep: Keep,
    temperature: float,
    max_tries: int,
    max_tokens: int,
    on_progress: Progress | None = None,
) -> tuple[list[Demonstration], DemonstrationCounts]:
    """One trace a problem, in the order of `problems`; problems without one are counted.

    `guides(problem, sample)` is what the teacher is told at a try. `keep` says which grade a trace
    must have: right, wrong, or either; until there is one, `max_tries` are made. When the budget is
    spent, what there is by then is returned.
    Raises TeacherError when not one trace is kept, and whatever `grader` raises.
    """
    desk = _Desk(teacher, grader, keep=keep, temperature=temperature, max_tokens=max_tokens)
    num_done = 0

    async def one(problem: Problem) -> Demonstration | None:
        nonlocal num_done
        demonstration = await desk.demonstrate(problem, guides, max_tries=max_tries)
        num_done += 1
        if on_progress is not None:
            on_progress(num_done, len(problems), f"{desk.counts.kept} kept")
        return demonstration

    made = await together(one(problem) for problem in problems)
    kept = [demonstration for demonstration in made if demonstration is not None]
    if problems and not kept:
        raise desk.failure()
    return kept, desk.counts


class _Desk:
    """Tries one problem at a time and keeps the counts of all."""

    def __init__(
        self, teacher: Teacher, grader: Grader, *, keep: Keep, temperature: float, max_tokens: int
    ) -> None:
        self._teacher = teacher
        self._grader = grader
        self._keep = keep
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._last = ""
        self._budget: BudgetSpent | None = None
        self.counts = DemonstrationCounts()

    async def demonstrate(
        self, problem: Problem, guides: Guides, *, max_tries: int
    ) -> Demonstration | None:
        self._count(problems=1)
        for sample in range(max_tries):
            guide = guides(problem, sample)
            try:
                reply = await self._ask(guide, sample)
            except BudgetSpent as budget:
                self._budget = budget
                self.counts = replace(self.counts, stopped=str(budget))
                self._count(unbought=1)
                return None
            trace = reply.text.strip()
            if not trace or has_control_tokens(trace) or reply.finish_reason == "length":
                self._count(unusable=1)
                continue
            (grade,) = await self._grader.grade(problem, [trace])
            if grade is None:
                self._count(ungraded=1)
            elif self._keep == "all" or (grade.correct >= 1.0) == (self._keep == "correct"):
                self._count(kept=1)
                return self._demonstration(problem, guide, reply, grade.correct)
            else:
                self._count(refused=1)
        self._count(given_up=1)
        return None

    def failure(self) -> TeacherError:
        if self._budget is not None:
            return self._budget
        wanted, fix = {
            "correct": ("solves its problem", "try another teacher.model"),
            "wrong": (
                "is wrong, as demonstrations.keep asks",
                "raise demonstrations.temperature, demonstrations.max_tries, or name a weaker"
                " teacher.model",
            ),
            "all": ("can be used", "try another teacher.model"),
        }[self._keep]
        return TeacherError(
            f"Not one of {self.counts.requests} traces by the teacher {self._teacher.name!r}"
            f" {wanted}: {fix}; the last one ended:"
            f" {one_line(self._last[-160:]) or 'with nothing'!r}."
        )

    async def _ask(self, guide: Guide, sample: int) -> TeacherReply:
        request = TeacherRequest(
            purpose="demonstrate",
            system=guide.asked.system,
            prompt=guide.asked.prompt,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            sample=sample,
        )
        try:
            reply = await self._teacher.complete(request)
        except UnusableAnswer as answer:
            reply = answer.reply
        self._count(
            requests=1,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )
        self._last = reply.text
        return reply

    def _demonstration(
        self, problem: Problem, guide: Guide, reply: TeacherReply, reward: float
    ) -> Demonstration:
        return Demonstration(
            id=f"{problem.id}/{guide.label}",
            problem_id=problem.id,
            prompt=problem.prompt,
            trace=reply.text.strip(),
            reward=reward,
            origin="teacher",
            primitive_id=guide.primitive_id,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            teacher=reply.model,
            temperature=self._temperature,
            prompt_version=guide.asked.version,
        )

    def _count(self, **more: int) -> None:
        changed = {name: getattr(self.counts, name) + value for name, value in more.items()}
        self.counts = replace(self.counts, **changed)
