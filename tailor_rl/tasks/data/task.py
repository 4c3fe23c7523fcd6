r"""Questions with answers as a task: its prompts, its grader, its traces."""

from __future__ import annotations

from pathlib import Path

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.data.division import Splits
from tailor_rl.tasks.data.examples import Example, without_numbers
from tailor_rl.tasks.data.math_answers import CHECKERS, written_answer
from tailor_rl.tasks.data.template import Template
from tailor_rl.tasks.splits import fingerprint
from tailor_rl.types import Problem


class Data:
    """Questions with answers from the user's files; made by loading.py.

    `notes` says in words what was left out of the files.
    """

    name = "data"

    def __init__(
        self, splits: Splits, *, checker: str, template: Template, blind: bool, notes: list[str]
    ) -> None:
        self._splits, self._checker, self._template = splits, checker, template
        self._blind, self.notes = blind, tuple(notes)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._splits)

    def size(self, split: str) -> int:
        return len(self._rows(split))

    def problem(self, split: str, index: int) -> Problem:
        """Row `index`, counted round and round, of the split."""
        rows = self._rows(split)
        example = rows[index % len(rows)]
        family = without_numbers(example.key) if self._blind else example.key
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=self._template.prompt(example),
            answer=example.answer,
            split=split,
            difficulty=example.difficulty,
            metadata={"row": example.row_id or Path(example.where).name},  # alike on every host
            family=f"{fingerprint(family):016x}",
        )

    def grade(self, problem: Problem, text: str) -> float:
        r"""1.0 where the one `<answer>`, or without tags the last `\boxed{}`, is right; or 0.0."""
        return float(is_right(problem.answer, text, self._checker))

    def answer_text(self, problem: Problem) -> str:
        return written(problem.answer, self._checker)

    def _rows(self, split: str) -> list[Example]:
        if split not in self._splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        return self._splits[split]


class SolvedData(Data):
    """The same with a column of worked solutions: only then is there a rule-based trace."""

    def rule_based_trace(self, problem: Problem) -> str:
        """The row's own solution, closed with the answer where it does not give it itself."""
        rows = self._rows(problem.split)
        return trace_of(rows[int(problem.id.rpartition(":")[2]) % len(rows)], self._checker)


def written(answer: str, checker: str) -> str:
    """The shortest text that gives an answer."""
    return f"\\boxed{{{answer}}}" if checker == "math" else f"{OPEN}{answer}{CLOSE}"


def is_right(right: str, text: str, checker: str) -> bool:
    """Whether what a text gives as its answer is the right one."""
    answer = written_answer(text)
    return answer is not None and CHECKERS[checker](right, answer)


def trace_of(example: Example, checker: str) -> str:
    if is_right(example.answer, example.solution, checker):
        return example.solution
    return f"{example.solution}\n{written(example.answer, checker)}"
