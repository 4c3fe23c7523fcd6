r"""How a problem is told and how an answer is read. Text only: knows no solver.

Two wordings. "full" says what a stranger needs to know and wants the answer in a box::

    The number of each Rose Court's Long Bed equals 5 more than each Long Bed's Tulip. ...
    How many Flower does Rose Court have? ... \boxed{number}

"short" is for students that were raised on it, and wants `<answer> 3</answer>`::

    Modulo 7. NorthRed = 5 more than RedWool + RedSilk. RedWool = 2. ... NorthSack?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tailor_rl.tasks.answers import last_boxed, tagged_answer
from tailor_rl.tasks.igsm.puzzle import Definition, Formulas, Parameter, Puzzle

Wording = Literal["short", "full"]
RULES = (
    "Every sentence below tells how many things of one kind each thing of another kind has. "
    "What a thing has of a whole category is a total: of all the things of that category that it "
    "has itself or, for a category further down, of everything that it has, each counted with what "
    "it has of the category in turn."
)
FINISH = "Think step by step, then end with the answer in a box: \\boxed{number}."
_INTEGER = re.compile(r"-?[0-9]{1,12}")


def ask(puzzle: Puzzle, *, wording: Wording, request: str | None = None) -> str:
    """The prompt; a `request` stands in place of the question."""
    told = " ".join(f"{sentence(*pair, wording=wording)}." for pair in puzzle.sentences)
    question = request or question_of(puzzle, wording=wording)
    numbers = numbers_of(puzzle.modulo, wording=wording)
    if wording == "short":
        return f"{numbers} {told} {question}"
    kinds = "; ".join(f"{category}: {', '.join(items)}" for category, items in puzzle.kinds)
    return f"{RULES} {numbers}\nCategories: {kinds}.\n{told}\n{question}\n{FINISH}"


def numbers_of(modulo: int, *, wording: Wording) -> str:
    """The sentence that says which arithmetic is meant."""
    if wording == "short":
        return f"Modulo {modulo}." if modulo else "Whole numbers."
    if modulo:
        return f"Calculate modulo {modulo}: every number is one of 0 to {modulo - 1}."
    return "Calculate with whole numbers, which may be negative."


def question_of(puzzle: Puzzle, *, wording: Wording) -> str:
    owner, thing = puzzle.question
    if wording == "short":
        return f"{named(puzzle.question, wording=wording)}?"
    return f"How many {thing} does {owner} have?"


def named(parameter: Parameter, *, wording: Wording) -> str:
    """ "NorthRed", or "Rose Court's Long Bed". Short names of one word each are joined: a small
    model finds what one token is about much sooner than what two are.
    """
    if wording == "full":
        return "'s ".join(parameter)
    return (" " if " " in "".join(parameter) else "").join(parameter)


def sentence(parameter: Parameter, definition: Definition, *, wording: Wording) -> str:
    """What is told of one instance parameter, without its full stop."""
    name, constant = named(parameter, wording=wording), definition.constant
    full = wording == "full"
    right = str(constant)
    if definition.operands:
        right = _total(definition, wording=wording)
        if constant is not None:
            more, times = "more than", "times as much as" if full else "times"
            right = f"{constant} {times if definition.times else more} {right}"
    return f"The number of each {name} equals {right}" if full else f"{name} = {right}"


def _total(definition: Definition, *, wording: Wording) -> str:
    names = [named(operand, wording=wording) for operand in definition.operands]
    if wording == "short":
        return (" - " if definition.minus else " + ").join(names)
    names = [f"each {name}" for name in names]
    if len(names) == 1:
        return names[0]
    kind = "difference" if definition.minus else "sum"
    return f"the {kind} of {', '.join(names[:-1])} and {names[-1]}"


def implied(parameter: Parameter, formulas: Formulas, *, wording: Wording) -> str:
    """What an abstract parameter comes to: "NorthSack = NorthRed * RedSack + ..."."""
    terms = (
        " * ".join(named(operand, wording=wording) for operand in term)
        for term in formulas.terms(parameter)
    )
    return f"{named(parameter, wording=wording)} = {' + '.join(terms)}"


def spoken_answer(value: int, *, wording: Wording) -> str:
    r""" "<answer> 3</answer>", or "The answer is \boxed{3}."."""
    return (
        f"<answer> {value}</answer>" if wording == "short" else f"The answer is \\boxed{{{value}}}."
    )


def read_answer(text: str, *, wording: Wording) -> int | None:
    r"""The integer in the text's one `<answer>...</answer>` ("short") or last `\boxed{}` ("full").

    An integer is 1 to 12 ASCII digits with at most a "-" in front, leading zeros and white space
    around it allowed. Nothing else counts: no "+5", "5.0", "1e1", "5 apples" or "1,000", and no
    digits of other scripts.
    """
    found = tagged_answer(text) if wording == "short" else last_boxed(text)
    return int(found) if found is not None and _INTEGER.fullmatch(found) else None


def items_of(sentences: Sequence[tuple[Parameter, Definition]]) -> set[str]:
    """Every item that a sentence defines something of."""
    return {name for parameter, _ in sentences for name in parameter}
