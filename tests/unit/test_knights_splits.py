"""Knights & Knaves splits: what was recorded stays, one solution each, nothing leaks from train."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from random import Random
from typing import Any

import pytest

from benchmarks.task_checks_knights import AXES, canonical, check, faults_in, solve_english
from tailor_rl.task_extras import HasAnswers, HasRewards, HasSizes, HasTraces
from tailor_rl.tasks.knights.puzzle import fingerprint, generate, only_solution, solutions
from tailor_rl.tasks.knights.statements import holds, knight_tables, truth_table
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.splits import belongs

DEMO: dict[str, Any] = {"people": [2, 3], "leaf_share": 0.5}


@pytest.mark.parametrize(
    ("options", "split", "digest"),
    [
        ({}, "train", "683cf1923f4e475c"),
        ({}, "validation", "e70cd8902b4cc95c"),
        ({}, "test", "50e54833e50a9e21"),
        (DEMO, "train", "3fe8e5cca28f8de6"),
        (DEMO, "validation", "654f6cb41264c53c"),
        (DEMO, "test", "4b278f35456e96a9"),
        ({**DEMO, "prompt": "full"}, "train", "79157bb30e5ae256"),
        ({**DEMO, "prompt": "full"}, "test", "1c3dad1c4108fbda"),
    ],
)
def test_the_problems_behind_recorded_results_never_change(options, split, digest) -> None:
    """A student was raised on them and figures were measured on them."""
    task, written = KnightsKnaves(**options), hashlib.blake2b(digest_size=8)
    for problem in (task.problem(split, i) for i in range(50)):
        written.update(f"{problem.prompt}\n{problem.answer}\n".encode())
    assert written.hexdigest() == digest


@pytest.mark.parametrize("num_people", range(2, 9))
def test_checked_by_other_means_nothing_is_wrong(num_people: int, monkeypatch) -> None:
    """One solution from the English alone, the right grades, nothing of train in another split; the
    benchmark does the same for 10,000 problems.
    """
    monkeypatch.setattr("benchmarks.task_checks_knights.speeds", lambda task: {})
    found = check(num_people, 240 if num_people < 6 else 60)
    assert found["faults"] == [] and found["shared_with_train"] == []


def test_the_check_notices_a_wrong_answer_and_a_leak() -> None:
    task = KnightsKnaves(prompt="full")
    problem = task.problem("test", 0)
    other = task.problem("test", 1)
    stale = type(problem)(**{**_fields(problem), "answer": other.answer})
    assert faults_in(task, stale)
    assert solve_english(problem.prompt) != solve_english(other.prompt)
    moved = [problem.metadata["statements"][i] for i in (1, 2, 0)]
    renamed = [_moved(said, {1: 0, 2: 1, 0: 2}) for said in moved]
    assert canonical(renamed) == canonical(problem.metadata["statements"])
    assert canonical(other.metadata["statements"]) != canonical(problem.metadata["statements"])


def _fields(problem) -> dict:
    return {name: getattr(problem, name) for name in problem.__slots__}


def _moved(said, place):
    kind, *parts = said
    if kind in ("knight", "knave"):
        return (kind, place[parts[0]])
    return (kind, *(_moved(part, place) for part in parts))


def test_truth_tables_agree_with_truth_values_one_by_one() -> None:
    rng = Random(0)
    for num_people in (2, 3, 5):
        tables, everywhere = knight_tables(num_people), (1 << (1 << num_people)) - 1
        for _ in range(50):
            puzzle = generate(rng, num_people=num_people, depth=3, width=3)
            for said in puzzle.statements:
                table = truth_table(said, tables, everywhere)
                for a in range(1 << num_people):
                    roles = [bool(knight >> a & 1) for knight in tables]
                    assert bool(table >> a & 1) == holds(said, roles)
            assert solutions(puzzle.statements) == [only_solution(puzzle.statements)]


def test_no_solution_and_many_are_no_solution() -> None:
    liar = (("knave", 0), ("knight", 1))
    tautologies = (("knight", 0), ("knight", 1))
    assert solutions(liar) == [] and only_solution(liar) is None
    assert len(solutions(tautologies)) == 4 and only_solution(tautologies) is None
    first = (True, True)  # the first of all assignments, and the last
    assert only_solution((("or", ("knight", 0), ("knave", 0)), ("knight", 0))) == first
    assert only_solution((("and", ("knight", 0), ("knave", 0)), ("knight", 0))) == (False, False)


@pytest.mark.parametrize("split", ["validation", "test", "ood/people-4", "ood/depth-3"])
def test_only_train_has_puzzles_of_train_bins(split: str) -> None:
    task = KnightsKnaves(**DEMO, axes=["depth-3"])
    for i in range(100):
        number = int(task.problem(split, i).family, 16)
        assert belongs(split, number) and not belongs("train", number)


def test_a_family_is_the_fingerprint_and_the_test_split_repeats_few_families() -> None:
    task = KnightsKnaves(**DEMO)
    problems = [task.problem("test", i) for i in range(150)]
    for problem in problems:
        assert problem.family == f"{fingerprint(problem.metadata['statements']):016x}"
        assert len(problem.family) == 16
    assert len({problem.family for problem in problems}) < 120


def test_for_two_people_a_family_is_exactly_the_puzzles_alike_up_to_renaming() -> None:
    rng = Random(2)
    families: dict[int, set[str]] = {}
    for _ in range(1500):
        puzzle = generate(rng, num_people=2, depth=2, width=2)
        number = fingerprint(puzzle.statements)
        families.setdefault(number, set()).add(canonical(puzzle.statements))
    assert {len(forms) for forms in families.values()} == {1}
    assert len(set.union(*families.values())) == len(families)


def test_every_problem_is_the_same_in_another_process() -> None:
    options = f"people=[2, 3], ood_people=[5], axes={list(AXES)!r}"
    code = (
        "from tailor_rl.tasks.knights.task import KnightsKnaves as K;"
        f"t=K({options});print([repr(t.problem(s,i)) for s in t.splits for i in (0,7)])"
    )
    task = KnightsKnaves(people=[2, 3], ood_people=[5], axes=list(AXES))
    here = str([repr(task.problem(s, i)) for s in reversed(task.splits) for i in (7, 0)][::-1])
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": "."},
    )
    assert out.stdout.strip() == here


def test_the_seed_changes_every_split() -> None:
    one, other = (KnightsKnaves(seed=seed, axes=["leaf"]) for seed in (0, 1))
    for split in one.splits:
        assert [one.problem(split, i).prompt for i in range(5)] != [
            other.problem(split, i).prompt for i in range(5)
        ]


def test_made_puzzles_have_no_size_and_every_other_offer() -> None:
    task = KnightsKnaves()
    assert not isinstance(task, HasSizes)
    assert isinstance(task, HasTraces) and isinstance(task, HasAnswers)
    assert isinstance(task, HasRewards)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"people": 3}, "task.options.people must be a list of 2 to 8, not 3"),
        ({"people": []}, "task.options.people must name a number"),
        ({"ood_people": [1]}, "task.options.ood_people must be a list of 2 to 8"),
        ({"depth": 1}, "task.options.depth must be 2 or 3"),
        ({"leaf_share": 1.0}, "task.options.leaf_share must be 0 to 0.9"),
        ({"prompt": "long"}, "task.options.prompt must be 'short' or 'full'"),
        ({"axes": ["leafs"]}, "task.options.axes must be among .*'leafs'"),
        ({"axes": ["people-9"]}, "task.options.axes must be among"),
        ({"axes": ["people-3"]}, "task.options.axes has 'people-3'"),
        ({"axes": ["depth-3"], "depth": 3}, "task.options.axes has 'depth-3'"),
        ({"axes": ["width-3"], "width": 3}, "task.options.axes has 'width-3'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        KnightsKnaves(**options)
    assert "\n" not in str(error.value)
