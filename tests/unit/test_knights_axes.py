"""Each out-of-distribution axis of Knights & Knaves does what it says, and only that."""

from __future__ import annotations

import re

import pytest

from tailor_rl.tasks.knights.axes import CHANGED, ROLE_WORDS, UNCOMMON_NAMES
from tailor_rl.tasks.knights.puzzle import NAMES, PLAIN, solutions
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.knights.wording import read_puzzle, reworded
from tailor_rl.types import Problem

AXES = [*CHANGED, "depth-3", "width-3", "people-5"]
TASK = KnightsKnaves(people=[2, 3, 4], ood_people=[], axes=AXES)
FULL = KnightsKnaves(people=[2, 3, 4], ood_people=[], axes=AXES, prompt="full")
SPLITS = {"short": TASK, "full": FULL}
COUNT = 60


def pairs(axis: str, task: KnightsKnaves = TASK) -> list[tuple[Problem, Problem]]:
    """Problems of an axis, each behind the test problem that it was made from."""
    after = [task.problem(f"ood/{axis}", i) for i in range(COUNT)]
    origins = [problem.metadata["original"].split(":") for problem in after]
    assert {name for name, _, _ in origins} == {"knights"}
    return [
        (task.problem(split, int(index)), problem)
        for (_, split, index), problem in zip(origins, after, strict=True)
    ]


def same_but(before: Problem, after: Problem, *changed: str) -> None:
    assert before.split == "test"
    for key in {"names", "statements", "solution", "role_words"} - set(changed):
        assert before.metadata[key] == after.metadata[key], key


def leaves(said):
    kind, *parts = said
    if kind in ("knight", "knave"):
        return [said]
    return [leaf for part in parts for leaf in leaves(part)]


def skeleton(said):
    kind, *parts = said
    return "leaf" if kind in ("knight", "knave") else (kind, *map(skeleton, parts))


@pytest.mark.parametrize("axis", ["statement", "leaf"])
def test_one_person_says_something_else_and_who_is_who_changes(axis: str) -> None:
    for before, after in pairs(axis):
        same_but(before, after, "statements", "solution")
        said = list(zip(before.metadata["statements"], after.metadata["statements"], strict=True))
        assert sum(old != new for old, new in said) == 1
        assert solutions(after.metadata["statements"]) == [after.metadata["solution"]]
        assert before.metadata["solution"] != after.metadata["solution"]
        assert before.family != after.family


def test_another_leaf_is_all_that_another_leaf_changes() -> None:
    for before, after in pairs("leaf"):
        for old, new in zip(
            before.metadata["statements"], after.metadata["statements"], strict=True
        ):
            assert skeleton(old) == skeleton(new)
            assert sum(a != b for a, b in zip(leaves(old), leaves(new), strict=True)) == (
                old != new
            )


def test_another_statement_may_have_another_form() -> None:
    assert any(
        list(map(skeleton, before.metadata["statements"]))
        != list(map(skeleton, after.metadata["statements"]))
        for before, after in pairs("statement")
    )


@pytest.mark.parametrize("axis", CHANGED)
def test_no_two_problems_of_an_axis_start_from_the_same_one(axis: str) -> None:
    origins = [after.metadata["original"] for _, after in pairs(axis)]
    assert len(set(origins)) == len(origins)
    own = [origin == f"knights:test:{i}" for i, origin in enumerate(origins)]
    assert all(own) or axis in ("statement", "leaf")
    assert sum(own) > COUNT / 4


@pytest.mark.parametrize("task", SPLITS.values(), ids=SPLITS)
def test_other_role_words_stand_wherever_the_plain_ones_stood(task: KnightsKnaves) -> None:
    seen = set()
    for before, after in pairs("role-words", task):
        same_but(before, after, "role_words")
        words = after.metadata["role_words"]
        seen.add(words)
        assert not re.search("knight|knave", after.prompt + after.answer, re.IGNORECASE)
        assert reworded(after.prompt, words, PLAIN) == before.prompt
        assert reworded(after.answer, words, PLAIN) == before.answer
        assert after.family == before.family
    assert seen <= set(ROLE_WORDS) and len(seen) > 4


@pytest.mark.parametrize("task", SPLITS.values(), ids=SPLITS)
def test_flipped_roles_exchange_the_two_words_everywhere(task: KnightsKnaves) -> None:
    for before, after in pairs("role-flip", task):
        same_but(before, after, "role_words")
        for old, new in ((before.prompt, after.prompt), (before.answer, after.answer)):
            exchanged = old.replace("night", "#").replace("nave", "night").replace("#", "nave")
            assert new == exchanged != old
        assert task.grade(after, f"<answer>{after.answer}</answer>") == 1.0
        assert task.grade(after, f"<answer>{before.answer}</answer>") == 0.0


def test_uncommon_names_are_all_that_uncommon_names_change() -> None:
    for before, after in pairs("uncommon-names"):
        same_but(before, after, "names")
        prompt, answer = after.prompt, after.answer
        for new, old in zip(after.metadata["names"], before.metadata["names"], strict=True):
            assert new in UNCOMMON_NAMES
            prompt = prompt.replace(new, old).replace(new.upper(), old.upper())
            answer = answer.replace(new, old)
        assert (prompt, answer) == (before.prompt, before.answer)


def test_reordered_claims_are_the_same_claims_in_another_order() -> None:
    for before, after in pairs("reordered", FULL):
        claims = [re.findall(r"[A-Z]\w+ says [^.]+\.", p.prompt) for p in (before, after)]
        assert claims[0] != claims[1] and sorted(claims[0]) == sorted(claims[1])
        assert set(before.answer.split(", ")) == set(after.answer.split(", "))
        assert FULL.grade(after, f"<answer>{before.answer}</answer>") == 1.0
        assert before.family == after.family


def depth(said) -> int:
    return 1 if said[0] in ("knight", "knave") else 1 + max(depth(part) for part in said[1:])


def width(said) -> int:
    if said[0] in ("knight", "knave"):
        return 1
    return max(len(said) - 1, *(width(part) for part in said[1:]))


def test_deeper_and_wider_statements_are_out_of_the_reach_of_train() -> None:
    for i in range(COUNT):
        usual = TASK.problem("train", i).metadata["statements"]
        assert max(map(depth, usual)) <= 2 and max(map(width, usual)) <= 2
        deep = TASK.problem("ood/depth-3", i).metadata["statements"]
        assert max(map(depth, deep)) == 3 and max(map(width, deep)) <= 2
        wide = TASK.problem("ood/width-3", i).metadata["statements"]
        assert max(map(depth, wide)) == 2 and max(map(width, wide)) == 3


def test_people_axes_and_ood_people_name_the_same_splits() -> None:
    by_axis = KnightsKnaves(ood_people=[], axes=["people-5"])
    by_option = KnightsKnaves(ood_people=[5])
    assert by_axis.splits == by_option.splits
    assert KnightsKnaves().splits[3:] == ("ood/people-4",)
    assert by_axis.problem("ood/people-5", 3) == by_option.problem("ood/people-5", 3)
    assert by_axis.problem("ood/people-5", 3).difficulty == 5


@pytest.mark.parametrize("task", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("split", TASK.splits)
def test_a_reader_of_the_prompt_sees_through_names_and_role_words(task, split: str) -> None:
    for i in range(20):
        problem = task.problem(split, i)
        read = read_puzzle(problem.prompt)
        assert read.names == problem.metadata["names"]
        assert read.role_words == problem.metadata["role_words"]
        assert solutions(read.statements) == [problem.metadata["solution"]]


@pytest.mark.parametrize("split", TASK.splits)
def test_the_rule_based_trace_answers_in_the_words_of_the_problem(split: str) -> None:
    for i in range(20):
        problem = TASK.problem(split, i)
        assert TASK.grade(problem, TASK.rule_based_trace(problem)) == 1.0
        assert TASK.grade(problem, TASK.answer_text(problem)) == 1.0


def test_every_role_word_takes_the_article_a_and_is_no_name() -> None:
    words = [word for both in (PLAIN, *ROLE_WORDS) for word in both]
    assert len(set(words)) == len(words)
    names = (*NAMES, *UNCOMMON_NAMES)
    assert len({name.lower() for name in names} | set(words)) == len(names) + len(words)
    assert all(re.fullmatch("[b-df-hj-np-tv-z][a-z]+", word) for word in words)
    assert all(re.fullmatch("[A-Z][a-z]+", name) for name in names)


@pytest.mark.parametrize("num_people", [2, 8])
def test_the_smallest_and_the_largest_puzzles_have_every_axis(num_people: int) -> None:
    task = KnightsKnaves(people=[num_people], ood_people=[], axes=[*CHANGED, "depth-3", "width-3"])
    for split in task.splits:
        assert task.problem(split, 1).difficulty == num_people
