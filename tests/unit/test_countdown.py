"""Countdown: solvable problems, disjoint splits, a grader that cannot be talked round."""
# ruff: noqa: RUF001 - look-alike signs are what is tested

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.task_checks_countdown import not_negative, reachable, whole_joins
from tailor_rl.task_extras import HasAnswers, HasRewards, HasTraces
from tailor_rl.tasks.countdown.expressions import SIGNS, read_expression
from tailor_rl.tasks.countdown.puzzle import canonical
from tailor_rl.tasks.countdown.search import evaluate, find
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.countdown.wording import Given, UnreadableProblem, ask, read_problem
from tailor_rl.tasks.splits import belongs, fingerprint
from tailor_rl.types import Problem

TASK = Countdown(ood_numbers=[5, 6])
SMALL = Countdown(numbers=[3], values=[1, 4], targets=[5, 8], ood_numbers=[4])


def every_value(numbers: tuple[int, ...], operators: str) -> set:
    """Values of all orders, operators and bracketings of three numbers, written as text and read
    by the parser: nothing of the search is in it.
    """
    found = set()
    for a, b, c in itertools.permutations(numbers):
        for one, two in itertools.product(operators, repeat=2):
            for text in (f"({a} {one} {b}) {two} {c}", f"{a} {one} ({b} {two} {c})"):
                read = read_expression(text)
                assert read is not None
                found.add(read.value)
    return found


@pytest.mark.parametrize("operators", ["+-*/", "+-", "+*", "+/", "+-/", "+"])
def test_three_numbers_reach_exactly_what_some_expression_of_them_says(operators: str) -> None:
    rng = Random(operators)
    seen = set()
    for _ in range(25):
        numbers = tuple(rng.randint(0, 12) for _ in range(3))
        truth = every_value(numbers, operators)
        for goal in range(1, 40):
            tree = find(numbers, goal, operators=operators, fractions=True)
            assert (tree is not None) == (goal in truth), (numbers, goal)
            seen.add(tree is not None)
    assert seen == {True, False}


@pytest.mark.parametrize("count", [3, 4])
def test_whole_numbers_reach_what_brute_force_with_negative_values_reaches(count: int) -> None:
    rng = Random(count)
    outcomes = []
    for _ in range(150):
        numbers = [rng.randint(0, 15) for _ in range(count)]
        goal = rng.randint(1, 80)
        tree = find(numbers, goal, operators=SIGNS, fractions=False)
        outcomes.append(tree is not None)
        assert outcomes[-1] == reachable(numbers, goal, whole_joins), (numbers, goal)
    assert 10 < sum(outcomes) < 140


def test_what_is_found_uses_every_number_once_and_reaches_the_goal() -> None:
    rng = Random(7)
    for _ in range(300):
        numbers = [rng.randint(0, 12) for _ in range(rng.randint(2, 6))]
        goal = rng.randint(0, 40)
        for fractions in (False, True) if len(numbers) < 5 else (False,):
            tree = find(numbers, goal, operators=SIGNS, fractions=fractions)
            if tree is not None:
                assert evaluate(tree) == goal
                assert sorted(leaves(tree)) == sorted(numbers)


def leaves(tree) -> list[int]:
    return [*leaves(tree[1]), *leaves(tree[2])] if isinstance(tree, tuple) else [tree]


def test_a_hand_that_needs_fractions_is_found_with_them_alone() -> None:
    assert find((3, 3, 8, 8), 24, operators=SIGNS, fractions=False) is None
    assert find((3, 3, 8, 8), 24, operators=SIGNS, fractions=True) == (
        "/", 8, ("-", 3, ("/", 8, 3))
    )  # fmt: skip


@pytest.mark.parametrize("split", TASK.splits)
def test_every_problem_is_solvable_in_whole_numbers(split: str) -> None:
    for index in range(60 if "numbers" not in split else 6):
        problem = TASK.problem(split, index)
        *numbers, target = map(int, re.findall(r"\d+", problem.prompt))
        assert len(numbers) == problem.difficulty
        assert reachable(numbers, target, not_negative(whole_joins))
        assert TASK.grade(problem, TASK.answer_text(problem)) == 1.0


def test_splits_keep_their_ranges() -> None:
    for index in range(200):
        problem = TASK.problem("train", index).metadata
        assert len(problem["numbers"]) in (3, 4)
        assert all(1 <= number <= 24 for number in problem["numbers"])
        assert 10 <= problem["target"] <= 25
        assert 26 <= TASK.problem("ood/targets", index).metadata["target"] <= 50
        assert max(TASK.problem("ood/values", index).metadata["numbers"]) > 24
        assert len(TASK.problem("ood/numbers-5", index).metadata["numbers"]) == 5


def test_no_split_shares_a_problem_with_another_in_any_order() -> None:
    for task, count in ((TASK, 150), (SMALL, 200)):
        seen = {
            split: {task.problem(split, i).family for i in range(count)} for split in task.splits
        }
        for one, other in itertools.combinations(task.splits, 2):
            assert not seen[one] & seen[other], (one, other)
        for split, families in seen.items():
            assert all(belongs(split, fingerprint(family)) for family in families)


def test_a_family_is_blind_to_order_and_sees_the_rest() -> None:
    assert canonical((3, 7, 2), 13) == canonical((7, 2, 3), 13) == "2 3 7 -> 13"
    assert len({canonical((3, 7, 2), 13), canonical((3, 7, 2), 14), canonical((3, 7, 7), 13)}) == 3
    problem = TASK.problem("train", 4)
    assert problem.family == canonical(problem.metadata["numbers"], problem.metadata["target"])


def test_a_problem_is_the_same_in_another_process() -> None:
    code = (
        "from tailor_rl.tasks.countdown.task import Countdown as C;"
        "t=C(ood_numbers=[5, 6]);"
        "print([repr(t.problem(s,i)) for s in t.splits for i in (0,7)])"
    )
    here = str([repr(TASK.problem(s, i)) for s in TASK.splits for i in (0, 7)])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == here
    other = Countdown(seed=1)
    assert [other.problem("train", i) for i in range(5)] != [
        TASK.problem("train", i) for i in range(5)
    ]


@pytest.mark.parametrize("style", ["short", "full"])
@pytest.mark.parametrize("operators", [["+", "-", "*", "/"], ["+", "-"], ["+", "*"]])
def test_a_prompt_reads_back_as_what_was_asked(style: str, operators: list[str]) -> None:
    task = Countdown(prompt=style, operators=operators, ood_values=[])
    for split in task.splits:
        problem = task.problem(split, 3)
        read = read_problem(f"Solve this.\n{problem.prompt}\nThank you.")
        assert read == Given(
            problem.metadata["numbers"], problem.metadata["target"], tuple(operators)
        )


@pytest.mark.parametrize(
    "prompt",
    ["", "Numbers 3 7 2.", "Target 13.", "Numbers a b c. Target d.", "Numbers . Target 3."],
)
def test_another_prompt_is_unreadable(prompt: str) -> None:
    with pytest.raises(UnreadableProblem):
        read_problem(prompt)


ASKED = Problem(
    "countdown:test:0", "Numbers 3 7 2. Target 13.", "(2 * 3) + 7", "test", 3,
    {"numbers": (3, 7, 2), "target": 13, "operators": SIGNS},
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<answer> (2 * 3) + 7</answer>",
        "<answer>7+3*2</answer>",
        "so I say\n<answer>\n7 + 2 × 3\n</answer>\nand more",
        "<answer>7 + 2 * 3 = 13</answer>",
        "<answer>-(-7 - 2 * 3)</answer>",
        "<answer>((((7 + 2 * 3))))</answer>",
    ],
)
def test_every_way_to_say_a_right_expression_is_right(text: str) -> None:
    assert TASK.grade(ASKED, text) == 1.0
    assert TASK.rewards["tinyzero"](ASKED, text) == 1.0


WRONG = [
    "<answer>7 + 3 + 2</answer>",
    "<answer>13</answer>",
    "<answer>7 + 6</answer>",
    "<answer>7 + 3 * 2 + 0</answer>",
    "<answer>7 + 3 * 2 * 1</answer>",
    "<answer>7 + 3 + 3</answer>",
    "<answer>7 + 7 - 2 + 3 - 2</answer>",
    "<answer>7 + 2 * 3 = 14</answer>",
    "<answer>7 + 2 * 3 = 13 = 13</answer>",
    "<answer>7 + 2 * 3 = \uff11\uff13</answer>",
    "<answer>13 = 7 + 2 * 3</answer>",
    "<answer>7 + 2 * 3, 3 * 2 + 7</answer>",
    "<answer>7 + 2 * \uff13</answer>",
    "<answer>7 / (3 - 3) + 2</answer>",
    "<answer></answer>",
    "<answer>10**10**10</answer>",
    "<answer>__import__('os').getcwd()</answer>",
    "<answer>" + "(" * 900 + "7 + 2 * 3" + ")" * 900 + "</answer>",
    "<answer>7 +\u200b 2 * 3</answer>",
]
NO_ANSWER = [
    "",
    "7 + 2 * 3",
    "<answer>7 + 2 * 3",
    "7 + 2 * 3</answer>",
    "</answer>7 + 2 * 3<answer>",
    "<answer>7 + 2 * 3</answer><answer>7 + 2 * 3</answer>",
    "<answer>7 + 2 * 3</answer> or <answer>7 + 3 + 2</answer>",
    "<answer><answer>7 + 2 * 3</answer>",
    "<Answer>7 + 2 * 3</Answer>",
    "<answer>" + " " * 3_000_000 + "7 + 2 * 3</answer>",
    "<answer>" + "(" * 3_000_000 + "</answer>",
    "<answer>" * 300_000,
]


@pytest.mark.parametrize("text", [*WRONG, *NO_ANSWER])
def test_anything_else_is_wrong_at_once(text: str) -> None:
    start = time.thread_time()
    assert TASK.grade(ASKED, text) == 0.0
    assert TASK.rewards["tinyzero"](ASKED, text) == (0.1 if text in WRONG else 0.0)
    assert time.thread_time() - start < 0.25


def test_listing_every_value_or_every_expression_solves_nothing() -> None:
    problem = SMALL.problem("train", 0)
    numbers, signs = problem.metadata["numbers"], itertools.product("+-*/", repeat=2)
    every = [
        f"{a} {x} {b} {y} {c}" for a, b, c in itertools.permutations(numbers) for x, y in signs
    ]
    assert SMALL.grade(problem, f"<answer>{' '.join(every)}</answer>") == 0.0
    assert SMALL.grade(problem, "".join(f"<answer>{one}</answer>" for one in every)) == 0.0


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_prompt_repeated_is_no_answer(style: str) -> None:
    task = Countdown(prompt=style)
    for index in range(30):
        problem = task.problem("test", index)
        assert task.grade(problem, problem.prompt) == 0.0
        assert task.grade(problem, f"{problem.prompt} " * 2) == 0.0


def test_an_operator_that_is_not_allowed_makes_an_answer_wrong() -> None:
    narrow = Problem(
        ASKED.id, "", "", "test", 3, {"numbers": (3, 7, 2), "target": 8, "operators": ("+", "-")}
    )
    assert TASK.grade(narrow, "<answer>3 + 7 - 2</answer>") == 1.0
    wide = Problem(ASKED.id, "", "", "test", 3, {**narrow.metadata, "target": 13})
    assert TASK.grade(wide, "<answer>7 + 2 * 3</answer>") == 0.0


@given(
    st.text(max_size=200)
    | st.text(alphabet="0123456789+-*/() ×÷−=", max_size=30)
    | st.permutations(["7", "+", "2", "*", "3", "(", ")", "-"]).map(" ".join)
)
def test_only_an_expression_that_python_agrees_with_is_right(text: str) -> None:
    graded = TASK.grade(ASKED, f"<answer>{text}</answer>")
    assert graded in (0.0, 1.0) and TASK.grade(ASKED, text) == 0.0
    if graded == 1.0:
        plain = text.replace("×", "*").replace("÷", "/").replace("−", "-").partition("=")[0]
        assert sorted(re.findall("[0-9]+", plain)) == ["2", "3", "7"]
        assert abs(eval(plain.strip()) - 13) < 1e-9  # digits, signs and brackets: just parsed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"numbers": [2]}, "numbers and ood_numbers must be 3 to 6, not \\[2, 5\\]"),
        ({"numbers": []}, "must be 3 to 6"),
        ({"numbers": [3, 5]}, "ood_numbers repeats \\[5\\]"),
        ({"values": [5, 1]}, "task.options.values must be"),
        ({"values": [1, 2, 3]}, "task.options.values must be"),
        ({"targets": [0, 10]}, "task.options.targets must be"),
        ({"operators": ["-", "*"]}, "operators must hold '\\+'"),
        ({"operators": ["+", "^"]}, "operators must hold '\\+'"),
        ({"prompt": "long"}, "'short' or 'full', not 'long'"),
        ({"ood_targets": [20, 40]}, "overlaps targets"),
        ({"ood_values": [2, 20]}, "lies within values"),
        ({"values": [1, 2], "targets": [5000, 6000], "ood_targets": []}, "closer together"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        Countdown(**options)
    assert "\n" not in str(error.value)


def test_empty_lists_leave_the_ood_splits_out() -> None:
    task = Countdown(ood_numbers=[], ood_targets=[], ood_values=[])
    assert task.splits == ("train", "validation", "test")
    with pytest.raises(ValueError, match="no split 'ood/values'"):
        task.problem("ood/values", 0)


def test_the_task_offers_traces_answers_and_a_reward() -> None:
    assert isinstance(TASK, HasTraces) and isinstance(TASK, HasAnswers)
    assert isinstance(TASK, HasRewards)


def test_the_short_prompt_is_this_one() -> None:
    assert ask(Given((3, 7, 2), 13), style="short") == "Numbers 3 7 2. Target 13."
    assert ask(Given((3, 7, 2), 8, ("+", "-")), style="short").endswith("Target 8. Only + -.")
