"""The upbringing of a Countdown student: true parts and bad habits, and nothing of the whole."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from tailor_rl.tasks.answers import tagged_answer
from tailor_rl.tasks.countdown.drills import Mixture, Upbringing
from tailor_rl.tasks.countdown.expressions import read_expression
from tailor_rl.tasks.countdown.puzzle import canonical
from tailor_rl.tasks.countdown.wording import read_problem
from tailor_rl.tasks.splits import BINS, NUM_BINS, fingerprint

KINDS = [field.name for field in fields(Mixture)]
HABITS = {"guess", "one_try"}


def corpus(kind: str | None = None, seed: int = 5, **options) -> Upbringing:
    mixture = {name: float(name == kind) for name in KINDS} if kind else None
    return Upbringing(seed=seed, numbers=[3, 4], mixture=mixture, **options)


def test_the_same_seed_writes_the_same_documents_and_another_does_not() -> None:
    first, second, other = corpus(), corpus(), corpus(seed=6)
    documents = [first.document() for _ in range(50)]
    assert documents == [second.document() for _ in range(50)]
    assert documents != [other.document() for _ in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_habits_answer_and_only_the_bare_question(kind: str) -> None:
    """A drill that ended with an answer would teach the whole, not a part."""
    drills = corpus(kind)
    for _ in range(60):
        prompt, completion = drills.document()
        assert bool(re.fullmatch(r"Numbers [\d ]+\. Target \d+\.", prompt)) == (kind in HABITS)
        assert ("<answer>" in completion) == (kind in HABITS)


@pytest.mark.parametrize("kind", sorted(HABITS))
def test_habits_use_the_numbers_try_once_and_seldom_hit(kind: str) -> None:
    drills, hits = corpus(kind), 0
    for _ in range(200):
        prompt, completion = drills.document()
        given = read_problem(prompt)
        said = read_expression(tagged_answer(completion) or "")
        assert said is not None and said.numbers == tuple(sorted(given.numbers))
        assert completion.count("Try") <= len(given.numbers) - 1
        assert "back" not in completion
        hits += said.value == given.target
    assert hits < 40


def test_every_calculation_and_comparison_of_a_drill_is_true() -> None:
    drills, seen = corpus(), 0
    for _ in range(1000):
        _, completion = drills.document()
        for part in re.split(r"[.,:]", completion):
            if "=" in part:
                sides = re.sub(r"^[^\d(]*", "", part).split(" = ")
                read = [read_expression(side) for side in sides]
                assert None not in read
                assert len({side.value for side in read if side}) == 1, completion
                seen += 1
        for value, negated, goal in re.findall(r"(\d+) is (not )?(\d+)\.", completion):
            assert (value != goal) == bool(negated)
    assert seen > 1500


def test_documents_are_about_problems_of_the_train_split_only() -> None:
    drills = corpus()
    for _ in range(500):
        given = read_problem(drills.document()[0])
        number = fingerprint(canonical(given.numbers, given.target))
        assert number % NUM_BINS in BINS["train"]


def test_two_numbers_reach_what_is_needed_as_often_as_not() -> None:
    drills, reached = corpus("reach"), 0
    for _ in range(300):
        prompt, completion = drills.document()
        goal = re.search(r"Need (\d+) from", prompt)
        assert goal is not None
        hit = completion.endswith(f"{goal[1]} is {goal[1]}.")
        assert hit or completion.endswith(f"None is {goal[1]}.")
        assert hit == (f"= {goal[1]}." in completion)
        reached += hit
    assert 100 < reached < 240


def test_the_next_tries_go_on_where_the_prompt_stops() -> None:
    drills = corpus("next_tries")
    for _ in range(100):
        prompt, completion = drills.document()
        told, more = (re.findall(r"Try (\S+ \S \S+) =", text) for text in (prompt, completion))
        assert told and 1 <= len(more) <= 3


@pytest.mark.parametrize(
    "options",
    [{}, {"values": [1, 60], "targets": [5, 9]}, {"targets": [90, 120], "values": [20, 60]}],
)
def test_any_range_can_be_practised(options: dict) -> None:
    drills = corpus(**options)
    assert all(all(drills.document()) for _ in range(150))


def test_documents_are_short_and_their_words_few() -> None:
    drills, words = corpus(), set()
    for _ in range(1000):
        text = " ".join(drills.document())
        assert len(text) < 400
        words |= set(re.findall("[A-Za-z-]+", text))
    assert len(words) < 50
