"""Knights & Knaves: one right answer, disjoint splits, a grader that cannot be talked round."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.errors import ConfigError
from tailor_rl.tasks.knights.puzzle import NAMES, Puzzle, fingerprint, generate, solutions
from tailor_rl.tasks.knights.statements import Statement, holds
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.tasks.knights.wording import ask, read_answer, read_puzzle
from tailor_rl.tasks.registry import built_in_tasks, load_task

TASK = KnightsKnaves(people=(2, 3), ood_people=(4, 6))


def puzzles(count: int, *, num_people: int = 3, depth: int = 2) -> list[Puzzle]:
    rng = Random(num_people)
    return [generate(rng, num_people=num_people, depth=depth, width=2) for _ in range(count)]


def test_truth_values_by_hand() -> None:
    roles = (True, False)  # Ann knight, Bob knave
    assert holds(("knight", 0), roles) and holds(("knave", 1), roles)
    assert not holds(("not", ("knight", 0)), roles)
    assert holds(("and", ("knight", 0), ("knave", 1)), roles)
    assert not holds(("and", ("knight", 0), ("knight", 1)), roles)
    assert holds(("or", ("knave", 0), ("knave", 1)), roles)
    assert holds(("if", ("knave", 0), ("knight", 1)), roles)  # a false condition implies anything
    assert not holds(("if", ("knight", 0), ("knight", 1)), roles)
    assert holds(("iff", ("knave", 0), ("knight", 1)), roles)
    assert not holds(("iff", ("knight", 0), ("knight", 1)), roles)


@pytest.mark.parametrize("num_people", range(2, 9))
def test_every_puzzle_has_exactly_the_solution_it_carries(num_people: int) -> None:
    for puzzle in puzzles(20, num_people=num_people):
        assert solutions(puzzle.statements) == [puzzle.solution]


def test_the_words_say_what_the_statements_mean() -> None:
    for puzzle in puzzles(200) + puzzles(100, depth=3):
        for style in ("short", "full"):
            read = read_puzzle(ask(puzzle, style=style))
            assert read.names == puzzle.names
            for roles in itertools.product((True, False), repeat=puzzle.num_people):
                said = [holds(s, roles) for s in read.statements]
                assert said == [holds(s, roles) for s in puzzle.statements]


def renamed(statement, order):
    kind, *parts = statement
    if kind in ("knight", "knave"):
        return (kind, order[parts[0]])
    return (kind, *(renamed(part, order) for part in parts))


def test_a_fingerprint_is_blind_to_names_and_order_and_sees_the_rest() -> None:
    everyone = puzzles(300, num_people=4)
    for puzzle in everyone:
        order = Random(0).sample(range(4), 4)
        moved: list[Statement] = [()] * 4
        for person, said in enumerate(puzzle.statements):
            moved[order[person]] = renamed(said, order)
        assert fingerprint(moved) == fingerprint(puzzle.statements)
    assert len({fingerprint(puzzle.statements) for puzzle in everyone}) > 280


def test_the_right_answer_is_worth_one_and_every_other_zero() -> None:
    problem = TASK.problem("ood/people-4", 5)
    names, solution = problem.metadata["names"], problem.metadata["solution"]
    for roles in itertools.product((True, False), repeat=4):
        said = ", ".join(
            f"{n} is a {'knight' if r else 'knave'}" for n, r in zip(names, roles, strict=True)
        )
        assert TASK.grade(problem, f"So <answer>{said}</answer>") == float(roles == solution)


NAMED = ("Ann", "Bob")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ann knight, Bob knave",
        "<answer>Ann knight</answer>",
        "<answer>Ann knight, Bob knave, Bob knight</answer>",
        "<answer>Ann knight, Bob knave, Cal knave</answer>",
        "<answer>Ann knight, Bob knave</answer> <answer>Ann knight, Bob knave</answer>",
        "<answer>Ann knight, Bob knave</answer> or <answer>Ann knave, Bob knave</answer>",
        "<answer><answer>Ann knight, Bob knave</answer>",
        "<answer>Ann knight or knave, Bob knave</answer>",
        "<answer>\u0410nn knight, Bob knave</answer>",  # a Cyrillic A
        "</answer>Ann knight, Bob knave<answer>",
        "<answer>" + "Ann knight, " * 100_000 + "Bob knave</answer>",
        "<answer>" + "(" * 100_000 + "</answer>",
    ],
)
def test_an_answer_that_is_not_one_role_for_everybody_is_unreadable(text: str) -> None:
    assert read_answer(text, NAMED) is None


@given(st.text(max_size=300))
def test_any_text_reads_as_one_role_for_everybody_or_as_no_answer(text: str) -> None:
    for answer in (text, f"<answer>{text}</answer>"):
        roles = read_answer(answer, NAMED)
        assert roles is None or len(roles) == len(NAMED)


STYLES = [
    Style(method, first, last, forward, facts, verify, retract, numbered)
    for method in ("cases", "grow")
    for first, last, forward, facts, verify, numbered in itertools.product((True, False), repeat=6)
    for retract in ("explicit", "next", "silent")
]


def test_every_style_reaches_the_right_answer_by_its_own_trace() -> None:
    problem = next(
        p for i in range(50) if len((p := TASK.problem("train", i)).metadata["names"]) == 3
    )
    data = problem.metadata
    traces = [Solver(data["names"], data["statements"], style).write() for style in STYLES]
    assert {TASK.grade(problem, trace) for trace in traces} == {1.0}
    assert len(set(traces)) > len(STYLES) // 4
    assert TASK.grade(problem, TASK.rule_based_trace(problem)) == 1.0


def test_a_slip_makes_wrong_answers() -> None:
    right = []
    for i in range(100):
        problem = TASK.problem("train", i)
        data = problem.metadata
        solver = Solver(data["names"], data["statements"], Style(), rng=Random(i), slip=0.2)
        right.append(TASK.grade(problem, solver.write()))
    assert 0 < sum(right) < 100


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nights", {}, "did you mean 'knights'"),
        ("knights", {"peple": [3]}, "did you mean 'people'"),
        ("knights", {"people": [9]}, "2 to 8"),
        ("knights", {"people": [3], "ood_people": [3]}, "out of distribution"),
        ("nowhere.py:Task", {}, "no file nowhere.py"),
    ],
)
def test_a_wrong_task_is_named_in_one_sentence(name: str, options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        load_task(name, seed=0, options=options)
    assert "\n" not in str(error.value)


def test_a_task_is_one_file_outside_the_repository(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "from tailor_rl.types import Problem\n"
        "class Echo:\n"
        "    name = 'echo'\n"
        "    splits = ('train', 'validation', 'test')\n"
        "    def __init__(self, *, seed, word='hi'): self.word = word\n"
        "    def problem(self, split, index):\n"
        "        return Problem(f'echo:{split}:{index}', 'say ' + self.word, self.word, split, 1)\n"
        "    def grade(self, problem, text): return float(text == problem.answer)\n"
        "    def rule_based_trace(self, problem): return problem.answer\n"
    )
    task = load_task(f"{tmp_path}/mine.py:Echo", seed=0, options={"word": "yo"})
    assert task.grade(task.problem("train", 0), "yo") == 1.0


def test_built_in_tasks_are_listed_with_one_line_each() -> None:
    assert built_in_tasks()["knights"].startswith("Who is a knight")
    assert len(NAMES) == len(set(NAMES)) == 16
