"""What temperature does to the built-in teacher. Up to 0.8 it makes no mistakes; from there on
steps go wrong, words change places, and at last the text dissolves: at 1.6 little of it is of use.
"""

from __future__ import annotations

from random import Random

_STEADY = 0.8  # up to this temperature the teacher makes no mistakes


def variety(temperature: float) -> float:
    """How freely a style's fields are drawn where an instruction leaves them open, 0 to 1."""
    return min(1.0, temperature / 4)


def slip(temperature: float) -> float:
    """The chance of a mistake at each step: 0.08 at 1.6."""
    return max(0.0, temperature - _STEADY) / 10


def worded(text: str, *, temperature: float, rng: Random) -> str:
    """A solution as it is said at this temperature."""
    muddled = mumbled(text, temperature=temperature, rng=rng)
    return _dissolved(muddled, chance=min(1.0, 0.03 * _heat(temperature) ** 6), rng=rng)


def mumbled(text: str, *, temperature: float, rng: Random) -> str:
    """Some words have changed places with their neighbour: 4 % of them at 1.6."""
    words, chance = text.split(" "), 0.04 * _heat(temperature)
    for i in range(len(words) - 1):
        if rng.random() < chance:
            words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _heat(temperature: float) -> float:
    """0 while the teacher is steady, 1 at 1.6."""
    return max(0.0, temperature - _STEADY) / _STEADY


def _dissolved(text: str, *, chance: float, rng: Random) -> str:
    """From some word on only what was said before, at random, so that no answer is reached;
    `chance` is that of each word.
    """
    words = text.split(" ")
    start = next((i for i in range(len(words)) if rng.random() < chance), len(words))
    return " ".join([*words[:start], *rng.choices(words[: start or 1], k=len(words) - start)])
