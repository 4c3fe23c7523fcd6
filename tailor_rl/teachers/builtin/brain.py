"""What the built-in teacher says to a prompt. Text in, text out: it knows only what the prompt
tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tailor_rl.teachers.builtin import heat
from tailor_rl.teachers.builtin.diagnosing import as_object, drafts_for
from tailor_rl.teachers.builtin.guarding import verdict
from tailor_rl.teachers.builtin.judging import judgement
from tailor_rl.teachers.builtin.strengths import SOLVER, Strength
from tailor_rl.teachers.builtin.subject import Subject
from tailor_rl.teachers.builtin.subjects.countdown import COUNTDOWN
from tailor_rl.teachers.builtin.subjects.general_points import GENERAL_POINTS
from tailor_rl.teachers.builtin.subjects.igsm import IGSM_PROBLEMS
from tailor_rl.teachers.builtin.subjects.knights import KNIGHTS
from tailor_rl.teachers.parse import format_primitives
from tailor_rl.teachers.prompts import (
    DiscoverPrompt,
    parse_demonstrate_prompt,
    parse_discover_prompt,
    parse_guard_prompt,
    parse_habits_prompt,
    parse_judge_prompt,
)

SUBJECTS = (KNIGHTS, COUNTDOWN, GENERAL_POINTS, IGSM_PROBLEMS)
Asked = TypeVar("Asked")


def reply(
    prompt: str,
    *,
    temperature: float,
    rng: Random,
    strength: Strength = SOLVER,
    as_json: bool = False,
) -> str:
    """Answer any of the prompts that teachers get; say so politely when it is none of them.

    `as_json`: primitives come as the JSON of PRIMITIVES_SCHEMA.
    """
    mind = _Mind(strength, temperature, rng)
    if (discover := _read(parse_discover_prompt, prompt)) is not None:
        return mind.discover(discover, as_json=as_json)
    if (judged := _read(parse_judge_prompt, prompt)) is not None:
        habit, problem, trace = judged
        return judgement(habit, problem, trace, subject=subject_of(problem))
    if (suspect := _read(parse_guard_prompt, prompt)) is not None:
        return verdict(suspect)
    if (habitual := _read(parse_habits_prompt, prompt)) is not None:
        return mind.show_habits(habitual)
    if (asked := _read(parse_demonstrate_prompt, prompt)) is not None:
        return mind.demonstrate(asked.problem, asked.instruction)
    return "I do not understand the request: it is none of those that this teacher was made for."


def subject_of(problem: str) -> Subject | None:
    return next((subject for subject in SUBJECTS if subject.knows(problem)), None)


@dataclass(frozen=True, slots=True)
class _Mind:
    """A teacher of some strength in the mood of one request."""

    strength: Strength
    temperature: float
    rng: Random

    def demonstrate(self, problem: str, instruction: str | None) -> str:
        """A solution that follows the instruction; None: in a plain style."""
        subject = subject_of(problem)
        if subject is None:
            return _excuse()
        variety = heat.variety(self.temperature)
        style = subject.style_for(instruction, self.rng, variety=variety)
        return self._solve(subject, problem, style)

    def show_habits(self, problem: str) -> str:
        """A solution in which the four habits are to be seen."""
        subject = subject_of(problem)
        if subject is None:
            return _excuse()
        style = subject.four_habits(self.rng, variety=heat.variety(self.temperature))
        return self._solve(subject, problem, style)

    def discover(self, request: DiscoverPrompt, *, as_json: bool) -> str:
        """Primitives against the patterns seen."""
        subject = subject_of(request.attempts[0].problem) if request.attempts else None
        if subject is None:
            return _excuse()
        drafts = drafts_for(
            request, subject, self.strength, temperature=self.temperature, rng=self.rng
        )
        return as_object(drafts) if as_json else format_primitives(drafts)

    def _solve(self, subject: Subject, problem: str, style: object) -> str:
        slip = self.strength.slip + heat.slip(self.temperature)
        text = subject.write(subject.read(problem), style, self.rng, slip)
        return heat.worded(text, temperature=self.temperature, rng=self.rng)


def _read(parse: Callable[[str], Asked], prompt: str) -> Asked | None:
    try:
        return parse(prompt)
    except ValueError:
        return None


def _excuse() -> str:
    return f"I can only solve {' and '.join(subject.name for subject in SUBJECTS)}."
