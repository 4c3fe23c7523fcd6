"""GeneralPoints: every hand makes 24, rules and colours change as said, the grader holds."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.task_checks_countdown import exact_joins, reachable
from tailor_rl.task_extras import HasAnswers, HasRewards, HasTraces
from tailor_rl.tasks.countdown.traces import Solver, Style
from tailor_rl.tasks.countdown.wording import UnreadableProblem, read_problem
from tailor_rl.tasks.general_points.cards import count, way_to_24
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.tasks.general_points.wording import read_hand

TASK = GeneralPoints()


def test_cards_count_what_the_rule_says() -> None:
    ranks = ("A", "2", "10", "J", "Q", "K")
    assert [count(rank, faces_alike=True) for rank in ranks] == [1, 2, 10, 10, 10, 10]
    assert [count(rank, faces_alike=False) for rank in ranks] == [1, 2, 10, 11, 12, 13]


@pytest.mark.parametrize("split", TASK.splits)
def test_every_hand_makes_24(split: str) -> None:
    for index in range(60):
        problem = TASK.problem(split, index)
        values = [Fraction(value) for value in problem.metadata["numbers"]]
        assert reachable(values, 24, exact_joins)
        assert TASK.grade(problem, TASK.answer_text(problem)) == 1.0
        assert TASK.grade(problem, TASK.rule_based_trace(problem)) == 1.0


def test_hands_that_make_24_are_told_from_those_that_do_not() -> None:
    rng = Random(3)
    outcomes = []
    for _ in range(40):
        hand = tuple(sorted(rng.randint(1, 13) for _ in range(4)))
        outcomes.append(way_to_24(hand) is not None)
        assert outcomes[-1] == reachable([Fraction(value) for value in hand], 24, exact_joins)
    assert len(set(outcomes)) == 2
    assert way_to_24((3, 3, 8, 8)) == ("/", 8, ("-", 3, ("/", 8, 3)))
    assert way_to_24((1, 1, 1, 1)) is None


def test_rules_and_colours_change_where_they_should_and_nowhere_else() -> None:
    for index in range(100):
        for split in TASK.splits:
            problem = TASK.problem(split, index)
            cards, values = problem.metadata["cards"], problem.metadata["numbers"]
            assert len(set(cards)) == 4
            black = {suit for _, suit in cards} <= {"spades", "clubs"}
            assert black == (split != "ood/colour")
            assert problem.prompt.startswith("Black" if black else "Red")
            assert ("count 11 12 13." in problem.prompt) == (split == "ood/face-values")
            assert (max(values) > 10) == (split == "ood/face-values")


def test_train_validation_and_test_share_no_hand_and_the_other_colour_deals_those_of_test() -> None:
    hands = {s: {TASK.problem(s, i).family for i in range(400)} for s in TASK.splits}
    pairs = itertools.combinations(TASK.splits, 2)
    sharing = {(one, other) for one, other in pairs if hands[one] & hands[other]}
    assert sharing == {("test", "ood/colour")}
    assert len(hands["test"] & hands["ood/colour"]) > 0.9 * len(hands["test"])


def test_a_problem_is_the_same_in_another_process() -> None:
    code = (
        "from tailor_rl.tasks.general_points.task import GeneralPoints as G;"
        "t=G();print([repr(t.problem(s,i)) for s in t.splits for i in (0,7)])"
    )
    here = str([repr(TASK.problem(s, i)) for s in TASK.splits for i in (0, 7)])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == here


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_prompt_reads_back_as_the_values_of_the_hand(style: str) -> None:
    task = GeneralPoints(prompt=style)
    for split in task.splits:
        for index in range(20):
            problem = task.problem(split, index)
            read = read_hand(f"Please solve:\n{problem.prompt}\nThanks.")
            assert (read.numbers, read.target) == (problem.metadata["numbers"], 24)


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_solver_that_sees_the_prompt_alone_is_right_in_every_method(style: str) -> None:
    task = GeneralPoints(prompt=style)
    for number, (method, each, verify) in enumerate(
        itertools.product(("forward", "backward", "subgoals"), (True, False), (True, False))
    ):
        for index in range(8):
            problem = task.problem("ood/face-values", index)
            habits = Style(method=method, each=each, verify=verify)  # type: ignore[arg-type]
            text = Solver(read_hand(problem.prompt), habits, rng=Random(number)).write()
            assert text.startswith("Values ") and task.grade(problem, text) == 1.0


def test_neither_reader_takes_the_other_tasks_prompt() -> None:
    for prompt in (
        GeneralPoints(prompt=style).problem("test", 0).prompt for style in ("short", "full")
    ):
        with pytest.raises(UnreadableProblem):
            read_problem(prompt)
    with pytest.raises(UnreadableProblem):
        read_hand("Numbers 3 7 2. Target 13.")


def test_a_card_counts_what_the_prompt_says_and_not_what_it_counted_in_training() -> None:
    problem = next(
        p for i in range(99) if "K" in (p := TASK.problem("ood/face-values", i)).prompt[11:20]
    )
    assert 13 in problem.metadata["numbers"]
    habit = problem.answer.replace("13", "10")
    assert TASK.grade(problem, f"<answer>{problem.answer}</answer>") == 1.0
    assert TASK.grade(problem, f"<answer>{habit}</answer>") == 0.0
    assert TASK.rewards["tinyzero"](problem, f"<answer>{habit}</answer>") == 0.1
    assert TASK.rewards["tinyzero"](problem, habit) == 0.0


@given(st.text(max_size=100) | st.text(alphabet="0123456789+-*/() AJQK", max_size=30))
def test_no_text_breaks_the_grader_or_passes_without_the_values(text: str) -> None:
    problem = TASK.problem("test", 0)
    for said in (text, f"<answer>{text}</answer>", problem.prompt + text, problem.prompt * 2):
        assert TASK.grade(problem, said) == 0.0


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_prompt_repeated_is_no_answer(style: str) -> None:
    task = GeneralPoints(prompt=style)
    for split in task.splits:
        problem = task.problem(split, 1)
        assert task.grade(problem, problem.prompt) == 0.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"colour": "green"}, "'black' or 'red', not 'green'"),
        ({"prompt": "long"}, "'short' or 'full', not 'long'"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GeneralPoints(**options)
    with pytest.raises(ValueError, match="no split 'ood/suits'"):
        TASK.problem("ood/suits", 0)


def test_trained_on_red_the_other_colour_is_black() -> None:
    task = GeneralPoints(colour="red")
    assert task.problem("train", 0).prompt.startswith("Red cards")
    assert task.problem("ood/colour", 0).prompt.startswith("Black cards")


def test_the_task_offers_traces_answers_and_a_reward() -> None:
    assert isinstance(TASK, HasTraces) and isinstance(TASK, HasAnswers)
    assert isinstance(TASK, HasRewards)
