"""Playing cards, what they count, and hands that can make 24."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import Random

from tailor_rl.tasks.countdown.expressions import SIGNS
from tailor_rl.tasks.countdown.puzzle import canonical
from tailor_rl.tasks.countdown.search import Tree, find
from tailor_rl.tasks.splits import belongs, fingerprint

TARGET, HAND = 24, 4
RANKS = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K")
FACES = ("J", "Q", "K")
SUITS = {"black": ("spades", "clubs"), "red": ("hearts", "diamonds")}
Card = tuple[str, str]  # rank, suit


def count(rank: str, *, faces_alike: bool) -> int:
    """What a card is worth: an ace 1, J, Q and K 10 each or (`faces_alike=False`) 11, 12, 13."""
    return min(RANKS.index(rank) + 1, 10 if faces_alike else 13)


def deal(
    rng: Random, *, split: str, colour: str, faces_alike: bool, with_face: bool
) -> tuple[tuple[Card, ...], Tree]:
    """Four different cards of one colour whose values make 24 (fractions allowed), and how;
    their values' fingerprint belongs to the split.

    All colours and rules share the bins, so a hand of the train split comes back in no other.
    """
    deck = [(rank, suit) for rank in RANKS for suit in SUITS[colour]]
    while True:
        cards = tuple(rng.sample(deck, HAND))
        if with_face and not any(rank in FACES for rank, _ in cards):
            continue
        values = tuple(count(rank, faces_alike=faces_alike) for rank, _ in cards)
        if not belongs(split, fingerprint(canonical(values, TARGET))):
            continue
        tree = way_to_24(tuple(sorted(values)))
        if tree is not None:
            return cards, tree


@lru_cache(maxsize=4096)  # there are 1,820 hands
def way_to_24(values: Sequence[int]) -> Tree | None:
    """In whole numbers where that is possible, as 8 / (3 - (8 / 3)) where it is not."""
    whole = find(values, TARGET, operators=SIGNS, fractions=False)
    if whole is not None:
        return whole
    return find(values, TARGET, operators=SIGNS, fractions=True)
