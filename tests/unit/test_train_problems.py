"""RL and the warm start share no train problem, up to renaming, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tailor_rl.tasks.registry import load_task
from tailor_rl.train_problems import FIRST_WARM_START_INDEX, train_problem, warm_start_problems
from tailor_rl.types import Problem
from tests.fakes import FakeTask


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("knights", {"people": [2, 3], "prompt": "short"}),
        ("igsm", {"preset": "small"}),
        ("countdown", {"numbers": [3]}),
        ("general_points", {}),
        ("code", {}),
        ("reasoning_gym", {"dataset": "basic_arithmetic"}),
    ],
)
def test_no_family_is_both_demonstrated_and_in_rl(name: str, options: Mapping[str, Any]) -> None:
    task = load_task(name, seed=0, options=options)
    shown = warm_start_problems(task, 150)
    seen = [train_problem(task, order) for order in range(150)]
    assert all(problem.family for problem in [*shown, *seen])
    assert not {problem.family for problem in shown} & {problem.family for problem in seen}


def test_the_task_by_itself_would_have_mixed_them() -> None:
    """Else the test above could not fail."""
    task = load_task("countdown", seed=0, options={"numbers": [3]})
    shown = {task.problem("train", FIRST_WARM_START_INDEX + i).family for i in range(150)}
    assert shown & {task.problem("train", i).family for i in range(150)}


def test_the_index_in_an_id_gives_the_same_problem_again() -> None:
    task = load_task("countdown", seed=0, options={})
    problems = [*warm_start_problems(task, 30), *(train_problem(task, i) for i in range(30))]
    indices = [int(problem.id.rpartition(":")[2]) for problem in problems]
    assert [train_problem(task, index) for index in indices] == problems
    assert len(set(indices)) == 60
    assert indices[30:] != list(range(30))  # some were drawn further on


class OneFamily(FakeTask):
    def problem(self, split: str, index: int) -> Problem:
        return replace(super().problem(split, index), family="all of them")


def test_a_task_without_enough_families_gives_what_it_has() -> None:
    assert train_problem(FakeTask(), 7) == FakeTask().problem("train", 7)
    either = (7, FIRST_WARM_START_INDEX + 7)
    assert [train_problem(OneFamily(), i).id for i in either] == [
        f"addition:train:{i}" for i in either
    ]
