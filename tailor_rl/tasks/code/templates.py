"""The family of generated problems: what each asks for, in words, and how its parameters and inputs
are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tailor_rl.tasks.code import references

Kind = Literal["numbers", "text", "number"]
Parameters = Mapping[str, Any]
ARGUMENTS: Mapping[Kind, str] = {"numbers": "values", "text": "text", "number": "number"}
KIND_WORDS: Mapping[Kind, str] = {
    "numbers": "a list of integers",
    "text": "a string",
    "number": "an integer, 0 or more",
}
_LETTERS = "aeiourstlnmd"
_WORDS = (
    "river", "stone", "on", "a", "green", "hill", "letters", "moon", "see", "otter", "tree", "add",
    "summer", "to", "ball", "need", "is", "loom", "stairs", "inn", "dust", "eel", "all", "tide",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Template:
    """`words` says what is done, with the parameters in braces; each of `ranges` lists what its
    parameter may be.
    """

    reference: Callable[..., Any]
    takes: Kind
    gives: Kind
    words: str
    ranges: Mapping[str, Sequence[Any]]

    @property
    def name(self) -> str:
        return self.reference.__name__


@dataclass(frozen=True, slots=True)
class Step:
    """A template with its parameters."""

    template: Template
    parameters: Parameters

    @property
    def words(self) -> str:
        return self.template.words.format(**self.parameters)

    @property
    def key(self) -> str:
        """Alike for the same step only: "keep_remainder(k=3, r=1)"."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.template.name}({given})"

    def accepts(self, value: Any) -> bool:
        """Whether the words say what is done with this value: digits of less than 0 are nothing."""
        return self.template.takes != "number" or value >= 0

    def __call__(self, value: Any) -> Any:
        return self.template.reference(value, **self.parameters)


TEMPLATES = (
    Template(
        references.keep_remainder, "numbers", "numbers",
        "keep only the numbers that leave the remainder {r} when divided by {k} (negative numbers "
        "as Python's % has it), in their order",
        {"k": range(2, 8), "r": range(7)},
    ),
    Template(
        references.scale_and_shift, "numbers", "numbers",
        "multiply every number by {a} and then add {b} to it",
        {"a": range(2, 10), "b": (*range(-9, 0), *range(1, 10))},
    ),
    Template(
        references.clip, "numbers", "numbers",
        "replace every number below {low} by {low} and every number above {high} by {high}",
        {"low": range(-15, 0), "high": range(1, 16)},
    ),
    Template(
        references.neighbour_sums, "numbers", "numbers",
        "list the sums of every {k} neighbouring numbers, from the first {k} to the last {k} "
        "(where there are fewer than {k} numbers, the list is empty)",
        {"k": range(2, 7)},
    ),
    Template(
        references.every_nth, "numbers", "numbers",
        "keep the number at position {start} and every {n}th position after it, counting from 0",
        {"n": range(4, 8), "start": range(4)},
    ),
    Template(
        references.rotate, "numbers", "numbers",
        "take the first number away and put it at the end, {k} times",
        {"k": range(1, 10)},
    ),
    Template(
        references.sort_by_remainder, "numbers", "numbers",
        "sort the numbers by the remainder they leave when divided by {k} (negative numbers as "
        "Python's % has it), and those with the same remainder by size, smallest first",
        {"k": range(2, 12)},
    ),
    Template(
        references.distances, "numbers", "numbers",
        "list how far each number is from the one {k} positions later, as the absolute difference, "
        "for every number that has one",
        {"k": range(1, 6)},
    ),
    Template(
        references.count_between, "numbers", "number",
        "count the numbers from {low} to {high}, both included",
        {"low": range(-15, 3), "high": range(3, 16)},
    ),
    Template(
        references.sum_every_nth, "numbers", "number",
        "add up the number at position {start} and every {n}th position after it, counting from 0",
        {"n": range(4, 8), "start": range(4)},
    ),
    Template(
        references.nth_largest, "numbers", "number",
        "find the number in place {k} when all different numbers are sorted from the largest down "
        "(place 1 is the largest), or 0 where there are fewer different numbers",
        {"k": range(2, 6)},
    ),
    Template(
        references.count_pairs, "numbers", "number",
        "count the pairs of two different positions whose numbers add up to {total}; each pair "
        "counts once, whatever its order",
        {"total": range(-12, 13)},
    ),
    Template(
        references.longest_run_above, "numbers", "number",
        "find the length of the longest run of neighbouring numbers that are all greater than "
        "{limit}",
        {"limit": range(-12, 10)},
    ),
    Template(
        references.shift_letters, "text", "text",
        "replace every small letter from a to z by the one {k} places later in the alphabet, going "
        "on at a after z, and leave everything else as it is",
        {"k": range(1, 26)},
    ),
    Template(
        references.reverse_pieces, "text", "text",
        "cut it into pieces of {k} characters (the last may be shorter), reverse each piece, and "
        "join the pieces in their order",
        {"k": range(2, 10)},
    ),
    Template(
        references.remove_letters, "text", "text",
        "remove every letter {first} and every letter {second}",
        {"first": _LETTERS, "second": _LETTERS},
    ),
    Template(
        references.repeat_letter, "text", "text",
        "write every letter {letter} {k} times",
        {"letter": _LETTERS, "k": range(2, 8)},
    ),
    Template(
        references.keep_long_words, "text", "text",
        "keep only the words of {k} or more letters, with one space between them",
        {"k": range(3, 7)},
    ),
    Template(
        references.capitalise_nth, "text", "text",
        "write word {start} and every {n}th word after it in capital letters, counting words from "
        "0, with one space between words",
        {"n": range(4, 7), "start": range(4)},
    ),
    Template(
        references.count_words, "text", "number",
        "count the words of {k} or more letters that contain the letter {letter}",
        {"letter": _LETTERS, "k": range(1, 5)},
    ),
    Template(
        references.letter_value, "text", "number",
        "add up its small letters, where a is 1, b is 2 and z is 26 and all else is 0, and find "
        "the remainder of that sum when divided by {k}",
        {"k": range(5, 60)},
    ),
    Template(
        references.digit_sum, "number", "number",
        "add up its digits when it is written in base {base}",
        {"base": range(2, 17)},
    ),
    Template(
        references.steps_to_zero, "number", "number",
        "count the steps until it is 0, where a step divides it by {k} if that leaves no "
        "remainder, and else takes 1 from it",
        {"k": range(2, 13)},
    ),
    Template(
        references.reverse_digits, "number", "number",
        "reverse its decimal digits (zeros that come first then count for nothing) and add {b}",
        {"b": range(1, 80)},
    ),
    Template(
        references.count_divisors, "number", "number",
        "count the integers from 1 to {limit} that divide it without a remainder",
        {"limit": range(8, 60)},
    ),
    Template(
        references.in_base, "number", "text",
        "write it in base {base}, as a string of digits",
        {"base": range(2, 10)},
    ),
)  # fmt: skip


def draw_step(rng: Random, templates: Sequence[Template] = TEMPLATES) -> Step:
    """Any template with any parameters that make sense together."""
    template = rng.choice(templates)
    while True:
        parameters = {name: rng.choice(options) for name, options in template.ranges.items()}
        if parameters.get("r", 0) < parameters.get("k", 1) and (
            parameters.get("first", "") < parameters.get("second", "~")
        ):
            return Step(template, parameters)


def draw_input(rng: Random, kind: Kind) -> Any:
    """Something of a kind, in one of twelve draws empty (the number 0)."""
    empty = rng.randrange(12) == 0
    if kind == "number":
        return 0 if empty else rng.randrange(1, 10 ** rng.randint(1, 5))
    if kind == "text":
        return "" if empty else " ".join(rng.choices(_WORDS, k=rng.randint(1, 9)))
    spread = rng.choice((5, 20))  # close together: equal numbers, pairs, runs
    return [] if empty else [rng.randint(-spread, spread) for _ in range(rng.randint(1, 12))]
