"""Knights & Knaves puzzles from a file in the public JSONL format, checked before anything uses
them.

One object a line; further fields are ignored::

    {"quiz": "A very special island ... So who is a knight and who is a knave?",
     "names": ["Zoey", "David"], "solution": [true, false],
     "statements": "(('lying', 1), ('and', ('telling-truth', 0), ('lying', 0)))",
     "knight_knave": {"knight": "knight", "knave": "knave"}}

Person i is `names[i]` and says `statements[i]`, a Python literal of ('telling-truth', i),
('lying', i), ('not', s), ('and', s, ...), ('or', s, ...), ('->', s, s) and ('<=>', s, s).
`knight_knave` says what the quiz calls the roles; without it they are knight and knave.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from tailor_rl.tasks.knights.generated import Drawn
from tailor_rl.tasks.knights.puzzle import PLAIN, Puzzle, RoleWords, fingerprint, solutions
from tailor_rl.tasks.knights.statements import Statement
from tailor_rl.tasks.knights.wording import how_to_answer
from tailor_rl.tasks.splits import BINS, belongs

MOST_PEOPLE = 8
_MOST_LITERAL_CHARS = 20_000
_DEEPEST = 8
_LEAVES = {"telling-truth": "knight", "lying": "knave"}
_JOINTS = {"not": "not", "and": "and", "or": "or", "->": "if", "<=>": "iff"}
_NUM_PARTS = {"not": (1, 1), "->": (2, 2), "<=>": (2, 2), "and": (2, 20), "or": (2, 20)}


class Records:
    """The puzzles of a file, shared out among the splits by their fingerprints.

    `ood_people` puzzles stand in "ood/people-N" alone; the others in train, validation and test,
    all of them or only those of `people` people. Raises ValueError where a split would be empty.
    """

    def __init__(
        self, path: Path, *, people: Sequence[int] | None, ood_people: Sequence[int]
    ) -> None:
        every = read_records(path)
        self._drawn: dict[str, list[Drawn]] = {
            split: [
                drawn
                for drawn in every
                if belongs(split, drawn.fingerprint)
                and drawn.puzzle.num_people not in ood_people
                and (people is None or drawn.puzzle.num_people in people)
            ]
            for split in BINS
        }
        for n in ood_people:
            self._drawn[f"ood/people-{n}"] = [
                drawn
                for drawn in every
                if belongs("ood", drawn.fingerprint) and drawn.puzzle.num_people == n
            ]
        self.splits = tuple(self._drawn)
        if empty := [split for split, drawn in self._drawn.items() if not drawn]:
            raise ValueError(
                f"task.options.path: the split {empty[0]} would be empty, because none of the "
                f"{len(every)} puzzles in {path} belongs to it (about 80, 10 and 10 of 100 go to "
                "train, validation and test): use a larger file"
            )

    def size(self, split: str) -> int:
        return len(self._drawn[split])

    def draw(self, split: str, index: int) -> Drawn:
        return self._drawn[split][index % len(self._drawn[split])]


def read_records(path: Path) -> list[Drawn]:
    """Every puzzle of a file, in order; ValueError with the line where one is broken."""
    where = f"task.options.path: {path}"
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ValueError(
            f"{where} cannot be read ({error.strerror}); it must be a JSONL file"
        ) from error
    drawn = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            drawn.append(_read(json.loads(line)))
        except RecursionError as error:
            raise ValueError(f"{where}, line {number}: it is nested too deeply") from error
        except ValueError as error:
            what = "it is no JSON" if isinstance(error, _NO_JSON) else error
            raise ValueError(f"{where}, line {number}: {what}") from error
    if not drawn:
        raise ValueError(f"{where} holds no puzzle; it must be a JSONL file with one a line")
    return drawn


_NO_JSON = (json.JSONDecodeError, UnicodeDecodeError)


def _read(record: Any) -> Drawn:
    """One line's puzzle; ValueError says what is wrong with it."""
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    if missing := [k for k in ("quiz", "names", "statements", "solution") if k not in record]:
        raise ValueError(f"it has no {missing[0]!r}")
    quiz = record["quiz"]
    if not isinstance(quiz, str) or any("\ud800" <= letter <= "\udfff" for letter in quiz):
        raise ValueError("'quiz' must be a text of whole characters")
    names = _read_names(record["names"], quiz)
    statements = _read_statements(record["statements"], len(names))
    solution = record["solution"]
    if not _is_list(solution, bool) or len(solution) != len(names):
        raise ValueError(f"'solution' must be {len(names)} times true or false")
    found = solutions(statements)
    if len(found) != 1:
        raise ValueError(f"its statements have {len(found)} solutions instead of one")
    if found != [tuple(solution)]:
        raise ValueError("its 'solution' is not the one that its statements have")
    role_words = _read_role_words(record.get("knight_knave"))
    puzzle = Puzzle(names, statements, found[0], role_words)
    return Drawn(puzzle, fingerprint(statements), prompt=f"{quiz.strip()} {how_to_answer(puzzle)}")


def _read_names(names: Any, quiz: str) -> tuple[str, ...]:
    if not _is_list(names, str) or not 2 <= len(names) <= MOST_PEOPLE:
        raise ValueError(f"'names' must be a list of 2 to {MOST_PEOPLE} names")
    for name in names:
        if not _is_wordlike(name):
            raise ValueError(f"the name {name[:40]!r} has characters that no answer can have")
        if name not in quiz:
            raise ValueError(f"the name {name!r} does not stand in the quiz")
    if len(set(names)) < len(names):
        raise ValueError("'names' has a name twice")
    return tuple(names)


def _read_role_words(words: Any) -> RoleWords:
    if words is None:
        return PLAIN
    truthful, liar = (words.get(k) if isinstance(words, dict) else None for k in PLAIN)
    if not _is_wordlike(truthful) or not _is_wordlike(liar) or truthful == liar:
        raise ValueError("'knight_knave' must be an object with two words, 'knight' and 'knave'")
    return truthful, liar


def _read_statements(text: Any, num_people: int) -> tuple[Statement, ...]:
    if not isinstance(text, str) or len(text) > _MOST_LITERAL_CHARS:
        raise ValueError(f"'statements' must be a text of up to {_MOST_LITERAL_CHARS} characters")
    try:
        # only literals: names, calls and operators on anything but numbers raise
        told = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("'statements' is no Python literal") from error
    if not isinstance(told, tuple) or len(told) != num_people:
        raise ValueError(f"'statements' must be {num_people} statements, one for each name")
    return tuple(_read_statement(said, num_people, _DEEPEST) for said in told)


def _read_statement(said: Any, num_people: int, depth: int) -> Statement:
    if depth == 0:
        raise ValueError(f"a statement has more than {_DEEPEST} levels")
    if not isinstance(said, tuple) or not said or not isinstance(said[0], str):
        raise ValueError(f"{repr(said)[:60]} is no statement")
    kind, *parts = said
    if kind in _LEAVES and len(parts) == 1:
        if type(parts[0]) is not int or not 0 <= parts[0] < num_people:
            raise ValueError(f"the statement {repr(said)[:60]} is about nobody in the puzzle")
        return (_LEAVES[kind], parts[0])
    fewest, most = _NUM_PARTS.get(kind, (1, 0))
    if not fewest <= len(parts) <= most:
        raise ValueError(f"{repr(said)[:60]} is no statement")
    return (_JOINTS[kind], *(_read_statement(part, num_people, depth - 1) for part in parts))


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) for one in value)


def _is_wordlike(text: Any) -> TypeGuard[str]:
    """Letters, with single spaces, hyphens or apostrophes between them."""
    if not isinstance(text, str):
        return False
    return all(part.isalpha() for part in text.replace("-", " ").replace("'", " ").split(" "))
