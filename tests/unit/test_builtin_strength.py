"""The built-in teacher's models differ in how right, how discerning and how varied they are."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tailor_rl.primitives.library import is_new
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.teachers.builtin.brain import SUBJECTS, reply, subject_of
from tailor_rl.teachers.builtin.strengths import APPRENTICE, NOVICE, SOLVER, STRENGTHS, Strength
from tailor_rl.teachers.builtin.subject import GENERAL, OTHER, Subject
from tailor_rl.teachers.prompts import demonstrate_prompt, discover_prompt, parse_primitives
from tailor_rl.types import Attempt

TASKS: dict[str, Any] = {
    "knights": KnightsKnaves(),
    "countdown": Countdown(),
    "igsm": IGSM(preset="small"),
}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
each_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)


def share_right(task: Any, strength: Strength) -> float:
    right = 0.0
    for index in range(150):
        problem = task.problem("train", index)
        prompt = demonstrate_prompt(problem.prompt, instruction=None)
        text = reply(prompt, temperature=0.4, rng=Random(index), strength=strength)
        right += task.grade(problem, text)
    return right / 150


@each_task
def test_a_stronger_model_is_more_often_right(task: Any) -> None:
    solver, apprentice, novice = (share_right(task, s) for s in (SOLVER, APPRENTICE, NOVICE))
    assert solver == 1.0
    assert 0.75 < apprentice < 1.0
    assert 0.4 < novice < apprentice - 0.05


@each_subject
def test_a_weaker_model_tells_fewer_patterns_apart_and_knows_fewer_habits(
    subject: Subject,
) -> None:
    seen = [{s.sees(subject, name) for name in subject.patterns} for s in (SOLVER, APPRENTICE)]
    blind = {NOVICE.sees(subject, name) for name in subject.patterns}
    assert seen[0] == set(subject.patterns)
    assert blind == set(GENERAL) < seen[1] < seen[0]
    assert SOLVER.habits(subject) == subject.habits
    fields = [{h.field for h in s.habits(subject)} for s in (NOVICE, APPRENTICE, SOLVER)]
    assert [len(known) for known in fields[:2]] == [3, 5]
    assert fields[0] < fields[1] < fields[2]
    assert all(subject.method in known for known in fields)


def test_a_model_that_sees_no_more_calls_it_other() -> None:
    knights = SUBJECTS[0]
    assert NOVICE.sees(knights, "misjudged") == OTHER
    assert NOVICE.sees(knights, "unfinished") == "unfinished"
    assert SOLVER.sees(knights, "misjudged") == "misjudged"


@each_task
def test_every_model_writes_25_primitives_that_differ_in_words_and_the_novice_fewer_ways(
    task: Any,
) -> None:
    ways = {}
    for strength in STRENGTHS.values():
        told = twenty_five(task, strength)
        assert len(told) == 25
        subject = subject_of(task.problem("train", 0).prompt)
        assert subject is not None
        ways[strength] = len({repr(sorted(subject.recognised(one).items())) for one in told})
    assert ways[SOLVER] == 25
    assert ways[NOVICE] <= ways[APPRENTICE] <= 25


def twenty_five(task: Any, strength: Strength) -> list[str]:
    kept: list[str] = []
    lines: list[str] = []
    for wave in range(64):
        shown = []
        for i in range(4):
            problem = task.problem("train", 4 * wave + i)
            text = f"I guess <answer>{'nothing' if i else 'all'}</answer>"
            shown.append(Attempt(str(i), problem.id, problem.prompt, text, 0.0, "stop", 3))
        prompt = discover_prompt(shown, num_primitives=4, known=lines)
        said = reply(prompt, temperature=0.8, rng=Random(wave), strength=strength)
        for draft in parse_primitives(said):
            if is_new(draft.instruction, kept, max_similarity=90):
                kept.append(draft.instruction)
                lines.append(f"{draft.name}: {draft.instruction}")
        if len(kept) >= 25:
            return kept[:25]
    return kept
