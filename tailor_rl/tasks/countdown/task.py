"""The Countdown task: splits, prompts, the binary grader, TinyZero's reward, the rule-based
trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.countdown.expressions import SIGNS
from tailor_rl.tasks.countdown.puzzle import Range, Shape, canonical, draw
from tailor_rl.tasks.countdown.traces import rule_based
from tailor_rl.tasks.countdown.varied import varied_trace
from tailor_rl.tasks.countdown.wording import (
    Given,
    ask,
    is_right,
    tinyzero_reward,
    written,
)
from tailor_rl.tasks.splits import BINS
from tailor_rl.types import Problem

_LARGEST = 100_000


class Countdown:
    """Which expression of the given numbers, each used exactly once, equals the target?

    Train, validation and test draw `numbers` numbers from `values` and a target from `targets`
    ([lowest, highest]; the defaults are those of the "Four Habits" study, arXiv 2503.01307), as
    TinyZero does: every number must be used, and once. Every problem has a solution in whole
    numbers that are never negative; an answer may go through fractions and negative numbers all
    the same. Out of distribution: other counts (`ood_numbers`), targets (`ood_targets`) and at
    least one number beyond `values` (`ood_values`); an empty list leaves that split out. The
    fingerprint of (sorted numbers, target) decides between train, validation and test, so no two
    splits share a problem even when its numbers are reordered.
    """

    name = "countdown"

    def __init__(
        self,
        *,
        seed: int = 0,
        numbers: Sequence[int] = (3, 4),
        values: Sequence[int] = (1, 24),
        targets: Sequence[int] = (10, 25),
        operators: Sequence[str] = SIGNS,
        ood_numbers: Sequence[int] = (5,),
        ood_targets: Sequence[int] = (26, 50),
        ood_values: Sequence[int] = (1, 50),
        prompt: str = "short",
    ) -> None:
        _check_counts(numbers, ood_numbers)
        _check_words(operators, prompt)
        self._seed, self._prompt = seed, prompt
        home = Shape(
            tuple(numbers),
            _range("values", values),
            _range("targets", targets),
            tuple(sign for sign in SIGNS if sign in operators),
        )
        self._shapes = {split: home for split in BINS}
        for count in ood_numbers:
            self._shapes[f"ood/numbers-{count}"] = replace(home, numbers=(count,))
        if ood_targets:
            self._shapes["ood/targets"] = replace(
                home, targets=_far_range(ood_targets, home.targets)
            )
        if ood_values:
            self._shapes["ood/values"] = replace(
                home, values=_wide_range(ood_values, home.values), known_values=home.values
            )
        for split, shape in self._shapes.items():  # bad ranges are refused now, not in the middle
            for count in shape.numbers:
                draw(Random(0), replace(shape, numbers=(count,)), split=split)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._shapes)

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        """ "tinyzero": 0 without an answer, 0.1 for a wrong one, 1.0 for a right one."""
        return {"tinyzero": lambda problem, text: tinyzero_reward(text, given(problem))}

    def problem(self, split: str, index: int) -> Problem:
        if split not in self._shapes:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        shape = self._shapes[split]
        rng = Random(f"{self.name}/{self._seed}/{split}/{index}")
        numbers, target, tree = draw(rng, shape, split=split)
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=ask(Given(numbers, target, shape.operators), style=self._prompt),
            answer=written(tree),
            split=split,
            difficulty=len(numbers),
            metadata={"numbers": numbers, "target": target, "operators": shape.operators},
            family=canonical(numbers, target),
        )

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the text's one `<answer>` is an expression of all the numbers, each once, that
        equals the target; else 0.0.
        """
        return float(is_right(text, given(problem)))

    def answer_text(self, problem: Problem) -> str:
        """ "<answer> (3 * 2) + 7</answer>"."""
        return f"{OPEN} {problem.answer}{CLOSE}"

    def rule_based_trace(self, problem: Problem) -> str:
        """Forward depth-first search in a fixed order (see traces.py)."""
        return rule_based(given(problem))

    def varied_trace(self, problem: Problem, draw: int) -> str:
        """The same problem in the style number `draw` (see varied.py)."""
        return varied_trace(given(problem), draw, seed=problem.id)


def given(problem: Problem) -> Given:
    """What the problem's prompt says."""
    data: Mapping[str, Any] = problem.metadata
    return Given(tuple(data["numbers"]), data["target"], tuple(data["operators"]))


def _check_counts(numbers: Sequence[int], ood_numbers: Sequence[int]) -> None:
    counts = [*numbers, *ood_numbers]
    if not numbers or not all(type(count) is int and 3 <= count <= 6 for count in counts):
        raise ValueError(f"task.options.numbers and ood_numbers must be 3 to 6, not {counts}")
    if shared := set(numbers) & set(ood_numbers):
        raise ValueError(
            f"task.options.ood_numbers repeats {sorted(shared)} of numbers: "
            "not out of distribution, leave it out there"
        )


def _check_words(operators: Sequence[str], prompt: str) -> None:
    if "+" not in operators or not set(operators) <= set(SIGNS):
        raise ValueError(
            f"task.options.operators must hold '+' and may hold '-', '*' and '/', "
            f"not {list(operators)}"
        )
    if prompt not in ("short", "full"):
        raise ValueError(f"task.options.prompt must be 'short' or 'full', not {prompt!r}")


def _range(option: str, ends: Sequence[int]) -> Range:
    if (
        len(ends) != 2
        or not all(type(end) is int for end in ends)
        or not 1 <= ends[0] <= ends[1] <= _LARGEST
    ):
        raise ValueError(
            f"task.options.{option} must be [lowest, highest] within 1 to {_LARGEST}, "
            f"not {list(ends)}"
        )
    return (ends[0], ends[1])


def _far_range(ends: Sequence[int], home: Range) -> Range:
    low, high = _range("ood_targets", ends)
    if low <= home[1] and home[0] <= high:
        raise ValueError(
            f"task.options.ood_targets [{low}, {high}] overlaps targets {list(home)}: "
            "not out of distribution, choose a range beside it"
        )
    return (low, high)


def _wide_range(ends: Sequence[int], home: Range) -> Range:
    low, high = _range("ood_values", ends)
    if home[0] <= low and high <= home[1]:
        raise ValueError(
            f"task.options.ood_values [{low}, {high}] lies within values {list(home)}: "
            "not out of distribution, choose a range that leaves it"
        )
    return (low, high)
