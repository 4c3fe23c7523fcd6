"""The Python task: splits, prompts, code graded by its tests in a sandbox."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tailor_rl.graders.sandbox import (
    Call,
    Case,
    Limits,
    Program,
    Report,
    SandboxUnavailable,
    run_tests,
    sandbox_problem,
)
from tailor_rl.tasks.code import generated
from tailor_rl.tasks.code.answer import FORMAT, fenced, fenced_code
from tailor_rl.tasks.code.file import Row, read_rows
from tailor_rl.tasks.splits import BINS, belongs, fingerprint
from tailor_rl.types import Problem

_COMPOSED = "ood/composed"
_MAX_TESTS = 100


class PythonCode:
    """Write a Python function, or a program, that passes hidden tests.

    Without `path`, problems are generated from about 25 templates on lists, strings and integers:
    train, validation and test ask for one step each, "ood/composed" for two, of which the second
    goes on with what the first gives. The fingerprint of the steps with their parameters decides
    the split, so no two share a step. With `path`, problems are the lines of a JSONL file (its
    format: file.py). The answer is the one ```python block of a text.

    Code runs for `time_limit_s` of CPU time a test at most, and twice that on the clock, 3 times
    that for all tests of an answer; `reward.timeout_s` must be longer. `tolerance` holds for
    expected floats. Right is code that passes every test; the reward "tests_passed" is the share.
    """

    name = "code"

    def __init__(
        self,
        *,
        seed: int = 0,
        path: str | None = None,
        num_tests: int = 8,
        time_limit_s: float = 2.0,
        memory_mib: int = 256,
        tolerance: float = 1e-6,
    ) -> None:
        self._limits = _limits(time_limit_s, memory_mib)
        _check_numbers(num_tests=num_tests, tolerance=tolerance)
        if problem := sandbox_problem():
            raise SandboxUnavailable(problem)
        self._seed, self._num_tests, self._tolerance = seed, num_tests, tolerance
        self._rows = read_rows(path) if path is not None else None
        if self._rows is not None:
            self.size = self._num_rows  # only a data set has sizes (HasSizes)
        if all(row.solution for rows in (self._rows or {}).values() for row in rows):
            self.answer_text = self._answer_text  # HasAnswers, HasTraces: where solutions are known
            self.rule_based_trace = self._trace
        self._last: tuple[Problem, str, Report] | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(BINS) if self._rows is not None else (*BINS, _COMPOSED)

    def problem(self, split: str, index: int) -> Problem:
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        if self._rows is not None:
            rows = self._rows[split]
            return self._from_row(rows[index % len(rows)], split, index)
        exercise = self._exercise(split, index)
        number = fingerprint(generated.canonical(exercise.steps))
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=f"{generated.question(exercise)} {FORMAT}",
            answer=generated.solution(exercise),
            split=split,
            difficulty=len(exercise.steps),
            metadata={
                "entry": generated.ENTRY,
                "tests": [{"args": [i], "expected": o} for i, o in exercise.tests],
                "steps": [step.key for step in exercise.steps],
                "explanation": generated.explanation(exercise),
            },
            family=f"{number:016x}",
        )

    @property
    def longest_grading_s(self) -> float:
        return self._limits.total_s

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the code in the text's one ```python block passes every test, else 0.0."""
        report = self._graded(problem, text)
        return float(report is not None and report.passed)

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        return {"tests_passed": self._tests_passed}

    def _tests_passed(self, problem: Problem, text: str) -> float:
        report = self._graded(problem, text)
        return 0.0 if report is None else report.share

    def _graded(self, problem: Problem, text: str) -> Report | None:
        """The report on an answer. The last one is kept: "correct" and "tests_passed" of an answer
        are one run of its tests.
        """
        code = fenced_code(text)
        if code is None:
            return None
        last = self._last  # read once: threads may grade at the same time
        if last is not None and last[1] == code and last[0] == problem:
            return last[2]
        report = run_tests(code, _cases(problem), self._limits, tolerance=self._tolerance)
        self._last = (problem, code, report)
        return report

    def _answer_text(self, problem: Problem) -> str:
        return fenced(problem.answer)

    def _trace(self, problem: Problem) -> str:
        """The steps in words, tried on an example, then the reference; of a file: the solution."""
        explanation = problem.metadata.get("explanation")
        answer = self._answer_text(problem)
        return f"{explanation}\n{answer}" if explanation else answer

    def _num_rows(self, split: str) -> int:
        assert self._rows is not None, split
        return len(self._rows[split])

    def _exercise(self, split: str, index: int) -> generated.Exercise:
        rng = Random(f"{self.name}/{self._seed}/{split}/{index}")
        return generated.draw(
            rng,
            num_steps=2 if split == _COMPOSED else 1,
            num_tests=self._num_tests,
            allowed=lambda canonical: belongs(split, fingerprint(canonical)),
        )

    def _from_row(self, row: Row, split: str, index: int) -> Problem:
        asked = f"Define the function {row.entry}." if row.entry else "Read stdin, print to stdout."
        tests = [
            {"args": case.args, "expected": case.expected}
            if isinstance(case, Call)
            else {"stdin": case.stdin, "stdout": case.stdout}
            for case in row.cases
        ]
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=f"{row.prompt.strip()}\n{asked} {FORMAT}",
            answer=row.solution or "",
            split=split,
            difficulty=1,
            metadata={"entry": row.entry, "tests": tests, "line": row.number},
            family=f"{fingerprint(' '.join(row.prompt.split())):016x}",
        )


def _cases(problem: Problem) -> list[Case]:
    entry, tests = problem.metadata["entry"], problem.metadata["tests"]
    return [_case(entry, test) for test in tests]


def _case(entry: str | None, test: Mapping[str, Any]) -> Case:
    if entry is None:
        return Program(test["stdin"], test["stdout"])
    return Call(entry, test["args"], test["expected"])


def _limits(time_limit_s: float, memory_mib: int) -> Limits:
    if not (0 < time_limit_s <= 600):
        raise ValueError(f"task.options.time_limit_s must be 0 to 600, not {time_limit_s!r}")
    try:
        return Limits(
            cpu_s=time_limit_s,
            wall_s=2 * time_limit_s,
            total_s=3 * time_limit_s,
            memory_mib=memory_mib,
        )
    except ValueError as error:
        raise ValueError(f"task.options.{error}") from error


def _check_numbers(*, num_tests: int, tolerance: float) -> None:
    if not (isinstance(num_tests, int) and 4 <= num_tests <= _MAX_TESTS):
        raise ValueError(f"task.options.num_tests must be 4 to {_MAX_TESTS}, not {num_tests!r}")
    if not (math.isfinite(tolerance) and 0 <= tolerance < 1):
        raise ValueError(f"task.options.tolerance must be 0 or more and below 1, not {tolerance!r}")
