"""What an answer is worth: strict for accuracy, graded for RL, and no text breaks either."""

from __future__ import annotations

import itertools
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.types import Problem

TASK = KnightsKnaves(people=[2, 3], prompt="full", axes=["role-words", "role-flip", "people-8"])


def problem(**metadata) -> Problem:
    known = {"names": ("Ann", "Bob"), "solution": (True, False), "role_words": ("knight", "knave")}
    return Problem("knights:test:0", "?", "?", "test", 2, metadata={**known, **metadata})


RIGHT = "Ann is a knight, Bob is a knave"


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        # structure +1, answer +2
        (f"<think>so</think><answer>{RIGHT}</answer>", 3.0),
        (f"so</think> <answer>{RIGHT}</answer>", 3.0),  # the template opened the thinking
        ("<think>so</think><answer>(1) Ann is a knight\n(2) Bob is a knave</answer>", 3.0),
        ("<think>so</think><answer>ann IS A Knight and BOB is  a knave.</answer>", 3.0),
        ("<think>so</think><answer>Bob: knave, Ann knight</answer>", 3.0),
        # structure +1, every role told, one or all wrong -1.5
        ("<think>so</think><answer>Ann is a knight, Bob is a knight</answer>", -0.5),
        ("<think>so</think><answer>Ann is a knave, Bob is a knight</answer>", -0.5),
        # structure +1, unreadable -2
        ("<think>so</think><answer></answer>", -1.0),
        ("<think>so</think><answer>Ann is a knight</answer>", -1.0),
        ("<think>so</think><answer>Ann is a knight, Cal is a knave</answer>", -1.0),
        (f"<think>so</think><answer>{RIGHT}, Cal is a knave</answer>", -1.0),
        ("<think>so</think><answer>Ann is not a knight, Bob is a knave</answer>", -1.0),
        ("<think>so</think><answer>Annabel is a knight, Bob is a knave</answer>", -1.0),
        # structure -1, and then nothing is read: -2
        ("", -3.0),
        (RIGHT, -3.0),
        (f"<answer>{RIGHT}</answer>", -3.0),
        (f"<think>so<answer>{RIGHT}</answer>", -3.0),
        (f"</think><think>so<answer>{RIGHT}</answer>", -3.0),
        (f"<answer>{RIGHT}</answer><think>so</think>", -3.0),
        (f"<think>so<answer>{RIGHT}</answer></think>", -3.0),
        (f"<think><think>so</think><answer>{RIGHT}</answer>", -3.0),
        (f"<think>so</think></think><answer>{RIGHT}</answer>", -3.0),
        (f"<think>so</think><answer>{RIGHT}</answer><answer>{RIGHT}</answer>", -3.0),
        (f"<think>so</think></answer>{RIGHT}<answer>", -3.0),
    ],
)
def test_logic_rl_reward_by_hand(text: str, worth: float) -> None:
    assert TASK.rewards["logic_rl"](problem(), text) == worth


def test_logic_rl_reward_knows_the_role_words_in_force() -> None:
    flipped = problem(role_words=("knave", "knight"))
    text = f"<think>so</think><answer>{RIGHT}</answer>"
    assert TASK.rewards["logic_rl"](flipped, text) == -0.5
    renamed = problem(role_words=("angel", "devil"))
    assert TASK.rewards["logic_rl"](renamed, text) == -1.0
    said = text.replace("a knight", "an angel").replace("knave", "devil")
    assert TASK.rewards["logic_rl"](renamed, said) == 3.0


@pytest.mark.parametrize(
    ("answer", "readable"),
    [(RIGHT, 1.0), ("Ann knave, Bob knave", 1.0), ("Ann knight", 0.0), ("", 0.0)],
)
def test_format_reward_is_for_readable_answers_right_or_wrong(answer: str, readable: float) -> None:
    assert TASK.rewards["format"](problem(), f"<answer>{answer}</answer>") == readable


def test_a_problem_read_back_from_json_is_graded_the_same() -> None:
    listed = problem(names=["Ann", "Bob"], solution=[True, False], role_words=["knight", "knave"])
    assert TASK.grade(listed, f"<answer>{RIGHT}</answer>") == 1.0
    assert TASK.rewards["logic_rl"](listed, f"</think><answer>{RIGHT}</answer>") == 3.0


def test_a_problem_recorded_without_role_words_has_the_plain_ones() -> None:
    old = Problem("x", "?", "?", "test", 2, metadata={"names": ("Ann",), "solution": (True,)})
    assert TASK.grade(old, "<answer>Ann knight</answer>") == 1.0


def is_solution(asked: Problem, answer: str) -> bool:
    """Judged apart from the grader: every person once, in any order and any known form."""
    parts = [part.strip() for line in answer.split("\n") for part in line.split(",")]
    words = asked.metadata["role_words"]
    wanted = {
        f"{name}{link} {words[not role]}"
        for name, role in zip(asked.metadata["names"], asked.metadata["solution"], strict=True)
        for link in ("", ":", " is a")
    }
    people = [part.partition(" ")[0].rstrip(":") for part in parts]
    return set(parts) <= wanted and sorted(people) == sorted(asked.metadata["names"])


SPLITS = ("test", "ood/people-4", "ood/role-words", "ood/role-flip", "ood/people-8")
PIECES = st.sampled_from(
    ["knight", "knave", "Knight", " is a ", " is an ", ": ", ", ", "\n", " ", "not ", "(1) ", ".",
     "__import__('os')", "((((", "{{", "\\boxed{", "<answer>", "</answer>", "<think>", "</think>",
     "\u0410nn", "\u212anight", "kn\u0456ght", "\x00", "\ud800", "\u2028", "e\u0301"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_only_the_right_answer_is_worth_one_and_nothing_raises(data) -> None:
    split = data.draw(st.sampled_from(SPLITS))
    asked = TASK.problem(split, data.draw(st.integers(0, 20)))
    own = st.sampled_from([*asked.metadata["names"], *asked.metadata["role_words"], asked.answer])
    pieces = st.lists(st.one_of(own, own, PIECES, st.text(max_size=5)), max_size=12)
    inside, before, after = "".join(data.draw(pieces)), *(
        "".join(data.draw(pieces)) for _ in range(2)
    )  # fmt: skip
    for text in (inside, f"<answer>{inside}</answer>", f"{before}<answer>{inside}</answer>{after}"):
        grade = TASK.grade(asked, text)
        assert grade in (0.0, 1.0)
        if grade == 1.0:
            said = text.partition("<answer>")[2].partition("</answer>")[0]
            assert text.count("<answer>") == 1 and is_solution(asked, said.strip())
        for reward in TASK.rewards.values():
            assert math.isfinite(reward(asked, text))


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_but_one_is_worth_nothing(split: str) -> None:
    asked = TASK.problem(split, 3)
    names, words = asked.metadata["names"], asked.metadata["role_words"]
    every = [
        "<answer>" + ", ".join(map(" ".join, zip(names, roles, strict=True))) + "</answer>"
        for roles in itertools.product(words, repeat=len(names))
    ]
    assert sum(TASK.grade(asked, text) for text in every) == 1.0
    assert TASK.grade(asked, " ".join(every)) == 0.0
    assert TASK.grade(asked, f"{TASK.answer_text(asked)} {TASK.answer_text(asked)}") == 0.0
    assert TASK.grade(asked, f"{asked.prompt} {TASK.answer_text(asked)}") == 0.0  # two answers


def test_the_prompt_echoed_is_worth_no_more_than_a_guess() -> None:
    """A "full" prompt shows an example of an answer: it is right as often as any other."""
    asked = [TASK.problem("ood/people-4", i) for i in range(300)]
    right = [TASK.grade(one, one.prompt) for one in asked]
    assert sum(right) / len(right) < 3 / 16


@pytest.mark.parametrize(
    "text",
    [
        "<answer>" * 200_000,
        "<answer>" + "Ann is a " * 300_000 + "</answer>",
        "<answer>" + " " * 1_900 + "</answer>",
        "<answer>Ann" + " " * 1_900 + "knight</answer>",
        "<answer>" + "Ann " * 490 + "</answer>",
        "<answer>" + "(" * 1_900 + "</answer>",
        "</think><answer>" + "Ann   " * 330 + "</answer>",
        "Ann is a knight. " * 200_000,
        "Ann" + "\n" * 3_000_000,
        "\u0410" * 2_000_000 + f"<answer>{RIGHT}</answer>" + "<" * 1_000_000,
    ],
)
def test_megabytes_are_graded_at_once(text: str) -> None:
    start = time.thread_time()
    TASK.grade(problem(), text)
    for reward in TASK.rewards.values():
        reward(problem(), text)
    assert time.thread_time() - start < 1.0
