"""Demonstrations: a teacher solves problems, each by following one primitive; right ones are kept.

The primitive is in the teacher's prompt and not in the student's: the student learns to think that
way without being told (arXiv 2511.12429). Which trace is kept is decided by the task's grader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.primitives.discover import Progress
from tailor_rl.printable import one_line
from tailor_rl.protocols import Grader, Teacher, TeacherReply, TeacherRequest
from tailor_rl.seeds import derive_seed
from tailor_rl.teachers.faults import UnusableAnswer
from tailor_rl.teachers.prompts import DEMONSTRATE_SYSTEM, demonstrate_prompt
from tailor_rl.teachers.screen import has_control_tokens
from tailor_rl.types import Demonstration, Primitive, Problem


@dataclass(frozen=True, slots=True)
class DemonstrationCounts:
    """What the demonstrations cost and what was dropped. Tokens are the teacher's own count."""

    problems: int = 0
    kept: int = 0
    given_up: int = 0  # problems without a right trace after max_tries
    requests: int = 0
    wrong: int = 0  # traces dropped by the grader
    unusable: int = 0  # answers dropped: no text, or chat-template tokens in it
    ungraded: int = 0  # traces dropped because the grader failed on them
    prompt_tokens: int = 0
    completion_tokens: int = 0


async def demonstrate(
    problems: Sequence[Problem],
    primitives: Sequence[Primitive],
    teacher: Teacher,
    grader: Grader,
    *,
    temperature: float,
    max_tries: int,
    seed: int,
    max_tokens: int,
    on_progress: Progress | None = None,
    on_demonstration: Callable[[Demonstration], None] | None = None,
) -> tuple[list[Demonstration], DemonstrationCounts]:
    """One right trace a problem, in the order of `problems`; problems without one are counted.

    First draws are balanced: no primitive is given to two problems more than another. A further
    try takes the next primitive of an order that `seed` and the problem's id decide. Without
    primitives the teacher is asked for plain step-by-step thinking.
    Raises TeacherError when not one trace is right, and whatever `grader` raises.
    """
    first = _first_draws(problems, len(primitives), seed=seed)
    desk = _Desk(teacher, grader, temperature=temperature, max_tokens=max_tokens)
    num_done = 0

    async def one(problem: Problem) -> Demonstration | None:
        nonlocal num_done
        order = _order(problem.id, first.get(problem.id, 0), len(primitives), seed=seed)
        tries: list[Primitive | None] = [primitives[i] for i in order]
        demonstration = await desk.demonstrate(problem, tries or [None], max_tries=max_tries)
        num_done += 1
        if demonstration is not None and on_demonstration is not None:
            on_demonstration(demonstration)
        if on_progress is not None:
            on_progress(num_done, len(problems), f"{desk.counts.kept} kept")
        return demonstration

    made = await together(one(problem) for problem in problems)
    kept = [demonstration for demonstration in made if demonstration is not None]
    if problems and not kept:
        raise TeacherError(
            f"Not one of {desk.counts.requests} traces by the teacher {teacher.name!r} solves its"
            f" problem; the last one ended: {one_line(desk.last[-160:]) or 'with nothing'!r}."
        )
    return kept, desk.counts


class _Desk:
    """Tries one problem at a time and keeps the counts of all."""

    def __init__(
        self, teacher: Teacher, grader: Grader, *, temperature: float, max_tokens: int
    ) -> None:
        self._teacher = teacher
        self._grader = grader
        self._temperature = temperature
        self._max_tokens = max_tokens
        self.counts = DemonstrationCounts()
        self.last = ""

    async def demonstrate(
        self, problem: Problem, tries: Sequence[Primitive | None], *, max_tries: int
    ) -> Demonstration | None:
        self._count(problems=1)
        for sample in range(max_tries):
            primitive = tries[sample % len(tries)]
            reply = await self._ask(problem, primitive, sample)
            trace = reply.text.strip()
            if not trace or has_control_tokens(trace):
                self._count(unusable=1)
                continue
            (grade,) = await self._grader.grade(problem, [trace])
            if grade is not None and grade.correct >= 1.0:
                self._count(kept=1)
                return _demonstration(problem, primitive, reply, grade.correct)
            self._count(**{"ungraded" if grade is None else "wrong": 1})
        self._count(given_up=1)
        return None

    async def _ask(
        self, problem: Problem, primitive: Primitive | None, sample: int
    ) -> TeacherReply:
        instruction = None if primitive is None else primitive.instruction
        request = TeacherRequest(
            purpose="demonstrate",
            system=DEMONSTRATE_SYSTEM,
            prompt=demonstrate_prompt(problem.prompt, instruction=instruction),
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
        self.last = reply.text
        return reply

    def _count(self, **more: int) -> None:
        changed = {name: getattr(self.counts, name) + value for name, value in more.items()}
        self.counts = replace(self.counts, **changed)


def _demonstration(
    problem: Problem, primitive: Primitive | None, reply: TeacherReply, reward: float
) -> Demonstration:
    return Demonstration(
        id=f"{problem.id}/{'plain' if primitive is None else primitive.id}",
        problem_id=problem.id,
        prompt=problem.prompt,
        trace=reply.text.strip(),
        reward=reward,
        origin="teacher",
        primitive_id=None if primitive is None else primitive.id,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
    )


def _first_draws(problems: Sequence[Problem], num_primitives: int, *, seed: int) -> dict[str, int]:
    """A primitive's index for each problem id: the ids in a seeded order, dealt out like cards."""
    if num_primitives == 0:
        return {}
    ids = sorted((p.id for p in problems), key=lambda name: derive_seed(seed, name))
    deal = np.random.default_rng(seed).permutation(num_primitives)
    return {problem_id: int(deal[i % num_primitives]) for i, problem_id in enumerate(ids)}


def _order(problem_id: str, first: int, num_primitives: int, *, seed: int) -> list[int]:
    """Every primitive once: the balanced draw, then the others in this problem's own order."""
    rng = np.random.default_rng(derive_seed(seed, problem_id))
    others = [int(i) for i in rng.permutation(num_primitives) if i != first]
    return [first, *others] if num_primitives else []
