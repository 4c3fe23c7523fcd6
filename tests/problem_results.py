"""One problem's result, with what a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.types import ProblemResult


def result(
    index: int,
    correct: Sequence[float] = (0.0, 1.0),
    *,
    greedy: float | None = None,
    split: str = "test",
    family: str = "",
    difficulty: int = 2,
) -> ProblemResult:
    name = f"addition:{split}:{index}"
    return ProblemResult(
        stage="rl",
        step=1,
        split=split,
        problem_id=name,
        family=family or name,
        difficulty=difficulty,
        correct=tuple(correct),
        num_tokens=tuple(3 for _ in correct),
        truncated=tuple(False for _ in correct),
        entropy=tuple(0.5 for _ in correct),
        ungraded=0,
        greedy=greedy,
    )
