"""iGSM's grader and process checker: right is right, and nothing talks them round."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.tasks.igsm.checker import process_is_right
from tailor_rl.tasks.igsm.puzzle import Formulas
from tailor_rl.tasks.igsm.reading import read_problem
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.igsm.traces import PUBLISHED, Solver, Style
from tailor_rl.tasks.igsm.wording import read_answer
from tailor_rl.types import Problem

FULL, SHORT = IGSM(), IGSM(preset="small")
WHOLE = IGSM(preset="rl", ops=[4, 9])
SAMPLE = [(task, task.problem("train", i)) for task in (FULL, SHORT, WHOLE) for i in range(7)]


def boxed(text: object) -> str:
    return f"So \\boxed{{{text}}}"


def tagged(text: object) -> str:
    return f"So <answer>{text}</answer>"


@pytest.mark.parametrize("task", [FULL, SHORT])
def test_of_all_residues_one_is_right_and_others_equal_to_it_are_too(task: IGSM) -> None:
    problem = task.problem("test", 4)
    wrap = boxed if task is FULL else tagged
    modulo, answer = problem.metadata["modulo"], int(problem.answer)
    for number in range(-2 * modulo, 3 * modulo):
        right = number % modulo == answer
        assert task.grade(problem, wrap(number)) == float(right), number


def test_whole_numbers_are_compared_as_they_are() -> None:
    problem = WHOLE.problem("train", 0)
    answer = int(problem.answer)
    for number in range(answer - 30, answer + 31):
        assert WHOLE.grade(problem, boxed(number)) == float(number == answer)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("5", 5), (" 5\n", 5), ("-18", -18), ("005", 5), ("-0", 0), ("\u2003 5", 5),
        ("+5", None), ("5.0", None), ("5.", None), ("1e1", None), ("0x5", None), ("5 + 0", None),
        ("", None), ("v", None), ("five", None), ("5 or 6", None), ("5, 6", None), ("1_0", None),
        ("\u0665", None), ("\uff15", None), ("\u00b2", None), ("\u2212 5", None), ("--5", None),
        ("- 5", None), ("1,000", None), ("5%", None), ("{5}", None), ("$5$", None),
        ("\\text{5}", None), ("9" * 13, None), ("10**10**10", None), ("__import__('os')", None),
    ],
)  # fmt: skip
def test_an_answer_is_a_plain_integer(said: str, number: int | None) -> None:
    assert read_answer(boxed(said), wording="full") == number
    assert read_answer(tagged(said), wording="short") == number


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("5", None, None),
        ("\\boxed{5}", 5, None),
        ("\\boxed{5} or \\boxed{6}", 6, None),
        ("\\boxed{6} \\boxed{}", None, None),
        ("\\boxed{5", None, None),
        ("\\boxed 5", None, None),
        ("<answer>5</answer>", None, 5),
        ("<answer>5</answer> <answer>5</answer>", None, None),
        ("<answer><answer>5</answer>", None, None),
        ("</answer>5<answer>", None, None),
        ("<ANSWER>5</ANSWER>", None, None),
    ],
)
def test_each_wording_has_one_place_for_the_answer(
    text: str, full: int | None, short: int | None
) -> None:
    assert read_answer(text, wording="full") == full
    assert read_answer(text, wording="short") == short


FRAGMENTS = st.sampled_from(
    [
        "\\boxed{", "}", "{", "<answer>", "</answer>", "Define ", " as h; so h = ", ". ", "; ",
        *map(str, range(-3, 24)), " ", "\n", "\u0663", "\uff13", "1e1", "__import__('os')",
        "10**10**10", "9" * 5000, "\x00", "\ud800",
    ]
)  # fmt: skip


def plainly_right(answer: int, modulo: int, content: str) -> bool:
    body = content.strip()
    digits = body.removeprefix("-")
    if not digits or len(digits) > 12 or set(digits) - set(string.digits):
        return False
    return (int(body) - answer) % modulo == 0


@settings(deadline=None)  # a busy machine must not fail it
@given(st.lists(FRAGMENTS | st.text(max_size=8), max_size=30), st.integers(0, 5))
def test_no_text_is_right_unless_its_answer_is(parts: list[str], index: int) -> None:
    """Beside another reading of the two answer places."""
    text = "".join(parts)
    for task in (FULL, SHORT):
        problem = task.problem("train", index)
        answer, modulo = int(problem.answer), problem.metadata["modulo"]
        if task is FULL:
            _, found, rest = text.rpartition("\\boxed{")
            content, closed, _ = rest.partition("}")
        else:
            found = str(text.count("<answer>") == 1 == text.count("</answer>") or "")
            content, closed, _ = text.partition("<answer>")[2].partition("</answer>")
        right = bool(found) and bool(closed) and plainly_right(answer, modulo, content)
        assert task.grade(problem, text) == float(right)
        assert task.rewards["process"](problem, text) == 0.0


HOSTILE = {
    "empty": "",
    "every answer": "".join(map(boxed, [*range(200), "?"])) + "".join(map(tagged, range(200))),
    "open braces": "\\boxed{" + "{" * 3_000_000,
    "boxes in boxes": "\\boxed{" * 400_000 + "5" + "}" * 400_000,
    "tags": "<answer>" * 300_000,
    "digits": "\\boxed{" + "7" * 3_000_000 + "}<answer>" + "7" * 3_000_000 + "</answer>",
    "tower": "\\boxed{10**10**10}<answer>10**10**10</answer>",
    "definitions": "Define A's B as h; so h = 15. " * 100_000,
    "equations": "Define " + "a = a + a = 1 + 1 = 2; " * 100_000,
    "spaces": " " * 3_000_000,
    "import": boxed("__import__('os').abort()") + tagged("__import__('os').abort()"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_quickly_worth_nothing(name: str) -> None:
    for task in (FULL, SHORT, WHOLE):
        problem = task.problem("train", 1)
        start = time.process_time()
        assert task.grade(problem, HOSTILE[name]) == 0.0
        assert task.rewards["process"](problem, HOSTILE[name]) == 0.0
        assert time.process_time() - start < 0.5


def test_the_prompt_repeated_is_no_answer() -> None:
    for task, problem in SAMPLE:
        assert task.grade(problem, problem.prompt) == 0.0
        assert task.grade(problem, problem.prompt + task.answer_text(problem)) == 1.0
        assert task.rewards["process"](problem, problem.prompt) == 0.0


def solutions() -> Iterator[tuple[IGSM, Problem, str]]:
    for task, problem in SAMPLE:
        yield task, problem, task.rule_based_trace(problem)


def accepted(problem, text: str) -> bool:
    return process_is_right(read_problem(problem.prompt), text)


def steps_of(text: str) -> list[str]:
    """The definitions without the answer."""
    return re.split(r" The answer| <answer>", text)[0].removesuffix(".").split(". ")


def told(steps: list[str]) -> str:
    return ". ".join(steps) + "."


def test_the_published_solution_is_accepted_with_and_without_its_answer() -> None:
    for _, problem, text in solutions():
        assert accepted(problem, text)
        assert accepted(problem, told(steps_of(text)))
        assert accepted(problem, f"\n{text.replace('. Define', '.' + chr(10) + 'Define')} \n")
        assert not accepted(problem, f"Well. {text}")
        assert not accepted(problem, text.replace("Define ", ""))


def test_any_wrong_number_is_noticed() -> None:
    for _, problem, text in solutions():
        for match in re.finditer(r"-?\b\d+", text):
            for other in (int(match[0]) + 1, int(match[0]) - 1):
                assert not accepted(
                    problem, text[: match.start()] + str(other) + text[match.end() :]
                )


def test_any_wrong_symbol_is_noticed() -> None:
    rng = Random(0)
    for _, problem, text in solutions():
        for match in re.finditer(r"\b[A-Za-z]\b", text):
            for other in [*rng.sample(string.ascii_letters, 2), "ab", "1"]:
                if other != match[0]:
                    wrong = text[: match.start()] + other + text[match.end() :]
                    assert not accepted(problem, wrong), wrong


def test_any_missing_repeated_or_early_step_is_noticed() -> None:
    for _, problem, text in solutions():
        steps = steps_of(text)
        formulas = Formulas.of(read_problem(problem.prompt).puzzle)
        order = formulas.in_order(formulas.needed(question_of(problem)))
        for i, step in enumerate(steps):
            assert not accepted(problem, told(steps[:i] + steps[i + 1 :]))
            assert not accepted(problem, told([*steps[: i + 1], step, *steps[i + 1 :]]))
            parts = step.split("; ")
            for j in range(1, len(parts)):
                shorter = "; ".join(parts[:j] + parts[j + 1 :])
                assert not accepted(problem, told([*steps[:i], shorter, *steps[i + 1 :]]))
            for operand in formulas.operands(order[i]):
                j = order.index(operand)
                early = [*steps[:j], step, *steps[j:i], *steps[i + 1 :]]
                assert not accepted(problem, told(early))


def question_of(problem):
    return read_problem(problem.prompt).puzzle.question


def test_a_second_definition_of_the_same_with_fresh_symbols_is_noticed() -> None:
    for _, problem, text in solutions():
        steps = steps_of(text)
        own = steps[0].split(" as ")[1][0]
        fresh = next(c for c in string.ascii_letters if not re.search(rf"\b{c}\b", text))
        again = re.sub(rf"\b{own}\b", fresh, steps[0])
        assert not accepted(problem, told([steps[0], again, *steps[1:]]))


def test_other_right_numbers_may_be_computed_but_the_question_comes_last() -> None:
    seen = 0
    for _, problem, _ in solutions():
        read = read_problem(problem.prompt)
        text = Solver(read, Style(symbols=True, everything=True), rng=Random(0)).write()
        steps = steps_of(text)
        letters = re.findall(r"\b[A-Za-z]{2}\b", text.replace("as", "").replace("so", ""))
        asked = next(i for i, s in enumerate(steps) if f"Define {asked_in(read)} as" in s)
        if letters or len(steps) == 1:
            continue
        assert accepted(problem, told(steps[: asked + 1]))
        if asked + 1 < len(steps):
            seen += 1
            assert not accepted(problem, told(steps))
    assert seen > 3


def asked_in(read) -> str:
    return Solver(read, PUBLISHED).name(read.puzzle.question)


def test_a_sum_may_be_turned_but_a_difference_may_not() -> None:
    turned = {"+": 0, "-": 0}
    for task, problem in [
        (task, task.problem("train", i)) for task, _ in SAMPLE[:8:7] for i in range(60)
    ]:
        text = task.rule_based_trace(problem)
        for match in re.finditer(r"([A-Za-z]) ([+-]) ([A-Za-z]) = (-?\d+) [+-] (-?\d+) = ", text):
            a, operator, b, x, y = match.groups()
            swapped = f"{b} {operator} {a} = {y} {operator} {x} = "
            wrong = text[: match.start()] + swapped + text[match.end() :]
            turned[operator] += 1
            if operator == "+":
                assert accepted(problem, wrong)
            else:
                assert not accepted(problem, wrong)
    assert min(turned.values()) > 5


def test_a_right_value_by_a_wrong_formula_is_noticed() -> None:
    """2 + 2 and 2 * 2 are the same number; told is the sum."""
    prompt = "Modulo 7. NorthRed = 2. NorthBlue = 2. NorthGold = NorthRed + NorthBlue. NorthGold?"
    read = read_problem(prompt)
    start = "Define NorthRed as a; so a = 2. Define NorthBlue as b; so b = 2. "
    start += "Define NorthGold as c; "
    assert process_is_right(read, f"{start}so c = a + b = 2 + 2 = 4.")
    for wrong in (
        "so c = a * b = 2 * 2 = 4.",
        "so c = a + a = 2 + 2 = 4.",
        "so c = 2 + b = 2 + 2 = 4.",
        "so c = 4.",
        "so c = a + b = 2 + 2 = 11.",
        "so c = a + b = 4.",
        "so c = a + b = b + a = 4.",
        "c = a + b = 2 + 2 = 4.",
        "d = a + b = 2 + 2 = 4; so c = d + d = 4 + 4 = 1.",
        "d = a + b = 2 + 2 = 4; e = a - a = 2 - 2 = 0; so c = e + 4 = 0 + 4 = 4.",
        "so c = a + b = 2 + 2 = 4. <answer> 5</answer>",
        "so c = a + b = 2 + 2 = 4. <answer> 4</answer> <answer> 4</answer>",
        "so c = a + b = 2 + 2 = 4. I am sure.",
        "d = a * a = 2 * 2 = 4; " + "".join(
            f"{y} = {x} * {x} = 4 * 4 = 2; " for x, y in zip("defghi", "efghij", strict=True)
        ) + "so c = a + b = 2 + 2 = 4.",
    ):  # fmt: skip
        assert not process_is_right(read, start + wrong), wrong
    longer = "d = b + b = 2 + 2 = 4; e = d - b = 4 - 2 = 2; so c = a + e = 2 + 2 = 4."
    assert process_is_right(read, start + longer)


def test_a_symbol_is_never_defined_again_even_where_nobody_minds() -> None:
    read = read_problem("Modulo 7. NorthRed = 2. NorthBlue = 3 more than NorthRed. NorthBlue?")
    first = "Define NorthRed as a; so a = 2. Define NorthBlue as "
    assert process_is_right(read, f"{first}b; so b = 3 + a = 3 + 2 = 5.")
    assert not process_is_right(read, f"{first}a; so a = 3 + a = 3 + 2 = 5.")
    assert not process_is_right(read, f"{first}b; a = a + 3 = 2 + 3 = 5; so b = a = 5.")
    assert not process_is_right(
        read, f"{first}b; c = a + 3 = 2 + 3 = 5; c = a + 3 = 2 + 3 = 5; so b = c = 5."
    )


def test_an_operand_that_cancels_out_is_still_one_too_many() -> None:
    read = read_problem("Modulo 7. NorthPink = 1. NorthRed = 2. NorthBlue = NorthRed. NorthBlue?")
    first = "Define NorthRed as a; so a = 2. Define NorthPink as p; so p = 1. "
    assert process_is_right(read, f"{first}Define NorthBlue as b; so b = a = 2.")
    detour = "c = a + p = 2 + 1 = 3; so b = c - p = 3 - 1 = 2."
    assert not process_is_right(read, f"{first}Define NorthBlue as b; {detour}")


@settings(deadline=None)  # a busy machine must not fail it
@given(st.lists(FRAGMENTS | st.sampled_from(["NorthRed", "a", "=", "so ", "2"]), max_size=40))
def test_the_process_checker_never_raises(parts: list[str]) -> None:
    read = read_problem("Modulo 7. NorthRed = 2. NorthBlue = NorthRed. NorthBlue?")
    assert process_is_right(read, " ".join(parts)) in (True, False)
