"""How a puzzle is asked and how an answer is read. Text only: knows no solver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tailor_rl.tasks.answers import tagged_answer
from tailor_rl.tasks.knights.puzzle import PLAIN, Puzzle, RoleWords
from tailor_rl.tasks.knights.statements import Statement, words

_INTRODUCTION = "Knights tell the truth, knaves lie."
_QUESTION = "Who is who?"
_FULL_INTRODUCTION = (
    "On an island everybody is either a knight, who only says true things, or a knave, "
    "who only says false things."
)
_FULL_QUESTION = "Who is a knight and who is a knave?"


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
        return reworded(f"{_INTRODUCTION} {claims} {_QUESTION}", PLAIN, puzzle.role_words)
    asked = f"{_FULL_INTRODUCTION} {claims} {_FULL_QUESTION}"
    return f"{reworded(asked, PLAIN, puzzle.role_words)} {how_to_answer(puzzle)}"


def how_to_answer(puzzle: Puzzle) -> str:
    """The answer format, for whoever has never seen it. The example's roles are nobody's: they
    alternate.
    """
    example = ", ".join(
        f"{name} is {_article(word)} {word}"
        for i, name in enumerate(puzzle.names)
        for word in [puzzle.role_words[i % 2]]
    )
    return (
        f"Think step by step, then finish with one line such as <answer>{example}</answer> "
        "that names everybody once."
    )


def reworded(text: str, old: RoleWords, new: RoleWords) -> str:
    """The text with the old role words exchanged for the new ones, all at once, also where they are
    capitalised or plural: "Knights lie, knaves ..." becomes "Falcons lie, ravens ...".
    """
    if old == new:
        return text
    to = dict(zip(old, new, strict=True))
    to |= {word.capitalize(): other.capitalize() for word, other in to.items()}
    either = "|".join(map(re.escape, to))
    return re.sub(rf"\b(?:{either})(?=s?\b)", lambda found: to[found[0]], text)


def speaking(name: str) -> str:
    """Who speaks, as in a play: "ANN Bob knave". One word of its own for a small model to find."""
    return name.upper()


def spoken_answer(
    names: Sequence[str], roles: Sequence[bool], role_words: RoleWords = PLAIN
) -> str:
    """ "Ann knight, Bob knave"."""
    return ", ".join(f"{n} {role_words[not r]}" for n, r in zip(names, roles, strict=True))


def spoken_case(names: Sequence[str], roles: Sequence[bool]) -> str:
    """ "ANN honest, BOB lying"."""
    return ", ".join(assumed(n, r) for n, r in zip(names, roles, strict=True))


def assumed(name: str, knight: bool) -> str:
    """ "ANN honest": an assumption. Roles have other words than in claims and answers, and a person
    is named as in speaking: a small model that has learnt to find one by the name finds the other.
    """
    return f"{speaking(name)} {'honest' if knight else 'lying'}"


def read_answer(
    text: str, names: Sequence[str], role_words: RoleWords = PLAIN
) -> tuple[bool, ...] | None:
    """The roles in the one `<answer>...</answer>` of a text, or None.

    "Ann knight", "Ann: knight" and "Ann is a knight" are read, parted by commas or lines. Two
    answers, a missing, repeated or unknown person, or any other word in the answer make it
    unreadable: listing several answers and hoping is not solving.
    """
    answer = tagged_answer(text)
    if answer is None:
        return None
    roles: dict[str, bool] = {}
    for part in re.split(r"[,\n]", answer):
        match = _named_role(*role_words).fullmatch(part.strip())
        if match is None or match["name"] in roles:
            return None
        roles[match["name"]] = match["liar"] is None
    if roles.keys() != set(names):
        return None
    return tuple(roles[name] for name in names)


@lru_cache(maxsize=256)
def _named_role(truthful: str, liar: str) -> re.Pattern[str]:
    """A name, and a role behind it. The name is checked afterwards: it need not be of one word."""
    either = "|".join(
        f"(?: is {_article(word)}|:)? (?P<{key}>{re.escape(word)})"
        for key, word in (("truthful", truthful), ("liar", liar))
    )
    return re.compile(rf"(?P<name>.+?)(?:{either})")


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


class UnreadablePuzzle(ValueError):
    """A prompt that is no Knights & Knaves puzzle of ours."""


@dataclass(frozen=True, slots=True)
class ReadPuzzle:
    """What a reader of the prompt knows: no solution."""

    names: tuple[str, ...]
    statements: tuple[Statement, ...]
    role_words: RoleWords = PLAIN  # what the prompt calls who tells the truth, and who lies


_ROLE_WORDS = re.compile(
    r"\b([A-Za-z]+)s tell the truth, ([a-z]+)s lie\."
    r"|\ba ([a-z]+), who only says true things, or a ([a-z]+),"
)
_CLAIM = re.compile(r"(?:\b([A-Z][a-z]+) says|\b([A-Z]{2,})) ([^.]+)\.")
_IFF = ("iff", "if and only if")
_TOKEN = re.compile(r"[()]|if and only if|\w+ (?:is )?(?:not )?(?:a )?kn(?:ight|ave)|\w+")


def read_puzzle(prompt: str) -> ReadPuzzle:
    """The inverse of `ask`, for solvers that only see the text (the built-in teacher).

    Whatever the prompt calls the roles, in `statements` they are knight and knave.
    """
    role_words = _told_role_words(prompt)
    claims = _CLAIM.findall(reworded(prompt, role_words, PLAIN))
    if not claims:
        raise UnreadablePuzzle("no claim such as 'Ann says Bob is a knave.' in the prompt")
    names = tuple(name or speaker.capitalize() for name, speaker, _ in claims)
    statements = []
    for _, _, claim in claims:
        tokens = _TOKEN.findall(claim)
        statements.append(_parse(tokens, names))
        if tokens:
            raise UnreadablePuzzle(f"cannot read the claim {claim!r}")
    return ReadPuzzle(names, tuple(statements), role_words)


def _told_role_words(prompt: str) -> RoleWords:
    """What the introduction calls the roles; the plain words where it has none."""
    told = _ROLE_WORDS.search(prompt)
    if told is None:
        return PLAIN
    truthful, liar = told.group(1, 2) if told[1] else told.group(3, 4)
    return truthful.lower(), liar


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
