r"""Whether an answer says the same as the right one: as text, as a number, or as mathematics.

Nothing here evaluates what a model wrote as Python. A right answer that is a number asks for a
number: a sum to be worked out, or the question's own expression, is no answer to it. Only where the
right answer is no number (an expression, a set, an interval, a matrix) does math-verify compare,
symbolically. That can take for ever on some inputs, and math-verify's own deadlines work by a
signal that belongs to whoever calls us: they are off, and the caller ends a grader that hangs. Of
the known bombs (9^{9^{9^9}}, 99999999!, huge sums) none is let through.

"99,100" is the number 99100, "99, 100" two numbers: data that lists must have the space.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tailor_rl.tasks.answers import CLOSE, OPEN, last_boxed, tagged_answer

_SPACING = re.compile(r"\\(?:left|right|displaystyle|limits)(?![A-Za-z])|\\[!,;:]|~")
_SPACE = re.compile(r"(?<!\\)\\ ")  # and no end of a matrix row
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree|\\circ")
_WORDS = re.compile(r"\\(?:text|textbf|mathrm|mbox|textrm)\s*\{([^{}]*)\}")
_WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"(?:{_WHOLE}(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    r"(?:[A-Za-z\\][^=<>,;]{0,40}=\s*)?"  # "x = 5" says 5
    r"(?P<sign>[+-]?)\s*[$€£]?\s*"
    rf"(?:(?P<mixed>{_WHOLE}\s*)?\\frac\s*"
    rf"(?:\{{\s*(?P<top>-?\s*{_WHOLE})\s*\}}|(?P<top1>\d))\s*"
    rf"(?:\{{\s*(?P<bottom>{_WHOLE})\s*\}}|(?P<bottom1>\d))"
    rf"|(?P<over>{_DECIMAL})\s*/\s*(?P<under>{_DECIMAL})"
    rf"|(?P<decimal>{_DECIMAL}))"
    r"(?P<unit>\s*[%°]|\s+(?:[A-Za-z]{2}[A-Za-z ./]*|[mgshlLCF])(?:\^\{?[23]\}?)?)?\s*"
)
# "5 plus six", "5 million": words that make another number of it.
_NO_UNITS = {
    *("or", "and", "plus", "minus", "times", "over", "to", "by", "not", "less", "more"),
    *("hundred", "thousand", "million", "billion", "trillion", "dozen", "half", "squared"),
}
# Operators that leave the work to the checker: only where the right answer has them too.
_UNDONE = (r"\sum", r"\prod", r"\int", r"\lim", r"\binom", "!")
_COSTLY = re.compile(
    r"\d\s*\^\s*\{?\s*\d+\s*\^"  # 9^{9^9}
    r"|\^\s*\{?\s*-?\s*\d{4,}"  # x^{99999}
    r"|\)\s*\^\s*\{?\s*\d{2,}"  # (x+y+z)^{60}
)
_TWO_NUMBERS = re.compile(r"\d\s+\d")  # math-verify adds them up: "5 6" would be 11
_SUBSCRIPT = re.compile(r"_\{?\d+\}?")  # the base of a number, which math-verify drops
_MANY_LETTERS = re.compile(r"[A-Za-z]{3,}(?: +[A-Za-z]+)*")


def written_answer(text: str) -> str | None:
    r"""What a text gives as its answer: its one `<answer>`, or else its last `\boxed{...}`.

    With tags that are not exactly one pair there is no answer, whatever is boxed.
    """
    if OPEN not in text and CLOSE not in text:
        return last_boxed(text)
    tagged = tagged_answer(text)
    if tagged and tagged.startswith("\\boxed{") and tagged.endswith("}"):
        return last_boxed(tagged)
    return tagged


def same_text(right: str, answer: str) -> bool:
    """Character for character, but for space between words."""
    return answer.split() == right.split() != []


def same_number(right: str, answer: str) -> bool:
    r"""Exactly the same number: "72" is "72.0", "$72" and "\frac{144}{2}"; "50%" is "50", not 0.5.

    A unit may be left out or added, and must not be another one.
    """
    wanted, found = read_number(right), read_number(answer)
    if wanted is None or found is None or wanted[0] != found[0]:
        return False
    return not wanted[1] or not found[1] or wanted[1] == found[1]


def same_math(right: str, answer: str) -> bool:
    """The same number where the right answer is one; else the same words, or the same by
    math-verify.

    An expression in another form is the same: (x+1)^2 and x^2+2x+1.
    """
    if read_number(right) is not None:
        return same_number(right, answer)
    wanted, found = _tidy(right), _tidy(answer)
    if not found or wanted == found:
        return bool(found)
    words = _as_words(wanted)
    if words is not None:
        return _as_words(_WORDS.sub(r"\1", found), any_length=True) == words
    return _comparable(wanted, found) and _verified(wanted, found)


@lru_cache(maxsize=4096)
def read_number(text: str) -> tuple[Fraction, str] | None:
    r"""The number that a text is, and its unit ("cm", "%", "°", "" without one); None for anything
    else.
    """
    match = _NUMBER.fullmatch(_WORDS.sub(r" \1", _tidy(text)))
    if match is None:
        return None
    part = {key: (value or "").replace(",", "") for key, value in match.groupdict().items()}
    top = part["top"].replace(" ", "") or part["top1"] or part["over"] or part["decimal"]
    bottom = part["bottom"] or part["bottom1"] or part["under"] or "1"
    under = Fraction(bottom)
    if under == 0:
        return None
    value = Fraction(top.rstrip(".")) / under + Fraction(part["mixed"].strip() or 0)
    words = part["unit"].lower().replace(".", " ").split()
    if _NO_UNITS.intersection(words):
        return None
    unit = " ".join(words)
    unit = {"degrees": "°", "degree": "°", "percent": "%"}.get(unit, unit)
    return (-value if part["sign"] == "-" else value), unit.removesuffix("s").removesuffix("e")


def _tidy(text: str) -> str:
    """Without what changes only how it looks."""
    text = text.strip()
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(start) and text.endswith(end) and len(text) >= len(start + end):
            text = text[len(start) : len(text) - len(end)]
    text = _SPACE.sub(" ", text)
    text = _SPACING.sub("", text.replace("−", "-"))  # noqa: RUF001  # the typographic minus
    text = _DEGREES.sub("°", text).replace("{,}", ",")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = text.replace("\\%", "%").replace("\\$", "$")
    return " ".join(text.split()).removesuffix(".").rstrip()


def _as_words(text: str, *, any_length: bool = False) -> str | None:
    r"""The words that an answer is: "\text{(C)}" is "c", "east" is "east"; None for "xy"."""
    match = _WORDS.fullmatch(text)
    if match is None and not any_length and not _MANY_LETTERS.fullmatch(text):
        return None
    words = " ".join((match[1] if match else text).casefold().split())
    return words[1:-1] if words.startswith("(") and words.endswith(")") else words


def _comparable(right: str, answer: str) -> bool:
    """What math-verify would let pass, or choke on, although it is no answer."""
    if "$" in answer or _TWO_NUMBERS.search(answer):
        return False
    if any(operator in answer and operator not in right for operator in _UNDONE):
        return False
    if _COSTLY.search(answer) and not _COSTLY.search(right):
        return False
    bases = set(_SUBSCRIPT.findall(answer))
    if bases and bases != set(_SUBSCRIPT.findall(right)):
        return False
    if "=" not in right and "=" in answer:  # "y = 2x" may say 2x; "4 = 5" says nothing
        name, _, rest = answer.partition("=")
        if "=" in rest or not re.match(r"[A-Za-z\\]", name):
            return False
    return _brackets(right) == _brackets(answer)


def _brackets(text: str) -> str:
    """The brackets around a list of several: "(1,2)" is not "[1,2]"; a set may go without."""
    if "," not in text:
        return ""
    ends = (text[0] if text[0] in "([" else "") + (text[-1] if text[-1] in ")]" else "")
    return "" if text.startswith("\\{") else ends


def _verified(right: str, answer: str) -> bool:
    from math_verify import verify  # type: ignore[import-untyped]

    return bool(verify(_parsed(right), _parse(answer), float_rounding=10, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _parsed(right: str) -> Any:
    return _parse(right)


def _parse(text: str) -> Any:
    """math-verify's reading of LaTeX. Its reader of plain text is not used: it runs Python."""
    from math_verify import LatexExtractionConfig, parse

    return parse(
        f"${text}$",
        [LatexExtractionConfig(boxed_match_priority=-1)],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )


def get_ready() -> None:
    """Import math-verify now, not inside the time limit of the first answer; ValueError without
    it.
    """
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "task.options.checker = 'math' needs the package math-verify: install tailor-rl[tasks]"
        ) from error
    # Each reminds once that its deadlines are off, as they are on purpose.
    for part in ("parser", "grader"):
        logging.getLogger(f"math_verify.{part}").setLevel(logging.ERROR)
    assert _verified("x+1", "1+x")  # and builds its tables


CHECKERS: dict[str, Callable[[str, str], bool]] = {
    "exact": same_text,
    "number": same_number,
    "math": same_math,
}
