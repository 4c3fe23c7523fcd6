"""What went wrong in a student's search for an expression, found by reading its answer."""

from __future__ import annotations

import re

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.countdown.expressions import Expression
from tailor_rl.tasks.countdown.wording import Given, read_answer
from tailor_rl.teachers.builtin.calculations import calculations
from tailor_rl.teachers.builtin.subject import Pattern

PATTERNS = {
    "guess": Pattern(
        "The student names an expression without a single calculation.", ("method", "each", "tries")
    ),
    "misused": Pattern(
        "The answer uses a number twice, leaves one out, or brings in what was not given.",
        ("restate", "retract"),
    ),
    "slip": Pattern(
        "A calculation has a wrong result, and everything after it rests on that.",
        ("verify", "each"),
    ),
    "differs": Pattern(
        "The expression that is answered has another value than the one that was worked out.",
        ("verify", "numbered"),
    ),
    "few_tries": Pattern(
        "The student stops after a try or two and answers although the target was missed.",
        ("tries", "retract", "numbered"),
    ),
    "unreadable": Pattern(
        "The final answer is not one expression of numbers, signs and brackets.",
        ("verify", "restate"),
    ),
    "unfinished": Pattern(
        "The search never comes to an answer.", ("tries", "large_first", "retract")
    ),
    "other": Pattern(
        "The expression that was answered was never shown to reach the target.",
        ("verify", "method", "products_first"),
    ),
}
MISCOUNTED = Pattern(
    "A card is counted as something else than the rules of the problem say.", ("restate", "verify")
)
HAND_PATTERNS = PATTERNS | {"miscounted": MISCOUNTED}
_VALUES = re.compile(r"Values ([0-9]{1,3}(?: [0-9]{1,3}){0,11})\b")


def diagnose(given: Given, text: str) -> str:
    """The worst pattern in a wrong answer."""
    if OPEN not in text or CLOSE not in text:
        return "unfinished"
    said = read_answer(text, given.target)
    if said is None:
        return "unreadable"
    found = list(calculations(text))
    if not found:
        return "guess"
    if _misuses(said, given):
        return "misused"
    if not all(one.right for one in found):
        return "slip"
    if said.value == given.target:
        return "other"
    if found[-1].claimed == given.target or said.value not in {one.claimed for one in found}:
        return "differs"
    few = len({one.written for one in found}) <= 2 * len(given.numbers)
    return "few_tries" if few else "other"


def diagnose_hand(given: Given, text: str) -> str:
    """The same of a hand of cards, whose values stand at the beginning of a solution."""
    counted = _VALUES.search(text)
    if counted and counted[1].split(" ") != [str(number) for number in given.numbers]:
        return "miscounted"
    return diagnose(given, text)


def _misuses(said: Expression, given: Given) -> bool:
    fits = said.numbers == tuple(sorted(given.numbers))
    return not fits or not said.operators <= set(given.operators)
