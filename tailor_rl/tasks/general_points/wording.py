"""How a hand is asked and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tailor_rl.tasks.countdown.expressions import SIGNS
from tailor_rl.tasks.countdown.wording import Given, UnreadableProblem, full_rules, row
from tailor_rl.tasks.general_points.cards import RANKS, SUITS, TARGET, Card, count

_RANK = "(?:10|[2-9AJQK])"
_SHORT = re.compile(
    rf"(?:Black|Red) cards ({_RANK}(?: {_RANK}){{3}})\. J Q K count (10|11 12 13)\. "
    rf"Target {TARGET}\."
)
_NAMES = {"A": "ace", "J": "jack", "Q": "queen", "K": "king"}
_LONG = {_NAMES.get(rank, rank): rank for rank in RANKS}
_CARD = re.compile(r"the (10|[2-9]|ace|jack|queen|king) of (?:spades|clubs|hearts|diamonds)")
_DIFFERENT = "jack, queen and king count 11, 12 and 13"
_ALIKE = "jack, queen and king count 10 each"
_FULL_OPENING = "You hold four playing cards:"


def ask(cards: Sequence[Card], *, faces_alike: bool, style: str) -> str:
    """The prompt. Short: "Black cards K 4 2 A. J Q K count 10. Target 24."; full: every suit is
    named and the rules are told.
    """
    if style == "short":
        colour = next(name for name, suits in SUITS.items() if cards[0][1] in suits)
        rule = "10" if faces_alike else "11 12 13"
        ranks = " ".join(rank for rank, _ in cards)
        return f"{colour.capitalize()} cards {ranks}. J Q K count {rule}. Target {TARGET}."
    *first, last = (f"the {_NAMES.get(rank, rank)} of {suit}" for rank, suit in cards)
    return (
        f"{_FULL_OPENING} {', '.join(first)} and {last}. A card with a number counts that number, "
        f"an ace counts 1, and {_ALIKE if faces_alike else _DIFFERENT}. Write an expression of "
        f"these four values, each used exactly once, that equals {TARGET}. {full_rules(SIGNS)}"
    )


def read_hand(prompt: str) -> Given:
    """The inverse of `ask`, as numbers and target, for solvers that only see the text.

    Raises UnreadableProblem.
    """
    short = _SHORT.search(prompt)
    if short is not None:
        return _counted(short[1].split(" "), faces_alike=short[2] == "10")
    start = prompt.find(_FULL_OPENING)
    told, rule, rest = prompt[start:].partition("A card with a number")
    ranks = [_LONG[name] for name in _CARD.findall(told)]
    if start < 0 or not rule or len(ranks) != 4:
        raise UnreadableProblem("no 'Black cards K 4 2 A. J Q K count 10.' in the prompt")
    return _counted(ranks, faces_alike=_DIFFERENT not in rest)


def given(values: Sequence[int]) -> Given:
    """The hand as a Countdown problem; a solution first says what the cards count."""
    return Given(tuple(values), TARGET, opening=f"Values {row(values)}.")


def _counted(ranks: Sequence[str], *, faces_alike: bool) -> Given:
    return given([count(rank, faces_alike=faces_alike) for rank in ranks])
