"""Knights & Knaves, as the built-in teacher reads a student's answers."""

from __future__ import annotations

import re

from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.teachers.builtin.subjects.knights import KNIGHTS
from tailor_rl.teachers.prompts import ShownAttempt


def test_each_kind_of_wrong_answer_is_diagnosed() -> None:
    problem = KnightsKnaves().problem("train", 3)
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
