"""What a student is raised on: true parts, and never the strategy that demonstrations teach."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tailor_rl.tasks.knights.drills import Mixture, Upbringing, _grown
from tailor_rl.tasks.knights.wording import read_answer

STUDENTS = Path(__file__).resolve().parents[2] / "students"
KINDS = [field.name for field in fields(Mixture)]


def corpus(kind: str | None = None, seed: int = 5) -> Upbringing:
    mixture = {name: float(name == kind) for name in KINDS} if kind else None
    return Upbringing(seed=seed, people=(2, 3, 4), leaf_share=0.5, depth=2, mixture=mixture)


def test_the_same_seed_writes_the_same_documents_and_another_does_not() -> None:
    first, second, other = corpus(), corpus(), corpus(seed=6)
    documents = [first.document() for _ in range(50)]
    assert documents == [second.document() for _ in range(50)]
    assert documents != [other.document() for _ in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_habits_answer(kind: str) -> None:
    """A drill that ended with an answer would teach the whole, not a part."""
    drills = corpus(kind)
    habits = {"guess", "one_case", "two_cases"}
    for _ in range(50):
        prompt, completion = drills.document()
        assert prompt.endswith("Who is who?") == (kind in habits)
        assert ("<answer>" in completion) == (kind in habits)


@pytest.mark.parametrize("kind", ["guess", "one_case", "two_cases"])
def test_habits_try_two_cases_at_most_and_answer_readably(kind: str) -> None:
    drills = corpus(kind)
    for _ in range(50):
        prompt, completion = drills.document()
        names = [name.title() for name in re.findall(r"(?<=[.] )([A-Z]{3}) ", prompt)]
        assert read_answer(completion, names) is not None
        assert len(re.findall(r"Suppose|Case \d", completion)) <= 2


def test_every_judgement_of_a_drill_is_true() -> None:
    """ "X knight vs X honest true": what stands behind `vs` decides the atom before it."""
    drills = corpus()
    seen = 0
    for _ in range(300):
        _, completion = drills.document()
        atoms = re.findall(
            r"(\w+) (not )?(knight|knave) vs (\w+) (honest|lying) (true|false)", completion
        )
        for name, negated, role, beside, assumed, truth in atoms:
            assert beside == name.upper()
            value = (role == "knight") == (assumed == "honest")
            assert (value != bool(negated)) == (truth == "true")
            seen += 1
    assert seen > 200


@pytest.mark.parametrize(
    ("roles", "fits", "then"),
    [
        ({0: True}, True, {0: True, 1: True}),
        ({0: True, 1: True}, False, {0: True, 1: False}),
        ({0: True, 1: False}, False, {0: False}),
        ({0: False, 1: True, 2: False}, False, {0: False, 1: False}),
    ],
)
def test_growing_goes_on_after_a_fit_and_back_after_a_conflict(
    roles: dict[int, bool], fits: bool, then: dict[int, bool]
) -> None:
    assert _grown(roles, (0, 1, 2), first_role=True, fits=fits) == then


def test_counting_on_goes_through_every_case_once() -> None:
    drills = corpus("next_case")
    for _ in range(100):
        prompt, completion = drills.document()
        told = re.findall(r"(?:Suppose|Case \d+:) (.*?)\.", prompt)
        more = re.findall(r"(?:Suppose|Case \d+:) (.*?)\.", completion)
        assert len(told) >= 2
        assert len({*told, *more}) == len(told) + len(more)
        assert len(more) == min(3, 2 ** (told[0].count(",") + 1) - len(told))


def test_the_next_role_is_written_as_worked_solutions_write_it() -> None:
    drills = corpus("next_role")
    for _ in range(100):
        prompt, completion = drills.document()
        here = re.search(r"after (.*?) (fits|conflict),", prompt)
        assert here is not None
        before, after = here[1].split(", "), completion[len("Let ") : -1].split(", ")
        if here[2] == "fits":
            assert after[:-1] == before
        else:
            assert after[:-1] == before[: len(after) - 1]
            assert after[-1].split()[0] == before[len(after) - 1].split()[0]
            assert after[-1] != before[len(after) - 1]
