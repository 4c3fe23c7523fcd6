"""Rule-made traces in many styles: always right, and as diverse as their styles."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import pytest

from tailor_rl.task_extras import HasVariedTraces
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.countdown.task import given as countdown_of
from tailor_rl.tasks.countdown.traces import Solver as CountdownSolver
from tailor_rl.tasks.countdown.traces import Style as CountdownStyle
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.tasks.igsm.reading import read_problem
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.igsm.traces import Solver as IgsmSolver
from tailor_rl.tasks.igsm.traces import Style as IgsmStyle
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.knights.traces import Solver as KnightsSolver
from tailor_rl.tasks.knights.traces import Style as KnightsStyle
from tailor_rl.tasks.styles import drawn_style

TASKS: dict[str, Any] = {
    "knights": KnightsKnaves(axes=["role-words", "depth-3"]),
    "knights-many": KnightsKnaves(people=[2, 6], ood_people=[8]),
    "countdown": Countdown(),
    "points": GeneralPoints(),
    "igsm-small": IGSM(preset="small"),
    "igsm": IGSM(),
}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))


@each_task
def test_a_task_of_ours_has_varied_traces(task: Any) -> None:
    assert isinstance(task, HasVariedTraces)


@each_task
def test_a_varied_trace_is_always_right(task: Any) -> None:
    for index in range(200):
        problem = task.problem(task.splits[index % len(task.splits)], index)
        text = task.varied_trace(problem, index % 40)
        assert task.grade(problem, text) == 1.0, text


@each_task
def test_a_draw_gives_the_same_trace_every_time_and_other_draws_give_others(task: Any) -> None:
    problem = task.problem("train", 7)
    traces = [task.varied_trace(problem, draw) for draw in range(60)]
    assert traces == [task.varied_trace(problem, draw) for draw in range(60)]
    assert len(set(traces)) >= 30
    assert task.rule_based_trace(problem) != traces[0]


@each_task
def test_a_draw_is_one_style_whatever_the_problem(task: Any) -> None:
    """The words that only some styles use come in all of a draw's traces or in none."""
    tells = {
        "knights": "Sub-goal",
        "igsm": "Needed:",
        "countdown": "Use ",
        "general_points": "Use ",
    }
    tell = tells[task.name]
    for draw in range(8):
        said = {tell in task.varied_trace(task.problem("train", i), draw) for i in range(20)}
        assert len(said) == 1, draw


def test_every_field_of_a_style_is_drawn_evenly() -> None:
    @dataclass(frozen=True)
    class Style:
        way: Literal["there", "back", "both"] = "there"
        loud: bool = False
        tries: int = 1

    drawn = [drawn_style(Style, Random(i), numbers={"tries": (3, 5)}) for i in range(600)]
    assert all(150 < sum(s.way == way for s in drawn) < 250 for way in ("there", "back", "both"))
    assert 250 < sum(s.loud for s in drawn) < 350
    assert {s.tries for s in drawn} == {3, 5}


def test_knights_backwards_tries_only_cases_in_which_the_first_claim_fits() -> None:
    task = KnightsKnaves()
    for index in range(60):
        data = task.problem("train", index).metadata
        for method in ("cases", "grow"):
            plain, back = (
                KnightsSolver(
                    data["names"],
                    data["statements"],
                    KnightsStyle(method=method, backward=backward),  # type: ignore[arg-type]
                ).write()
                for backward in (False, True)
            )
            assert back.startswith("Work backwards: ")
            opening, _, rest = back.partition(". ")
            assert len(rest) <= len(plain)
            assert opening.count(" or ") < 4  # three people, and never every case of them
            solution = dict(zip(data["names"], data["solution"], strict=True))
            said = [
                all(
                    f"{name.upper()} {'lying' if role else 'honest'}" not in way
                    for name, role in solution.items()
                )
                for way in opening.partition("only with ")[2].split(" or ")
            ]
            assert any(said), (opening, solution)


def test_knights_name_a_person_as_a_sub_goal_before_giving_a_role() -> None:
    data = KnightsKnaves().problem("train", 3).metadata
    style = KnightsStyle(method="grow", subgoals=True)
    told = KnightsSolver(data["names"], data["statements"], style).write().split(". ")
    first = data["names"][0].upper()
    assert told[:2] == [f"Sub-goal: settle {first}", f"Let {first} honest"]


def test_igsm_goes_back_only_from_what_cannot_be_worked_out_yet() -> None:
    task = IGSM(preset="small")
    for index in range(40):
        read = read_problem(task.problem("train", index).prompt)
        for order in ("forward", "backward"):
            style = IgsmStyle(order=order, go_back=True, subgoals=True)  # type: ignore[arg-type]
            told = IgsmSolver(read, style, rng=Random(index)).write().split(". ")
            for place, said in enumerate(told):
                if not said.startswith("Try "):
                    continue
                assert told[place + 1] == "Go back"
                missing = said.partition(": ")[2].partition(" is unknown")[0]
                defined = [i for i, line in enumerate(told) if line.startswith(f"So {missing}")]
                assert defined and defined[0] > place


def test_countdown_names_what_is_needed_a_sub_goal_on_the_way_back_alone() -> None:
    task = Countdown()
    for index in range(30):
        given = countdown_of(task.problem("train", index))
        for goals in (False, True):
            style = CountdownStyle(method="backward", goals=goals)
            assert ("Sub-goal" in CountdownSolver(given, style).write()) == goals
        plain = CountdownSolver(given, CountdownStyle(goals=True)).write()
        assert plain == CountdownSolver(given, CountdownStyle()).write()


def test_a_countdown_solver_that_slips_says_what_it_believes_and_never_fails() -> None:
    task = Countdown(numbers=[3, 4, 5], ood_numbers=[])
    wrong = 0
    for index in range(400):
        rng = Random(index)
        style = drawn_style(CountdownStyle, rng, numbers={"tries": (2, 6, 8)})
        problem = task.problem("train", index % 150)
        text = CountdownSolver(countdown_of(problem), style, rng=rng, slip=0.4).write()
        wrong += task.grade(problem, text) < 1.0
    assert 130 < wrong < 400
