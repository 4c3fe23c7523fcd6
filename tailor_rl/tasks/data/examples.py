r"""From rows to questions with answers: which column is what, and the two published shapes.

"gsm8k": a column "answer" holds the solution and, after "####", the number::

    {"question": "Ann has 3 nuts and buys 4. How many has she?",
     "answer": "She has 3+4=<<3+4=7>>7 nuts.\n#### 7"}

"math": a column "solution" holds the answer in its last `\boxed{}`::

    {"problem": "What is $1+1$?", "solution": "It is $\\boxed{2}$.", "level": "Level 1"}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailor_rl.tasks.answers import MAX_ANSWER_CHARS, last_boxed
from tailor_rl.tasks.data.reading import Row

PRESETS: Mapping[str, Mapping[str, str]] = {
    "": {"prompt": "question", "answer": "answer", "checker": "exact"},
    "gsm8k": {
        "prompt": "question",
        "answer": "answer",
        "solution": "answer",
        "checker": "number",
    },
    "math": {
        "prompt": "problem",
        "answer": "solution",
        "solution": "solution",
        "difficulty": "level",
        "checker": "math",
    },
}
_FINAL = "####"
_CALCULATOR = re.compile(r"<<[^<>]*>>")  # marks for a calculator, with the result beside them


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; "" is none. `extra` columns are kept for the template."""

    prompt: str
    answer: str
    solution: str = ""
    id: str = ""
    difficulty: str = ""
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its answer. Examples of one `key` ask the same."""

    where: str
    question: str
    answer: str
    solution: str
    row_id: str
    difficulty: int
    key: str
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_examples(rows: Iterable[Row], columns: Columns, *, preset: str) -> Iterator[Example]:
    """ValueError with file and line for a row that cannot be used."""
    for row in rows:
        question = row.text(columns.prompt)
        answer, solution = _answered(row, columns, preset)
        if len(answer) > MAX_ANSWER_CHARS:
            raise ValueError(
                f"{row.where}: the answer has {len(answer)} characters, and answers of models are "
                f"read up to {MAX_ANSWER_CHARS}; leave the row out"
            )
        yield Example(
            where=row.where,
            question=question,
            answer=answer,
            solution=solution,
            row_id=str(row[columns.id]) if columns.id else "",
            difficulty=_difficulty(row[columns.difficulty]) if columns.difficulty else 0,
            key=normalised(question),
            extra={name: row[name] for name in columns.extra},
        )


def normalised(question: str) -> str:
    """Without what does not change a question: case, spacing, kinds of quotes and digits."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def without_numbers(key: str) -> str:
    """The same for questions that differ in their numbers only."""
    return re.sub(r"\d+(?:[.,]\d+)*", "0", key)


def _answered(row: Row, columns: Columns, preset: str) -> tuple[str, str]:
    """The final answer and the solution, "" without one."""
    text = row.text(columns.answer)
    solution = row.text(columns.solution) if columns.solution else ""
    if preset == "gsm8k":
        reasoning, mark, final = text.rpartition(_FINAL)
        if not mark or not final.strip():
            raise ValueError(
                f'{row.where}: {columns.answer} must end like "{_FINAL} 72", as in GSM8K'
            )
        if columns.solution == columns.answer:
            solution = _CALCULATOR.sub("", reasoning).strip()
        return final.strip(), solution
    if preset == "math":
        boxed = last_boxed(text)
        if not boxed:
            raise ValueError(
                f"{row.where}: {columns.answer} must hold the answer in \\boxed{{}}, as in MATH"
            )
        return boxed, solution
    return text.strip(), solution


def _difficulty(value: Any) -> int:
    """A number, or the first one in a text such as "Level 5"; 0 where there is none."""
    if isinstance(value, int | float):
        return int(value)
    found = re.search(r"\d{1,9}", value) if isinstance(value, str) else None
    return int(found[0]) if found else 0
