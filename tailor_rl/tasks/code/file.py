r"""Problems from a JSONL file: one JSON object a line.

    {"prompt": "Write add(a, b), the sum.", "entry": "add",
     "tests": [{"args": [1, 2], "expected": 3}], "solution": "def add(a, b):\n    return a + b"}
    {"prompt": "Print the double of a number.", "tests": [{"stdin": "4\n", "stdout": "8\n"}]}

With "entry" the function of that name is called, without it the program is run. "solution" (code
that passes) may be left out. "split" ("train", "validation" or "test") stands on every line or on
none; on none, a fingerprint of the prompt (blind to spaces) decides: 80, 10 and 10 of 100.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.graders.sandbox import Call, Case, Program
from tailor_rl.tasks.splits import BINS, belongs, fingerprint

_FIELDS = {"prompt", "entry", "tests", "solution", "split"}


@dataclass(frozen=True, slots=True)
class Row:
    prompt: str
    entry: str | None
    cases: tuple[Case, ...]
    solution: str | None
    split: str | None
    number: int  # of its line, from 1


def read_rows(path: str) -> dict[str, list[Row]]:
    """The rows of each split. Raises ValueError, one sentence, with the line that is wrong."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"task.options.path: there is no file {path}")
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [_row(line, f"{path}:{n}", n) for n, line in enumerate(lines, 1) if line.strip()]
    if len({row.split is None for row in rows}) > 1:
        raise ValueError(f"task.options.path: {path} must name a split on every line or on none")
    splits: dict[str, list[Row]] = {split: [] for split in BINS}
    for row in rows:
        number = fingerprint(" ".join(row.prompt.split()))
        splits[row.split or next(split for split in BINS if belongs(split, number))].append(row)
    for split, inside in splits.items():
        if not inside:
            raise ValueError(
                f"task.options.path: none of the {len(rows)} problems of {path} is in the split "
                f'"{split}"; add problems, or a "split" to every line'
            )
    return splits


def _row(line: str, where: str, number: int) -> Row:
    def wrong(why: str) -> ValueError:
        return ValueError(f"task.options.path: {where} {why}")

    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise wrong(f"is no JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("prompt"), str):
        raise wrong('must be an object with a text "prompt"')
    if unknown := sorted(data.keys() - _FIELDS):
        raise wrong(f"has the unknown field {unknown[0]!r}; known: {', '.join(sorted(_FIELDS))}")
    entry, tests, split = data.get("entry"), data.get("tests"), data.get("split")
    if entry is not None and not (isinstance(entry, str) and entry.isidentifier()):
        raise wrong(f'has an "entry" that is no name of a function: {entry!r}')
    if not isinstance(tests, list) or not tests:
        raise wrong('needs "tests", a list of one or more')
    if split is not None and split not in BINS:
        raise wrong(f'has the "split" {split!r}; it must be one of {", ".join(BINS)}')
    if not isinstance(data.get("solution", ""), str):
        raise wrong('has a "solution" that is no text')
    cases = tuple(_case(test, entry) for test in tests)
    if None in cases:
        form = '{"args": [...], "expected": ...}' if entry else '{"stdin": ..., "stdout": ...}'
        raise wrong(f"needs tests of the form {form}, as finite JSON")
    known = tuple(case for case in cases if case is not None)
    return Row(data["prompt"], entry, known, data.get("solution"), split, number)


def _case(test: Any, entry: str | None) -> Case | None:
    if not isinstance(test, Mapping):
        return None
    if entry is not None:
        if test.keys() != {"args", "expected"} or not isinstance(test["args"], list):
            return None
        try:
            json.dumps([test["args"], test["expected"]], allow_nan=False)
        except (ValueError, RecursionError):
            return None
        return Call(entry, test["args"], test["expected"])
    texts = test.keys() == {"stdin", "stdout"} and all(isinstance(v, str) for v in test.values())
    return Program(test["stdin"], test["stdout"]) if texts else None
