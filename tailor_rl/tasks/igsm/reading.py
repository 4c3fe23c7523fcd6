"""The inverse of the prompt: what a program that only sees the text can know of a problem.

Sentences are taken apart by plain splitting, and what was read must say the same prompt again, so
that nothing is ever read half.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailor_rl.tasks.igsm.puzzle import Definition, Formulas, Parameter, Puzzle
from tailor_rl.tasks.igsm.wording import FINISH, RULES, Wording, ask, items_of, numbers_of
from tailor_rl.tasks.igsm.words import CATEGORY_OF, CHAIN_OF

_MAX_CHARS, _MAX_SENTENCES = 50_000, 100  # no prompt of ours comes near
Sentences = tuple[tuple[Parameter, Definition], ...]
Kinds = tuple[tuple[str, tuple[str, ...]], ...]


class UnreadableProblem(ValueError):
    """A text that is no iGSM problem of ours."""


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """What a reader of the prompt knows: no solution."""

    puzzle: Puzzle
    wording: Wording


def read_problem(prompt: str) -> ReadProblem:
    """The inverse of `ask`, white space around the prompt aside; raises UnreadableProblem."""
    text = prompt.strip()
    wording: Wording = "full" if text.startswith(RULES) else "short"
    try:
        if len(text) > _MAX_CHARS:
            raise ValueError("it is too long")
        puzzle = _read_full(text) if wording == "full" else _read_short(text)
        if len(puzzle.sentences) > _MAX_SENTENCES:
            raise ValueError("it has too many sentences")
        _check_layers(puzzle)
        formulas = Formulas.of(puzzle)
        formulas.in_order(formulas.needed(puzzle.question))
        if len(formulas.told) != len(puzzle.sentences) or ask(puzzle, wording=wording) != text:
            raise ValueError("a part of it was not understood")
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        raise UnreadableProblem(f"not a problem of the igsm task: {error}") from error
    return ReadProblem(puzzle, wording)


def _check_layers(puzzle: Puzzle) -> None:
    """Things are of the next category down."""
    level = {item: i for i, (_, items) in enumerate(puzzle.kinds) for item in items}
    for (owner, thing), _ in puzzle.sentences:
        if level[thing] != level[owner] + 1:
            raise ValueError(f"{owner[:100]!r} cannot have {thing[:100]!r}")


def _read_full(text: str) -> Puzzle:
    rules, categories, told, question, finish = text.split("\n")
    if finish != FINISH:
        raise ValueError("it does not end as such a problem does")
    kinds = []
    for kind in categories.removeprefix("Categories: ").removesuffix(".").split("; "):
        category, items = kind.split(": ")
        kinds.append((category, tuple(items.split(", "))))
    thing, owner = question.removeprefix("How many ").removesuffix(" have?").split(" does ")
    sentences = tuple(_full_sentence(said) for said in told.removesuffix(".").split(". "))
    modulo = _modulo(rules.removeprefix(f"{RULES} "), wording="full")
    return Puzzle(sentences, (owner, thing), tuple(kinds), modulo)


def _full_sentence(said: str) -> tuple[Parameter, Definition]:
    name, right = said.removeprefix("The number of each ").split(" equals ")
    constant, times, total = _constant(right, more="more than ", times="times as much as ")
    minus = total.startswith("the difference of ")
    names = total.removeprefix("the difference of ").removeprefix("the sum of ")
    *first, last = names.split(", ")
    listed = [*first, *last.split(" and ")] if total else []
    operands = tuple(_full_name(each.removeprefix("each ")) for each in listed)
    return _full_name(name), Definition(operands, constant, times=times, minus=minus)


def _full_name(name: str) -> Parameter:
    owner, thing = name.split("'s ")
    return owner, thing


def _read_short(text: str) -> Puzzle:
    numbers, *told, question = text.split(". ")
    sentences = tuple(_short_sentence(said) for said in told)
    return Puzzle(
        sentences,
        _short_name(question.removesuffix("?")),
        _known_kinds(sentences),
        _modulo(f"{numbers}.", wording="short"),
    )


def _short_sentence(said: str) -> tuple[Parameter, Definition]:
    name, right = said.split(" = ")
    constant, times, total = _constant(right, more="more than ", times="times ")
    minus = " - " in total
    listed = total.split(" - " if minus else " + ") if total else []
    operands = tuple(_short_name(each) for each in listed)
    return _short_name(name), Definition(operands, constant, times=times, minus=minus)


def _short_name(name: str) -> Parameter:
    """Parts may be joined or have several words; the vocabulary tells where the second begins.

    No two places will do: a test holds that of every pair. 100 is far beyond any name, and keeps
    a hostile one from costing the square of its length.
    """
    for i in range(1, min(len(name), 100)):
        owner, thing = name[:i].rstrip(" "), name[i:]
        if owner in CATEGORY_OF and (thing in CATEGORY_OF or thing in CHAIN_OF):
            return owner, thing
    raise ValueError(f"{name[:100]!r} names no parameter")


def _known_kinds(sentences: Sentences) -> Kinds:
    """The short wording does not tell categories: they are known by heart."""
    items = items_of(sentences)
    chain = CHAIN_OF[CATEGORY_OF[min(items)]] if items else ()
    by_category = {
        category: tuple(sorted(item for item in items if CATEGORY_OF[item] == category))
        for category in chain
    }
    return tuple((category, found) for category, found in by_category.items() if found)


def _constant(right: str, *, more: str, times: str) -> tuple[int | None, bool, str]:
    """A right-hand side as (constant, whether it multiplies, the rest)."""
    first, _, rest = right.partition(" ")
    if not (first.isascii() and first.isdigit()):
        return None, False, right
    return int(first), rest.startswith(times), rest.removeprefix(more).removeprefix(times)


def _modulo(numbers: str, *, wording: Wording) -> int:
    digits = "".join(c if c.isascii() and c.isdigit() else " " for c in numbers).split()
    modulo = int(digits[0]) if digits else 0
    if numbers != numbers_of(modulo, wording=wording):
        raise ValueError("it does not say which arithmetic is meant")
    return modulo
