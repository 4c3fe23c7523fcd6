"""The built-in teacher, whatever the subject: it reads what it is sent, what it writes follows the
instruction, and what it says about a student's answers is of the subject.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import httpx
import pytest

from tailor_rl.primitives.library import copies, is_new
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.teachers.builtin import BuiltinTeacher
from tailor_rl.teachers.builtin.brain import SUBJECTS, reply, subject_of
from tailor_rl.teachers.builtin.heat import variety
from tailor_rl.teachers.builtin.subject import OTHER, Habit, Subject
from tailor_rl.teachers.builtin.subjects.countdown import COUNTDOWN
from tailor_rl.teachers.builtin.subjects.general_points import GENERAL_POINTS
from tailor_rl.teachers.builtin.subjects.igsm import IGSM_PROBLEMS
from tailor_rl.teachers.builtin.subjects.knights import KNIGHTS
from tailor_rl.teachers.prompts import (
    ShownAttempt,
    demonstrate_prompt,
    discover_prompt,
    parse_primitives,
)
from tailor_rl.types import Attempt, Problem


@dataclass(frozen=True)
class Case:
    """A subject and a task that has its problems."""

    name: str
    subject: Subject
    task: Any  # a Task with answers

    def trace(self, instruction: str | None, index: int, *, temperature: float) -> str:
        prompt = demonstrate_prompt(self.problem(index).prompt, instruction=instruction)
        return reply(prompt, temperature=temperature, rng=Random(index))

    def solved(self, instruction: str | None, index: int) -> str:
        """As `trace`, with the same dice whatever the instruction says."""
        style = self.subject.style_for(instruction, Random(0), variety=0.0)
        read = self.subject.read(self.problem(index).prompt)
        return self.subject.write(read, style, Random(index), 0.0)

    def problem(self, index: int) -> Problem:
        problem: Problem = self.task.problem("train", index)
        return problem


CASES = (
    Case("knights", KNIGHTS, KnightsKnaves()),
    Case("countdown", COUNTDOWN, Countdown()),
    Case("points", GENERAL_POINTS, GeneralPoints()),
    Case("igsm", IGSM_PROBLEMS, IGSM(preset="small")),
)
STRANGERS = (  # prompts that say all the rules
    Case("knights-full", KNIGHTS, KnightsKnaves(prompt="full")),
    Case("countdown-full", COUNTDOWN, Countdown(prompt="full", operators=["+", "-"])),
    Case("points-full", GENERAL_POINTS, GeneralPoints(prompt="full", colour="red")),
    Case("igsm-full", IGSM_PROBLEMS, IGSM()),
)
HABITS = [(case, habit) for case in CASES for habit in (*case.subject.habits, *case.subject.asides)]

RECORDED = {
    "knights": "c9e6c5a39f644f3b",
    "countdown": "f27d0f1f0e3939e1",
    "points": "e6a5d9e091ad2a76",
    "igsm": "54d794bc42776971",
}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
any_case = pytest.mark.parametrize("case", (*CASES, *STRANGERS), ids=lambda case: case.name)
each_habit = pytest.mark.parametrize(
    ("case", "habit"), HABITS, ids=[f"{c.name}-{h.field}-{h.value}" for c, h in HABITS]
)


def test_every_subject_is_tested() -> None:
    assert {case.subject.name for case in CASES} == {subject.name for subject in SUBJECTS}


@any_case
def test_a_problem_is_read_by_its_own_subject_and_by_no_other(case: Case) -> None:
    for split in case.task.splits:
        prompt = case.task.problem(split, 3).prompt
        assert [subject for subject in SUBJECTS if subject.knows(prompt)] == [case.subject]


@pytest.mark.parametrize(
    "text", ["", "What is 3 + 7?", "Ann says hello", "Numbers. Target 3.", "?"]
)
def test_what_is_no_problem_of_ours_is_declined_politely(text: str) -> None:
    assert subject_of(text) is None
    said = reply(demonstrate_prompt(text, instruction=None), temperature=0.8, rng=Random(0))
    assert said.startswith("I can only solve ")


@each_case
def test_every_field_of_a_style_has_a_habit_that_is_advised_or_understood(case: Case) -> None:
    advised = {habit.field for habit in case.subject.habits}
    understood = {habit.field for habit in case.subject.asides}
    assert advised | understood == {field.name for field in fields(case.subject.style)}
    assert not advised & understood
    assert case.subject.method in advised


@each_habit
def test_every_wording_asks_for_its_own_habit_and_for_no_other(case: Case, habit: Habit) -> None:
    for wording in habit.wordings:
        assert case.subject.recognised(wording) == {habit.field: habit.value}, wording


@each_habit
def test_a_name_asks_for_nothing_that_its_instruction_does_not(case: Case, habit: Habit) -> None:
    """Known primitives are told apart by name and instruction in one line."""
    asked = case.subject.recognised(habit.label.capitalize())
    assert asked.items() <= {habit.field: habit.value}.items()


@each_habit
def test_no_wording_names_a_number_or_imposes_an_answer(case: Case, habit: Habit) -> None:
    prompts = [case.problem(index).prompt for index in range(20)]
    for wording in habit.wordings:
        assert not any(character.isdigit() for character in wording)
        assert not copies(wording, prompts)


@each_habit
def test_an_instruction_changes_the_trace_unless_it_asks_for_the_default(
    case: Case, habit: Habit
) -> None:
    default = getattr(case.subject.style(), habit.field) == habit.value
    told, besides = habit.wordings[0], None
    if habit.field == "goals":  # speaks of the way back from the target alone
        besides = "Work backwards."
    changed = [
        case.solved(f"{told} {besides or ''}", i) != case.solved(besides, i) for i in range(40)
    ]
    assert any(changed) != default


@any_case
def test_a_steady_teacher_is_always_right_whatever_the_instruction(case: Case) -> None:
    for index in range(60):
        rng = Random(index)
        habits = rng.sample(case.subject.habits, 3)
        instruction = " ".join(rng.choice(habit.wordings) for habit in habits)
        answer = case.trace(instruction, index, temperature=0.8)
        assert case.task.grade(case.problem(index), answer) == 1.0, (instruction, answer)


@any_case
def test_mistakes_grow_with_temperature_until_little_is_of_use(case: Case) -> None:
    def share(temperature: float) -> float:
        traces = [case.trace(None, i, temperature=temperature) for i in range(100)]
        return sum(case.task.grade(case.problem(i), text) for i, text in enumerate(traces)) / 100

    assert share(0.8) == 1.0
    assert 0.5 < share(1.2) < 0.98
    assert share(1.6) < 0.3


@each_case
def test_styles_of_plain_solutions_vary_with_temperature(case: Case) -> None:
    def styles(temperature: float) -> int:
        rolled = (
            case.subject.style_for(None, Random(i), variety=variety(temperature))
            for i in range(200)
        )
        return len(set(rolled))

    counts = [styles(temperature) for temperature in (0.0, 0.4, 0.8, 1.2, 1.6)]
    assert counts[0] == 1 and counts == sorted(set(counts))


@each_case
def test_two_instructions_in_one_are_both_followed_where_they_differ_in_fields(case: Case) -> None:
    every = (*case.subject.habits, *case.subject.asides)
    for one, other in itertools.permutations(every, 2):
        if one.field == other.field:
            continue
        for told, more in zip(one.wordings, other.wordings, strict=False):
            both = case.subject.recognised(f"{told} {more}")
            assert both == {one.field: one.value, other.field: other.value}, (told, more)


@each_case
def test_what_recorded_runs_bought_is_said_the_same_today(case: Case) -> None:
    """Digests of replies by the teacher that wrote the recorded runs."""
    said = hashlib.sha256()
    for index in range(40):
        rng = Random(index)
        habits = rng.sample(case.subject.habits, 3)
        told = " ".join(rng.choice(habit.wordings) for habit in habits) if index % 4 else None
        said.update(case.trace(told, index, temperature=0.4).encode())
    known: list[str] = []
    for wave in range(5):
        prompt = discover_prompt(attempts(case, 4), num_primitives=4, known=known)
        answer = reply(prompt, temperature=0.8, rng=Random(wave))
        known += [f"{draft.name}: {draft.instruction}" for draft in parse_primitives(answer)]
        said.update(answer.encode())
    assert said.hexdigest()[:16] == RECORDED[case.name]


def guess(case: Case, problem: Problem) -> str:
    """An answer in the right form that nothing leads to."""
    if case.subject is KNIGHTS:
        return f"<answer>{', '.join(n + ' knight' for n in problem.metadata['names'])}</answer>"
    if case.subject is IGSM_PROBLEMS:
        return f"<answer>{int(problem.answer) + 1}</answer>"
    return f"<answer>{' + '.join(map(str, problem.metadata['numbers']))}</answer>"


def attempts(case: Case, count: int) -> list[Attempt]:
    shown = []
    for i in range(count):
        problem = case.problem(i)
        text = guess(case, problem)
        reward = case.task.grade(problem, text)
        shown.append(Attempt(str(i), problem.id, problem.prompt, text, reward, "stop", 9))
    return shown


@each_case
def test_primitives_name_the_pattern_that_was_shown_and_differ_from_those_known(
    case: Case,
) -> None:
    known: list[str] = []
    for wave in range(8):
        prompt = discover_prompt(attempts(case, 4), num_primitives=4, known=known)
        drafts = parse_primitives(reply(prompt, temperature=0.8, rng=Random(wave)))
        assert len(drafts) == 4
        assert case.subject.patterns["guess"].sentence in {draft.targets for draft in drafts}
        known += [f"{draft.name}: {draft.instruction}" for draft in drafts]
    assert len({repr(sorted(case.subject.recognised(line).items())) for line in known}) >= 25


@each_case
def test_the_first_25_primitives_survive_the_checks_of_discovery(case: Case) -> None:
    prompts = [attempt.prompt for attempt in attempts(case, 20)]
    kept: list[str] = []
    lines: list[str] = []
    for wave in range(7):
        prompt = discover_prompt(attempts(case, 4), num_primitives=4, known=lines)
        for draft in parse_primitives(reply(prompt, temperature=0.8, rng=Random(wave))):
            lines.append(f"{draft.name}: {draft.instruction}")
            assert not copies(draft.instruction, prompts)
            if is_new(draft.instruction, kept, max_similarity=90):
                kept.append(draft.instruction)
    assert len(kept) >= 25


@each_case
def test_every_pattern_is_repaired_by_habits_that_exist(case: Case) -> None:
    habits = {habit.field for habit in case.subject.habits}
    assert {"guess", "unreadable", "unfinished", OTHER} <= case.subject.patterns.keys()
    for pattern in case.subject.patterns.values():
        assert pattern.repairs and set(pattern.repairs) <= habits


@any_case
def test_a_diagnosis_is_a_pattern_of_the_subject_whatever_the_student_wrote(case: Case) -> None:
    for index in range(150):
        rng = Random(f"{case.name}/{index}")
        text = garbled(case.trace(None, index, temperature=0.8), rng)
        shown = ShownAttempt(case.problem(index).prompt, text, False)
        assert case.subject.pattern_of(shown) in case.subject.patterns, text


def garbled(text: str, rng: Random) -> str:
    """Words dropped, doubled, swapped, cut in two or exchanged for signs that mean something."""
    words = text.split(" ")
    strange = [
        "<answer>",
        "</answer>",
        "=",
        "So",
        "Define",
        ":",
        ";",
        "/ 0 =",
        ".",
        "is",
        "\\boxed{",
    ]
    for _ in range(rng.randint(1, 12)):
        place = rng.randrange(len(words))
        kind = rng.randrange(5)
        if kind == 0 and len(words) > 1:
            del words[place]
        elif kind == 1:
            words.insert(place, words[place])
        elif kind == 2:
            other = rng.randrange(len(words))
            words[place], words[other] = words[other], words[place]
        elif kind == 3:
            words[place] = words[place][: rng.randint(0, len(words[place]))]
        else:
            words[place] = rng.choice(strange)
    return " ".join(words)


def test_the_server_speaks_the_chat_api_and_repeats_itself_only_for_equal_bodies() -> None:
    prompt = demonstrate_prompt(KnightsKnaves().problem("train", 1).prompt, instruction=None)
    body = {
        "model": "builtin-solver",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 1.2,
    }
    with BuiltinTeacher() as teacher, httpx.Client(base_url=teacher.base_url) as client:
        assert client.get("/models").json()["data"][0]["id"] == "builtin-solver"
        first, again = (
            client.post("/chat/completions", json=body | {"seed": 1}).json() for _ in "ab"
        )
        other = client.post("/chat/completions", json=body | {"seed": 2}).json()
        texts = [reply["choices"][0]["message"]["content"] for reply in (first, again, other)]
        assert texts[0] == texts[1] != texts[2]
        assert first["usage"]["completion_tokens"] > 20
        assert client.post("/chat/completions", json=body | {"model": "x"}).status_code == 404
        assert client.post("/chat/completions", content=b"{").status_code == 400
