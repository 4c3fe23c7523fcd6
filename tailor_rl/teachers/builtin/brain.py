"""What the built-in teacher says to a prompt. Text in, text out: it knows only what the prompt
tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tailor_rl.teachers.builtin.subject import Habit, Subject, describe
from tailor_rl.teachers.builtin.subjects.countdown import COUNTDOWN
from tailor_rl.teachers.builtin.subjects.general_points import GENERAL_POINTS
from tailor_rl.teachers.builtin.subjects.igsm import IGSM_PROBLEMS
from tailor_rl.teachers.builtin.subjects.knights import KNIGHTS
from tailor_rl.teachers.parse import Draft, format_primitives
from tailor_rl.teachers.prompts import (
    DiscoverPrompt,
    parse_demonstrate_prompt,
    parse_discover_prompt,
)

SUBJECTS = (KNIGHTS, COUNTDOWN, GENERAL_POINTS, IGSM_PROBLEMS)
_STEADY = 0.8  # up to this temperature the teacher makes no mistakes


def reply(prompt: str, *, temperature: float, rng: Random) -> str:
    """Answer a discover or a demonstrate prompt; say so politely when it is neither."""
    try:
        request = parse_discover_prompt(prompt)
    except ValueError:
        return _demonstrate(prompt, temperature=temperature, rng=rng)
    return _discover(request, temperature=temperature, rng=rng)


def subject_of(problem: str) -> Subject | None:
    return next((subject for subject in SUBJECTS if subject.knows(problem)), None)


def _demonstrate(prompt: str, *, temperature: float, rng: Random) -> str:
    try:
        request = parse_demonstrate_prompt(prompt)
    except ValueError as error:
        return f"I do not understand the request: {error}"
    subject = subject_of(request.problem)
    if subject is None:
        return _excuse()
    style = subject.style_for(request.instruction, rng, variety=min(1.0, temperature / 4))
    slip = max(0.0, temperature - _STEADY) / 10
    text = subject.write(subject.read(request.problem), style, rng, slip)
    return _mumbled(text, chance=slip / 2, rng=rng)


def _excuse() -> str:
    return f"I can only solve {' and '.join(subject.name for subject in SUBJECTS)}."


def _mumbled(text: str, *, chance: float, rng: Random) -> str:
    """Words swapped with their neighbour: what high temperature does to prose."""
    words = text.split(" ")
    for i in range(len(words) - 1):
        if rng.random() < chance:
            words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _discover(request: DiscoverPrompt, *, temperature: float, rng: Random) -> str:
    """Primitives against the patterns seen, each a set of habits that none known so far has."""
    subject = subject_of(request.attempts[0].problem) if request.attempts else None
    if subject is None:
        return _excuse()
    patterns = subject.frequent_patterns(request.attempts)
    known = {_key(subject.recognised(line)) for line in request.known}
    drafts = []
    for number in range(request.num_primitives):
        pattern = subject.patterns[patterns[number % len(patterns)]]
        habits = _new_habits(subject, pattern.repairs, known, rng)
        known.add(_key({habit.field: habit.value for habit in habits}))
        name, instruction = describe(habits, rng)
        drafts.append(Draft(targets=pattern.sentence, name=name, instruction=instruction))
    return format_primitives(drafts)


def _new_habits(
    subject: Subject, repairs: Sequence[str], known: set[str], rng: Random
) -> list[Habit]:
    """One habit that repairs the pattern, one of method, and two more for variety."""
    habits: list[Habit] = []
    for _ in range(50):
        wanted = [rng.choice(repairs), subject.method]
        wanted += [rng.choice(subject.habits).field for _ in range(2)]
        fields = list(dict.fromkeys(wanted))
        habits = [rng.choice([h for h in subject.habits if h.field == field]) for field in fields]
        if _key({habit.field: habit.value for habit in habits}) not in known:
            break
    return habits


def _key(fields: dict[str, object]) -> str:
    return repr(sorted(fields.items(), key=lambda item: item[0]))
