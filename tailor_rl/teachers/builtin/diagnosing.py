"""Primitives of the built-in teacher: each a set of habits against a pattern that was seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tailor_rl.teachers.builtin import heat
from tailor_rl.teachers.builtin.strengths import Strength
from tailor_rl.teachers.builtin.subject import OTHER, Habit, Subject, describe
from tailor_rl.teachers.parse import Draft
from tailor_rl.teachers.prompts import DiscoverPrompt


def drafts_for(
    request: DiscoverPrompt,
    subject: Subject,
    strength: Strength,
    *,
    temperature: float,
    rng: Random,
) -> list[Draft]:
    """As many primitives as were asked for, each a set of habits that none known so far has."""
    found = filter(None, map(subject.pattern_of, request.attempts))
    counts = Counter(strength.sees(subject, pattern) for pattern in found)
    patterns = [pattern for pattern, _ in counts.most_common()] or [OTHER]
    known = {_key(subject.recognised(line)) for line in request.known}
    drafts = []
    for number in range(request.num_primitives):
        pattern = subject.patterns[patterns[number % len(patterns)]]
        habits = _new_habits(subject, strength.habits(subject), pattern.repairs, known, rng)
        known.add(_key({habit.field: habit.value for habit in habits}))
        name, instruction = describe(habits, rng)
        drafts.append(Draft(targets=pattern.sentence, name=name, instruction=instruction))
    return [
        replace(
            draft, instruction=heat.mumbled(draft.instruction, temperature=temperature, rng=rng)
        )
        for draft in drafts
    ]


def as_object(drafts: Sequence[Draft]) -> str:
    """The drafts in the form of PRIMITIVES_SCHEMA."""
    rows = [{"pattern": d.targets, "name": d.name, "instruction": d.instruction} for d in drafts]
    return json.dumps({"primitives": rows}, indent=1)


def _new_habits(
    subject: Subject,
    vocabulary: Sequence[Habit],
    repairs: Sequence[str],
    known: set[str],
    rng: Random,
) -> list[Habit]:
    """One habit that repairs the pattern, one of method, and two more for variety."""
    fields = {habit.field for habit in vocabulary}
    repairs = [field for field in repairs if field in fields] or [subject.method]
    habits: list[Habit] = []
    for _ in range(50):
        wanted = [rng.choice(repairs), subject.method]
        wanted += [rng.choice(vocabulary).field for _ in range(2)]
        chosen = list(dict.fromkeys(wanted))
        habits = [rng.choice([h for h in vocabulary if h.field == field]) for field in chosen]
        if _key({habit.field: habit.value for habit in habits}) not in known:
            break
    return habits


def _key(fields: dict[str, object]) -> str:
    return repr(sorted(fields.items(), key=lambda item: item[0]))
