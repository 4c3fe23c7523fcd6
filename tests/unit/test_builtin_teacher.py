"""The built-in teacher: it reads what it is sent, and what it writes follows the instruction."""

from __future__ import annotations

import re
from random import Random

import httpx
import pytest

from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.teachers.builtin import BuiltinTeacher
from tailor_rl.teachers.builtin.brain import reply
from tailor_rl.teachers.builtin.subjects.knights import HABITS, KNIGHTS
from tailor_rl.teachers.prompts import (
    ShownAttempt,
    demonstrate_prompt,
    discover_prompt,
    parse_primitives,
)
from tailor_rl.types import Attempt

TASK = KnightsKnaves()


def trace(instruction: str | None, *, index: int = 0, temperature: float = 0.0) -> str:
    prompt = demonstrate_prompt(TASK.problem("train", index).prompt, instruction=instruction)
    return reply(prompt, temperature=temperature, rng=Random(index))


def test_every_wording_asks_for_its_own_habit_and_for_no_other() -> None:
    for habit in HABITS:
        for wording in habit.wordings:
            assert KNIGHTS.recognised(wording) == {habit.field: habit.value}, wording


@pytest.mark.parametrize("habit", HABITS, ids=lambda h: f"{h.field}-{h.value}")
def test_an_instruction_changes_the_trace_unless_it_asks_for_the_default(habit) -> None:
    default = getattr(Style(), habit.field) == habit.value
    changed = [trace(habit.wordings[0], index=i) != trace(None, index=i) for i in range(20)]
    assert any(changed) != default


def test_a_steady_teacher_is_always_right_whatever_the_instruction() -> None:
    for index in range(60):
        instruction = " ".join(
            Random(index).choice(h.wordings) for h in Random(index).sample(HABITS, 3)
        )
        answer = trace(instruction, index=index, temperature=0.8)
        assert TASK.grade(TASK.problem("train", index), answer) == 1.0


def test_a_hot_teacher_makes_mistakes() -> None:
    right = [
        TASK.grade(TASK.problem("train", i), trace(None, index=i, temperature=1.6))
        for i in range(100)
    ]
    assert 0.05 < sum(right) / 100 < 0.9


def attempts(count: int) -> list[Attempt]:
    guesses = []
    for i in range(count):
        problem = TASK.problem("train", i)
        guess = f"<answer>{', '.join(n + ' knight' for n in problem.metadata['names'])}</answer>"
        reward = TASK.grade(problem, guess)
        guesses.append(Attempt(str(i), problem.id, problem.prompt, guess, reward, "stop", 9))
    return guesses


def test_primitives_name_the_pattern_that_was_shown_and_differ_from_those_known() -> None:
    known: list[str] = []
    for wave in range(8):
        prompt = discover_prompt(attempts(4), num_primitives=4, known=known)
        drafts = parse_primitives(reply(prompt, temperature=0.8, rng=Random(wave)))
        assert len(drafts) == 4
        assert any("without testing" in draft.targets for draft in drafts)
        known += [f"{draft.name}: {draft.instruction}" for draft in drafts]
    assert len({repr(sorted(KNIGHTS.recognised(line).items())) for line in known}) >= 25


def test_each_kind_of_wrong_answer_is_diagnosed() -> None:
    problem = TASK.problem("train", 3)
    data = problem.metadata
    solver = Solver(data["names"], data["statements"], Style())
    wrong = next(roles for roles in solver.order() if not solver.examine(roles)[1])
    answer = ", ".join(
        f"{n} {'knight' if r else 'knave'}" for n, r in zip(data["names"], wrong, strict=True)
    )
    case = " ".join([solver.case(wrong), *solver.examine(wrong)[0]])
    misread = re.sub(r"([A-Z]{2,}) \w+ (not )?(knight|knave)", r"\1 Nobody knight", case)
    shown = {
        "guess": f"<answer>{answer}</answer>",
        "conflict": f"{case} <answer>{answer}</answer>",
        "misjudged": f"{case.replace('conflict', 'fits')} <answer>{answer}</answer>",
        "misread": f"{misread} <answer>{answer}</answer>",
        "unfinished": case,
        "unreadable": f"{case} <answer>Somebody knight</answer>",
    }
    found = {
        k: KNIGHTS.pattern_of(ShownAttempt(problem.prompt, text, False))
        for k, text in shown.items()
    }
    assert found == {kind: kind for kind in shown}


def test_the_server_speaks_the_chat_api_and_repeats_itself_only_for_equal_bodies() -> None:
    prompt = demonstrate_prompt(TASK.problem("train", 1).prompt, instruction=None)
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
