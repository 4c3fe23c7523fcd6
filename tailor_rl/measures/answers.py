"""Every answer of an examination with its text: kept as it is graded, and read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tailor_rl.evaluation import Trace
from tailor_rl.protocols import Grader
from tailor_rl.runs.files import append_line, explaining_disk_errors, read_typed_lines
from tailor_rl.types import Grade, Problem


@dataclass(frozen=True, slots=True)
class Answers:
    """A row of answers.jsonl: every answer to one problem. `correct` is None for one not graded."""

    split: str
    problem_id: str
    prompt: str
    answer: str
    texts: tuple[str, ...]
    correct: tuple[float | None, ...]


class KeepingGrader:
    """Grades by another grader and keeps what it saw. A problem that a kill left without a result
    is written again: the last row counts.
    """

    def __init__(self, grader: Grader, path: Path) -> None:
        self._grader, self._path = grader, path

    async def grade(self, problem: Problem, texts: Sequence[str]) -> list[Grade | None]:
        grades = await self._grader.grade(problem, texts)
        row = Answers(
            split=problem.split,
            problem_id=problem.id,
            prompt=problem.prompt,
            answer=problem.answer,
            texts=tuple(texts),
            correct=tuple(None if grade is None else grade.correct for grade in grades),
        )
        with explaining_disk_errors(self._path.parent, self._path.name):
            append_line(self._path, json.dumps(asdict(row)))
        return grades


def read_answers(path: Path, *, stage: str, step: int) -> list[Trace]:
    """The graded answers of a file that KeepingGrader filled, problem by problem."""
    rows = read_typed_lines(
        path, Answers, what="no row of answers", fix="remove the line, or the whole folder"
    )
    last = {row.problem_id: row for row in rows}
    return [
        Trace(stage, step, row.split, row.problem_id, row.prompt, row.answer, text, grade, grade)
        for row in last.values()
        for text, grade in zip(row.texts, row.correct, strict=True)
        if grade is not None
    ]


def choose_judged(answers: Sequence[Trace], num: int) -> list[Trace]:
    """The first answers of all problems, then the second ones, until there are `num`."""
    seen: dict[str, int] = {}
    turns = []
    for answer in answers:
        turns.append(seen.get(answer.problem_id, 0))
        seen[answer.problem_id] = turns[-1] + 1
    order = sorted(range(len(answers)), key=lambda i: turns[i])
    return [answers[i] for i in order[:num]]
