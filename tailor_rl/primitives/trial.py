"""The trial: the teacher solves a few problems with each candidate, and without.

With one teacher, whoever shares the demonstrations: two teachers write differently with the same
instruction, and what is measured is what the instruction changes. At a temperature above 0 two
traces of one prompt differ too, so `changed` compares candidates with each other; it is no effect
size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from tailor_rl.concurrency import together
from tailor_rl.config.schema import FIRST_TEACHER
from tailor_rl.protocols import Grader, Teacher, TeacherRequest
from tailor_rl.seeds import derive_seed
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.teachers.screen import has_control_tokens
from tailor_rl.types import Primitive, Problem

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What following a primitive did to the same problems. `num` counts problems with a grade both
    with and without it.
    """

    num: int
    right: int  # with the primitive
    plain_right: int  # without
    changed: float  # 0 to 1: mean of 1 - likeness of the two traces, by words


@dataclass(frozen=True, slots=True)
class _Solution:
    trace: str
    correct: float | None  # None: the grader failed


async def trials(
    primitives: Sequence[Primitive],
    problems: Sequence[Problem],
    teacher: Teacher,
    grader: Grader,
    *,
    prompts: Prompts,
    num_problems: int,
    temperature: float,
    seed: int,
    max_tokens: int,
    on_progress: Progress | None = None,
) -> list[Trial | None]:
    """A trial of each primitive on `num_problems` of `problems`, which `seed` chooses.

    None where no problem has both grades, because the budget was spent or the grader failed.
    The traces without a primitive are bought once. All requests are out at the same time, and do
    not depend on answers, so a resumed run asks the same.
    """
    chosen = sorted(problems, key=lambda problem: derive_seed(seed, "trial", problem.id))
    chosen = chosen[:num_problems]
    if not primitives or not chosen:
        return [None] * len(primitives)
    total = len(chosen) * (len(primitives) + 1)
    num_done = 0

    async def solve(instruction: str | None, problem: Problem) -> _Solution | None:
        nonlocal num_done
        asked = prompts.demonstrate(problem.prompt, instruction=instruction)
        request = TeacherRequest(
            purpose="trial",
            system=asked.system,
            prompt=asked.prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            teacher=FIRST_TEACHER,
        )
        solution = await _solution(request, problem, teacher, grader)
        num_done += 1
        if on_progress is not None:
            on_progress(num_done, total, "trial")
        return solution

    instructions = [None, *(primitive.instruction for primitive in primitives)]
    found = await together(solve(i, problem) for i in instructions for problem in chosen)
    rows = [found[start : start + len(chosen)] for start in range(0, total, len(chosen))]
    return [_trial(row, rows[0]) for row in rows[1:]]


async def _solution(
    request: TeacherRequest, problem: Problem, teacher: Teacher, grader: Grader
) -> _Solution | None:
    try:
        trace = (await teacher.complete(request)).text.strip()
    except UnusableAnswer:
        trace = ""
    except BudgetSpent:
        return None
    if not trace or has_control_tokens(trace):
        return _Solution("", 0.0)  # no demonstration could be made of it
    (grade,) = await grader.grade(problem, [trace])
    return _Solution(trace, None if grade is None else grade.correct)


def _trial(followed: Sequence[_Solution | None], plain: Sequence[_Solution | None]) -> Trial | None:
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(followed, plain, strict=True)
        if ours and theirs and ours.correct is not None and theirs.correct is not None
    ]
    if not pairs:
        return None
    changes = [change(a.trace, b.trace) for a, b in pairs if a.trace and b.trace]
    return Trial(
        num=len(pairs),
        right=sum((ours.correct or 0.0) >= 1.0 for ours, _ in pairs),
        plain_right=sum((theirs.correct or 0.0) >= 1.0 for _, theirs in pairs),
        changed=sum(changes) / len(changes) if changes else 1.0,
    )


def change(trace: str, other: str) -> float:
    """Share of two traces' words that differ: 1 - Indel similarity over words (2 LCS / (n + m)).

    0.0 for the same words in the same order, 1.0 for no word in common.
    """
    number: dict[str, int] = {}
    first, second = (
        [number.setdefault(word, len(number)) for word in text.split()] for text in (trace, other)
    )
    return 1.0 - float(Indel.normalized_similarity(first, second))
