"""Checks of the igsm task at full count, by code that shares nothing with its solver; and speed.

    python benchmarks/task_checks_igsm.py

10,000 problems of the preset "med" and 2,000 of each other one, evenly over their splits. Of every
problem: the English text alone, evaluated by fixpoint iteration, gives the answer and a value to
everything told; of all residues one is graded right; the published solution passes the process
checker and has as many operations as the problem claims. Of every preset: no solution of train is
one of another split once names, numbers and symbols are taken out. Prints one JSON object; speeds
are in processor seconds of the one core that it uses.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tailor_rl.runs.environment import describe_environment
from tailor_rl.tasks.igsm.task import IGSM, PRESETS
from tailor_rl.tasks.igsm.words import CHAIN_OF, SMALL_CHAIN
from tailor_rl.types import Problem

COUNTS = {"med": 10_000, "hard": 2_000, "rl": 2_000, "small": 2_000}
Pair = tuple[str, str]  # owner, thing

_FULL_TOLD = re.compile(r"The number of each ([^.]+?)'s ([^.]+?) equals ([^.]+)\.")
_FULL_NAME = re.compile(r"each ([^,.]+?)'s ([^,.]+?)(?=,| and each |$)")
_JOINED = r"\b([A-Z][a-z]+)([A-Z][a-z]+)\b"  # "NorthRed": the second capital begins the thing
_SHORT_TOLD = re.compile(rf"{_JOINED} = ([^.]+)\.")
_SHORT_NAME = re.compile(_JOINED)
_SHORT_ASKED = re.compile(rf"{_JOINED}\?$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the counts, for a quick look")
    args = parser.parse_args()
    document = {
        "command": f"python benchmarks/task_checks_igsm.py --seed {args.seed} --share {args.share}",
        "environment": describe_environment(),
        "seed": args.seed,
        "presets": {
            preset: check_preset(preset, seed=args.seed, count=int(COUNTS[preset] * args.share))
            for preset in PRESETS
        },
    }
    print(json.dumps(document, indent=1))


Solved = dict[str, list[tuple[Problem, str]]]  # by split: problems with their published solutions


def check_preset(preset: str, *, seed: int, count: int) -> dict[str, Any]:
    """Check `count` problems and time their making and grading; AssertionError where one fails."""
    task = IGSM(seed=seed, preset=preset)
    solved, speeds = check_task(task, count=count)
    everything = [pair for pairs in solved.values() for pair in pairs]
    return {
        "problems": len(everything),
        "families": {split: len({p.family for p, _ in pairs}) for split, pairs in solved.items()},
        "problems_per_s": speeds,
        "grades_per_s": rate(task.grade, everything),
        "process_checks_per_s": rate(task.rewards["process"], everything),
    }


def check_task(task: IGSM, *, count: int) -> tuple[Solved, dict[str, int]]:
    """Make and check `count` problems; with how many were made a second, by split."""
    each = max(1, count // len(task.splits))
    solved: Solved = {}
    speeds = {}
    for split in task.splits:
        start = time.process_time()
        problems = [task.problem(split, index) for index in range(each)]
        speeds[split] = round(each / (time.process_time() - start))
        solved[split] = [(problem, task.rule_based_trace(problem)) for problem in problems]
        for problem, solution in solved[split]:
            check_problem(task, problem, solution)
    check_splits(solved)
    return solved, speeds


def check_problem(task: IGSM, problem: Problem, solution: str) -> None:
    """Everything that must hold of one problem by itself."""
    story = read_text(problem.prompt)
    values = evaluate(story)
    answer = values[story.question]
    assert values.keys() >= story.told.keys(), problem.id
    assert str(answer) == problem.answer, problem.id
    assert problem.metadata["modulo"] == story.modulo, problem.id
    near = range(story.modulo) if story.modulo else range(answer - 20, answer + 21)
    shape = task.answer_text(problem)
    assert shape.count(problem.answer) == 1, problem.id
    right = [n for n in near if task.grade(problem, shape.replace(problem.answer, str(n))) == 1.0]
    assert right == [answer], problem.id
    assert task.grade(problem, solution) == 1.0, problem.id
    assert task.rewards["process"](problem, solution) == 1.0, problem.id
    assert solution.count("; ") == problem.difficulty, problem.id


def check_splits(solved: Solved) -> None:
    """Train and the others share no family and no template; one template has one family."""
    family_of: dict[str, str] = {}
    for pairs in solved.values():
        for problem, solution in pairs:
            template = blanked(solution)
            assert family_of.setdefault(template, problem.family) == problem.family, problem.id
    templates = {split: {blanked(s) for _, s in pairs} for split, pairs in solved.items()}
    families = {split: {p.family for p, _ in pairs} for split, pairs in solved.items()}
    for split in solved:
        if split != "train":
            assert not templates["train"] & templates[split], split
            assert not families["train"] & families[split], split
    assert not families["validation"] & families["test"]


def blanked(solution: str) -> str:
    """The published template: names become Inst or Inter, numbers 0, symbols their place."""
    seen: dict[str, str] = {}

    def placed(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"s{len(seen)}")

    lines = []
    for line in re.split(r" <answer>| The answer is", solution)[0].split("Define ")[1:]:
        name, _, rest = line.partition(" as ")
        kind = "Inter" if re.findall("[A-Z][a-z]*", name)[-1] in CHAIN_OF else "Inst"
        rest = re.sub(r"\b[A-Za-z]\b", placed, re.sub(r"-?\b[0-9]+", "0", rest))
        lines.append(f"{kind} {rest}")
    return "".join(lines)


@dataclass(frozen=True)
class Story:
    """What the English text says, taken out of it by regular expressions."""

    told: dict[Pair, str]  # right-hand sides
    category_of: dict[str, str]
    question: Pair
    modulo: int


def read_text(prompt: str) -> Story:
    modulo = re.search(r"[Mm]odulo (\d+)", prompt)
    number = int(modulo[1]) if modulo else 0
    if not prompt.startswith("Every"):
        known = {i: category for category, groups in SMALL_CHAIN for g in groups for i in g}
        told = {(a, b): right for a, b, right in _SHORT_TOLD.findall(prompt)}
        asked = _SHORT_ASKED.search(prompt)
        assert asked is not None, prompt
        return Story(told, known, (asked[1], asked[2]), number)
    told = {(a, b): right for a, b, right in _FULL_TOLD.findall(prompt)}
    listed = re.search(r"Categories: (.*)\.\n", prompt)
    asked = re.search(r"How many (.+) does (.+) have\?", prompt)
    assert listed is not None and asked is not None, prompt
    known = {
        item: kind.partition(": ")[0]
        for kind in listed[1].split("; ")
        for item in kind.partition(": ")[2].split(", ")
    }
    return Story(told, known, (asked[2], asked[1]), number)


def evaluate(story: Story) -> dict[Pair, int]:
    """Values of all that the text determines: sweep over everything until nothing is new."""
    values: dict[Pair, int] = {}
    wanted = {(item, kind) for item in story.category_of for kind in story.category_of.values()}
    while True:
        before = len(values)
        for pair, right in story.told.items():
            if pair not in values and (value := _told_value(right, values)) is not None:
                values[pair] = value % story.modulo if story.modulo else value
        for pair in wanted - values.keys():
            if (value := _total_value(pair, story, values)) is not None:
                values[pair] = value % story.modulo if story.modulo else value
        if len(values) == before:
            return values


def _told_value(right: str, values: dict[Pair, int]) -> int | None:
    names = _FULL_NAME.findall(right) or _SHORT_NAME.findall(right)
    if not all(name in values for name in names):
        return None
    number = re.match(r"(\d+)(.*)", right)
    found = [values[name] for name in names]
    minus = "difference" in right or " - " in right
    total = found[0] - found[1] if minus else sum(found)
    if number is None:
        return total
    return int(number[1]) * total if " times " in number[2] else int(number[1]) + total


def _total_value(pair: Pair, story: Story, values: dict[Pair, int]) -> int | None:
    """All of a category in an owner; None where a number is missing or there is nothing at all."""
    owner, category = pair
    things = [thing for holder, thing in story.told if holder == owner]
    counted = [thing for thing in things if _holds(thing, category, story)]
    if not counted:
        return None
    total = 0
    for thing in counted:
        inside = 1 if story.category_of[thing] == category else values.get((thing, category))
        if inside is None or (owner, thing) not in values:
            return None
        total += values[owner, thing] * inside
    return total


def _holds(thing: str, category: str, story: Story) -> bool:
    if story.category_of[thing] == category:
        return True
    return any(_holds(below, category, story) for holder, below in story.told if holder == thing)


def rate(function: Callable[[Problem, str], float], texts: list[tuple[Problem, str]]) -> int:
    """Calls a second."""
    start = time.process_time()
    rounds = math.ceil(4000 / len(texts))
    for _ in range(rounds):
        for problem, text in texts:
            function(problem, text)
    return round(rounds * len(texts) / (time.process_time() - start))


if __name__ == "__main__":
    main()
