"""A reward that even a random student earns some of: tests of RL need groups that differ."""

from __future__ import annotations

from tailor_rl.types import Problem


def letters(problem: Problem, text: str) -> float:
    """The share of ASCII letters."""
    return sum(c.isascii() and c.isalpha() for c in text) / max(1, len(text))
