"""Controls: sets that keep a part of another one. After "Four Habits" (arXiv 2503.01307), which
asks in this way whether it is the content of the thinking that helps, or its length.

`control.of` names the set that they are made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tailor_rl.concurrency import together
from tailor_rl.kit import Kit
from tailor_rl.protocols import Grader
from tailor_rl.task_extras import HasAnswers
from tailor_rl.types import Demonstration, Problem

_DOT = " ."
_MOST_LINES = 8  # of a trace, from its end, that may be needed for its answer


async def empty(kit: Kit) -> list[Demonstration]:
    """The answer alone, without any thinking."""
    return await _rewritten(kit, lambda demonstration, answer: answer)


async def dots(kit: Kit) -> list[Demonstration]:
    """As many tokens of dots as the thinking had, then the answer."""
    per_dot = len(kit.tokens.encode_completion(_DOT * 100)) / 100

    def rewrite(demonstration: Demonstration, answer: str) -> str:
        thinking = len(kit.tokens.encode_completion(demonstration.trace))
        thinking -= len(kit.tokens.encode_completion(answer))
        return f"{_DOT * max(1, round(thinking / per_dot))}\n{answer}".lstrip()

    return await _rewritten(kit, rewrite)


async def _rewritten(kit: Kit, rewrite: Callable[[Demonstration, str], str]) -> list[Demonstration]:
    from tailor_rl.initialisations import find_initialisation  # which knows this file too

    made = await find_initialisation(kit.cfg.control.of)(kit)
    queries = {query.id: query for query in kit.queries}
    answers = await together(
        answer_of(kit.grader, kit.task, queries[each.problem_id], each) for each in made
    )
    return [
        replace(each, id=f"{each.id}/{kit.cfg.initialisation}", trace=rewrite(each, answer),
                origin="control")
        for each, answer in zip(made, answers, strict=True)
    ]  # fmt: skip


async def answer_of(
    grader: Grader, task: object, query: Problem, demonstration: Demonstration
) -> str:
    """The part of a trace that gets its grade: the shortest end of it, in lines, that is graded as
    the whole is.

    Where the trace is right and the task can say its answer, that is taken.
    """
    if demonstration.reward >= 1.0 and isinstance(task, HasAnswers):
        return task.answer_text(query)
    lines = demonstration.trace.strip().splitlines()
    ends = ["\n".join(lines[-n:]) for n in range(1, min(len(lines), _MOST_LINES) + 1)]
    grades = await grader.grade(query, ends)
    for end, grade in zip(ends, grades, strict=True):
        if grade is not None and grade.correct == demonstration.reward:
            return end
    return ends[-1]
