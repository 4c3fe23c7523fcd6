"""What the built-in teacher says to a prompt. Text in, text out: it knows only what the prompt
tells it.
"""

from __future__ import annotations

from random import Random

from tailor_rl.tasks.knights.traces import Solver
from tailor_rl.tasks.knights.wording import UnreadablePuzzle, read_puzzle
from tailor_rl.teachers.builtin.diagnosis import PATTERNS, frequent_patterns
from tailor_rl.teachers.builtin.habits import HABITS, Habit, describe, recognised, style_for
from tailor_rl.teachers.parse import Draft, format_primitives
from tailor_rl.teachers.prompts import (
    DiscoverPrompt,
    parse_demonstrate_prompt,
    parse_discover_prompt,
)

_STEADY = 0.8  # up to this temperature the teacher makes no mistakes


def reply(prompt: str, *, temperature: float, rng: Random) -> str:
    """Answer a discover or a demonstrate prompt; say so politely when it is neither."""
    try:
        request = parse_discover_prompt(prompt)
    except ValueError:
        return _demonstrate(prompt, temperature=temperature, rng=rng)
    return _discover(request, temperature=temperature, rng=rng)


def _demonstrate(prompt: str, *, temperature: float, rng: Random) -> str:
    try:
        request = parse_demonstrate_prompt(prompt)
        puzzle = read_puzzle(request.problem)
    except UnreadablePuzzle as error:
        return f"I can only solve Knights & Knaves puzzles: {error}."
    except ValueError as error:
        return f"I do not understand the request: {error}"
    style = style_for(request.instruction, rng, variety=min(1.0, temperature / 4))
    slip = max(0.0, temperature - _STEADY) / 10
    text = Solver(puzzle.names, puzzle.statements, style, rng=rng, slip=slip).write()
    return _mumbled(text, chance=slip / 2, rng=rng)


def _mumbled(text: str, *, chance: float, rng: Random) -> str:
    """Words swapped with their neighbour: what high temperature does to prose."""
    words = text.split(" ")
    for i in range(len(words) - 1):
        if rng.random() < chance:
            words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _discover(request: DiscoverPrompt, *, temperature: float, rng: Random) -> str:
    """Primitives against the patterns seen, each a set of habits that none known so far has."""
    patterns = frequent_patterns(request.attempts)
    known = {_key(recognised(line)) for line in request.known}
    drafts = []
    for number in range(request.num_primitives):
        pattern = patterns[number % len(patterns)]
        habits = _new_habits(pattern, known, rng)
        known.add(_key({habit.field: habit.value for habit in habits}))
        name, instruction = describe(habits, rng)
        drafts.append(Draft(targets=PATTERNS[pattern][0], name=name, instruction=instruction))
    return format_primitives(drafts)


def _new_habits(pattern: str, known: set[str], rng: Random) -> list[Habit]:
    """Two habits that repair the pattern's fields or one and a method, and one more for variety."""
    repairs = PATTERNS[pattern][1]
    habits: list[Habit] = []
    for _ in range(50):
        wanted = [rng.choice(repairs), "method", rng.choice(HABITS).field, rng.choice(HABITS).field]
        fields = list(dict.fromkeys(wanted))
        habits = [rng.choice([h for h in HABITS if h.field == field]) for field in fields]
        if _key({habit.field: habit.value for habit in habits}) not in known:
            break
    return habits


def _key(fields: dict[str, object]) -> str:
    return repr(sorted(fields.items(), key=lambda item: item[0]))
