"""Countdown and GeneralPoints checked by other means than their own, and timed on one core.

    python benchmarks/task_checks_countdown.py > benchmarks/results/task-checks-countdown.json

Every prompt is read again by a reader that shares no code with the tasks, and what it asks is
solved by taking any two numbers, joining them, and so on, until one is left. No problem of the
train split may come back in another in another order. Prints one JSON object; ends with status 1
where anything is wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from tailor_rl.runs.environment import describe_environment
from tailor_rl.tasks.countdown.expressions import SIGNS
from tailor_rl.tasks.countdown.search import find
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.types import Problem

COUNTDOWN = {"train": 6000, "validation": 1000, "test": 1000} | {
    "ood/numbers-5": 500, "ood/targets": 1000, "ood/values": 1000
}  # fmt: skip
GENERAL_POINTS = {"train": 6000, "validation": 1000, "test": 1000} | {
    "ood/face-values": 1000, "ood/colour": 1000
}  # fmt: skip
RANDOM_DRAWS = 4000  # solvable or not, where both searches must agree
_RANKS = "A23456789TJQK"

Join = Callable[[Any, Any], Iterator[Any]]


def whole_joins(one: int, other: int) -> Iterator[int]:
    """Whole numbers that two whole numbers make, negative ones too."""
    yield from (one + other, one - other, other - one, one * other)
    if other and one % other == 0:
        yield one // other
    if one and other % one == 0:
        yield other // one


def exact_joins(one: Fraction, other: Fraction) -> Iterator[Fraction]:
    yield from (one + other, one - other, other - one, one * other)
    if other:
        yield one / other
    if one:
        yield other / one


def not_negative(joins: Join) -> Join:
    return lambda one, other: (value for value in joins(one, other) if value >= 0)


def reachable(numbers: Sequence[Any], target: int, joins: Join) -> bool:
    """Whether all the numbers together make the target, by trying everything."""
    if len(numbers) == 1:
        return bool(numbers[0] == target)
    return any(
        reachable([value, *_without(numbers, i, j)], target, joins)
        for i, j in itertools.combinations(range(len(numbers)), 2)
        for value in joins(numbers[i], numbers[j])
    )


def _without(numbers: Sequence[Any], i: int, j: int) -> list[Any]:
    return [number for place, number in enumerate(numbers) if place not in (i, j)]


def read_countdown(prompt: str) -> tuple[list[int], int]:
    *numbers, target = map(int, re.findall(r"\d+", prompt))
    return numbers, target


def read_hand(prompt: str) -> tuple[list[int], int]:
    """From the short prompt: "Black cards K 4 2 A. J Q K count 10. Target 24."."""
    cards, rule, target = prompt.replace("10", "T").split(". ")
    largest = 10 if rule.endswith("T") else 13
    values = [min(largest, _RANKS.index(card) + 1) for card in cards.split(" ")[2:]]
    return values, int(target.split(" ")[1].rstrip("."))


def check(
    task: Any,
    counts: dict[str, int],
    *,
    read: Callable[[str], tuple[list[int], int]],
    solvable: Callable[[list[int], int], bool],
) -> dict[str, Any]:
    """What is wrong with a task's problems, and how fast it makes and grades them."""
    speeds: dict[str, int] = {}
    families: dict[str, set[Any]] = {}
    faults: list[str] = []
    problems: list[Problem] = []
    for split, count in counts.items():
        start = time.perf_counter()
        made = [task.problem(split, index) for index in range(count)]
        speeds[split] = round(count / (time.perf_counter() - start))
        problems.extend(made)
        asked = [read(problem.prompt) for problem in made]
        families[split] = {(tuple(sorted(numbers)), target) for numbers, target in asked}
        faults.extend(f"unsolvable: {q}" for q in asked if not solvable(*q))
        faults.extend(p.id for p in made if task.grade(p, task.answer_text(p)) != 1.0)
        faults.extend(p.id for p in made if task.grade(p, task.rule_based_trace(p)) != 1.0)
    return {
        "problems": len(problems),
        "faults": faults[:20],
        "num_faults": len(faults),
        "families": {split: len(found) for split, found in families.items()},
        "families_shared": shared(families),
        "problems_per_s": speeds,
        "grades_per_s": grades_per_second(task, problems),
    }


def shared(families: dict[str, set[Any]]) -> dict[str, int]:
    """How many families two splits have in common, for every two that have any."""
    pairs = itertools.combinations(families, 2)
    common = {f"{a} & {b}": len(families[a] & families[b]) for a, b in pairs}
    return {pair: count for pair, count in common.items() if count}


def grades_per_second(task: Any, problems: Sequence[Problem]) -> dict[str, int]:
    speeds = {}
    texts: dict[str, Callable[[Problem], str]] = {
        "right answers": task.answer_text,
        "wrong answers": lambda p: f"<answer> {p.answer} + 0</answer>",
        "rule-based traces": task.rule_based_trace,
    }
    for kind, text in texts.items():
        pairs = [(problem, text(problem)) for problem in problems[:2000]]
        start = time.perf_counter()
        for problem, said in pairs:
            task.grade(problem, said)
        speeds[kind] = round(len(pairs) / (time.perf_counter() - start))
    return speeds


def searches_agree(count: int) -> dict[str, int]:
    """The tasks' search against brute force on draws that nobody made solvable."""
    rng = Random("searches")
    figures = dict.fromkeys(("whole, reached", "exact, reached", "draws", "disagreements"), 0)
    for _ in range(count):
        numbers = [rng.randint(0, 15) for _ in range(rng.randint(3, 4))]
        target = rng.randint(1, 60)
        whole = reachable(numbers, target, whole_joins)
        exact = reachable([Fraction(number) for number in numbers], target, exact_joins)
        for fractions, truth in ((False, whole), (True, exact)):
            found = find(numbers, target, operators=SIGNS, fractions=fractions)
            figures["disagreements"] += (found is not None) != truth
        figures["whole, reached"] += whole
        figures["exact, reached"] += exact
        figures["draws"] += 1
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the problems, for a trial")
    args = parser.parse_args()

    def reduced(counts: dict[str, int]) -> dict[str, int]:
        return {split: max(1, int(count * args.share)) for split, count in counts.items()}

    def whole(numbers: list[int], target: int) -> bool:
        return reachable(numbers, target, not_negative(whole_joins))

    def exact(numbers: list[int], target: int) -> bool:
        return reachable([Fraction(number) for number in numbers], target, exact_joins)

    started = time.perf_counter()
    countdown = check(
        Countdown(seed=args.seed), reduced(COUNTDOWN), read=read_countdown, solvable=whole
    )
    hands = check(
        GeneralPoints(seed=args.seed), reduced(GENERAL_POINTS), read=read_hand, solvable=exact
    )
    agreement = searches_agree(int(RANDOM_DRAWS * args.share))
    allowed = {"test & ood/colour"}  # the same hands in another colour, by design
    faulty = countdown["num_faults"] + hands["num_faults"] + agreement["disagreements"]
    passed = not faulty and not countdown["families_shared"]
    passed = passed and set(hands["families_shared"]) <= allowed
    document = {
        "command": f"python benchmarks/task_checks_countdown.py --seed {args.seed} "
        f"--share {args.share}",
        "environment": describe_environment(),
        "passed": passed,
        "countdown": countdown,
        "general_points": hands,
        "searches": agreement,
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(document, indent=1))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
