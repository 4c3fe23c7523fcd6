"""A task that even an untrained student solves half of the time: for tests of what comes after."""

from __future__ import annotations

import hashlib

from tailor_rl.types import Problem


class Parity:
    name = "parity"
    splits = ("train", "validation", "test")

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def problem(self, split: str, index: int) -> Problem:
        return Problem(f"parity:{split}:{index}", f"Say {index}.", "", split, 1)

    def grade(self, problem: Problem, text: str) -> float:
        return float(hashlib.sha256(f"{self._seed}{problem.id}{text}".encode()).digest()[0] % 2)

    def rule_based_trace(self, problem: Problem) -> str:
        texts = (f"It is {i}." for i in range(1000))
        return next(text for text in texts if self.grade(problem, text))
