"""What counts as the same output. Total: any value that JSON or a program can give is compared
without raising.
"""

from __future__ import annotations

import math
from typing import Any


def same_value(got: Any, expected: Any, tolerance: float) -> bool:
    """Python's ==, except that True is not 1, and that an expected float allows
    |got - expected| <= tolerance * max(1, |expected|). An expected int is exact (3.0 is 3).
    """
    if isinstance(expected, bool) or isinstance(got, bool):
        return got is expected
    if isinstance(expected, float):
        return isinstance(got, int | float) and _close(got, expected, tolerance)
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(same_value(g, e, tolerance) for g, e in zip(got, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(same_value(got[key], expected[key], tolerance) for key in expected)
        )
    return bool(got == expected)


def same_text(got: str, expected: str, tolerance: float) -> bool:
    """Line by line, blind to spaces at the ends of lines and empty lines at the end. A word that is
    expected to be a number with a point or exponent allows the tolerance of `same_value`.
    """
    got_lines, expected_lines = _lines(got), _lines(expected)
    return len(got_lines) == len(expected_lines) and all(
        g == e or _same_words(g.split(), e.split(), tolerance)
        for g, e in zip(got_lines, expected_lines, strict=True)
    )


def _same_words(got: list[str], expected: list[str], tolerance: float) -> bool:
    return len(got) == len(expected) and all(
        g == e or _same_number(g, e, tolerance) for g, e in zip(got, expected, strict=True)
    )


def _same_number(got: str, expected: str, tolerance: float) -> bool:
    if not any(mark in expected for mark in ".eE"):
        return False
    try:
        return _close(float(got), float(expected), tolerance)
    except ValueError:
        return False


def _close(got: float, expected: float, tolerance: float) -> bool:
    try:
        return math.isfinite(got) and abs(got - expected) <= tolerance * max(1.0, abs(expected))
    except OverflowError:  # an int beyond every float
        return False


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
