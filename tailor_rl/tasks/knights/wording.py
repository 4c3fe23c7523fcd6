"""How a puzzle is asked and how an answer is read. Text only: knows no solver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.tasks.knights.puzzle import Puzzle
from tailor_rl.tasks.knights.statements import Statement, words

_INTRODUCTION = "Knights tell the truth, knaves lie."
_QUESTION = "Who is who?"
_FULL_INTRODUCTION = (
    "On an island everybody is either a knight, who only says true things, or a knave, "
    "who only says false things."
)
_FULL_QUESTION = (
    "Who is a knight and who is a knave? Think step by step, then finish with one line such as "
    "<answer>{example}</answer> that names everybody once."
)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ROLE = re.compile(r"\s*([A-Za-z]+)(?: is a|:)? (knight|knave)\s*")


def ask(puzzle: Puzzle, *, style: str) -> str:
    """The prompt: "short" for students that were raised on it, "full" says what a stranger needs to
    know.
    """
    short = style == "short"
    claims = " ".join(
        f"{speaking(name) if short else f'{name} says'} {words(said, puzzle.names, terse=short)}."
        for name, said in zip(puzzle.names, puzzle.statements, strict=True)
    )
    if short:
        return f"{_INTRODUCTION} {claims} {_QUESTION}"
    example = ", ".join(
        f"{name} is a {'knave' if i % 2 else 'knight'}" for i, name in enumerate(puzzle.names)
    )
    return f"{_FULL_INTRODUCTION} {claims} {_FULL_QUESTION.format(example=example)}"


def speaking(name: str) -> str:
    """Who speaks, as in a play: "ANN Bob knave". One word of its own for a small model to find."""
    return name.upper()


def spoken_answer(names: Sequence[str], roles: Sequence[bool]) -> str:
    """ "Ann knight, Bob knave"."""
    return ", ".join(f"{n} {role_word(r)}" for n, r in zip(names, roles, strict=True))


def spoken_case(names: Sequence[str], roles: Sequence[bool]) -> str:
    """ "ANN honest, BOB lying"."""
    return ", ".join(assumed(n, r) for n, r in zip(names, roles, strict=True))


def assumed(name: str, knight: bool) -> str:
    """ "ANN honest": an assumption. Roles have other words than in claims and answers, and a person
    is named as in speaking: a small model that has learnt to find one by the name finds the other.
    """
    return f"{speaking(name)} {'honest' if knight else 'lying'}"


def role_word(knight: bool) -> str:
    return "knight" if knight else "knave"


def read_answer(text: str, names: Sequence[str]) -> tuple[bool, ...] | None:
    """The roles in the one `<answer>...</answer>` of a text, or None.

    Two answers, a missing, repeated or unknown person, or any other word in the answer make it
    unreadable: listing several answers and hoping is not solving.
    """
    if text.count("<answer>") != 1 or text.count("</answer>") != 1:
        return None
    found = _ANSWER.search(text)
    if found is None or len(found[1]) > 2000:
        return None
    roles: dict[str, bool] = {}
    for part in re.split(r"[,\n]", found[1].strip()):
        match = _ROLE.fullmatch(part)
        if match is None or match[1] in roles:
            return None
        roles[match[1]] = match[2] == "knight"
    if roles.keys() != set(names):
        return None
    return tuple(roles[name] for name in names)


class UnreadablePuzzle(ValueError):
    """A prompt that is no Knights & Knaves puzzle of ours."""


@dataclass(frozen=True, slots=True)
class ReadPuzzle:
    """What a reader of the prompt knows: no solution."""

    names: tuple[str, ...]
    statements: tuple[Statement, ...]


_CLAIM = re.compile(r"(?:\b([A-Z][a-z]+) says|\b([A-Z]{2,})) ([^.]+)\.")
_IFF = ("iff", "if and only if")
_TOKEN = re.compile(r"[()]|if and only if|\w+ (?:is )?(?:not )?(?:a )?kn(?:ight|ave)|\w+")


def read_puzzle(prompt: str) -> ReadPuzzle:
    """The inverse of `ask`, for solvers that only see the text (the built-in teacher)."""
    claims = _CLAIM.findall(prompt)
    if not claims:
        raise UnreadablePuzzle("no claim such as 'Ann says Bob is a knave.' in the prompt")
    names = tuple(name or speaker.capitalize() for name, speaker, _ in claims)
    statements = []
    for _, _, claim in claims:
        tokens = _TOKEN.findall(claim)
        statements.append(_parse(tokens, names))
        if tokens:
            raise UnreadablePuzzle(f"cannot read the claim {claim!r}")
    return ReadPuzzle(names, tuple(statements))


def _parse(tokens: list[str], names: Sequence[str]) -> Statement:
    """Consume one statement from the front of `tokens`."""
    if tokens and tokens[0] == "if":
        tokens.pop(0)
        condition = _operand(tokens, names)
        _expect(tokens, "then")
        return ("if", condition, _operand(tokens, names))
    parts = [_operand(tokens, names)]
    joint = tokens[0] if tokens and tokens[0] in ("and", "or", *_IFF) else None
    while joint and tokens and tokens[0] == joint:
        tokens.pop(0)
        parts.append(_operand(tokens, names))
    if joint is None:
        return parts[0]
    return ("iff" if joint in _IFF else joint, *parts)


def _operand(tokens: list[str], names: Sequence[str]) -> Statement:
    if not tokens:
        raise UnreadablePuzzle("a claim ends too early")
    token = tokens.pop(0)
    if token == "not":
        return ("not", _operand(tokens, names))
    if token == "(":
        inner = _parse(tokens, names)
        _expect(tokens, ")")
        return inner
    name, _, rest = token.partition(" ")
    role = rest.rpartition(" ")[2]
    if name not in names or role not in ("knight", "knave"):
        raise UnreadablePuzzle(f"cannot read {token!r} in a claim")
    leaf = (role, names.index(name))
    return ("not", leaf) if "not " in rest else leaf


def _expect(tokens: list[str], word: str) -> None:
    if not tokens or tokens.pop(0) != word:
        raise UnreadablePuzzle(f"expected {word!r} in a claim")
