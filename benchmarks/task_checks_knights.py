"""Knights & Knaves checked by other means than its own, and timed on one core.

    python benchmarks/task_checks_knights.py > benchmarks/results/task_checks_knights.json

Every puzzle is solved again from the English of its prompt alone, by a reader that shares no code
with the task; no puzzle of the train split may come back in another, told by an exact canonical
form over all orders of up to four people (the fingerprint that made the splits, beyond). Prints one
JSON object; ends with status 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from tailor_rl.runs.environment import describe_environment
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.types import Problem

NUM_PROBLEMS = {2: 10_000, 3: 10_000, 4: 10_000, 5: 10_000, 6: 2_000, 7: 2_000, 8: 2_000}
AXES = (
    "statement", "leaf", "role-words", "role-flip", "uncommon-names", "reordered", "depth-3",
    "width-3",
)  # fmt: skip
_MOST_PERMUTED = 4
_INTRODUCED = re.compile(r"either a (\w+), who only says true things, or a (\w+), who only says")
_SAYS = re.compile(r"\b([A-Z]\w+) says ([^.]+)\.")


def solve_english(prompt: str) -> list[dict[str, str]]:
    """Every answer (name -> role word) that fits the claims of a "full" prompt."""
    introduced = _INTRODUCED.search(prompt)
    assert introduced, prompt
    words = introduced.groups()
    claims = _SAYS.findall(prompt)
    names = [name for name, _ in claims]
    rows = range(1 << len(names))  # row r: person i tells the truth where bit i of r is set
    truthful = {name: sum(1 << r for r in rows if r >> i & 1) for i, name in enumerate(names)}
    every = (1 << len(rows)) - 1
    fitting = every
    for name, claim in claims:
        fitting &= every ^ _rows_where(claim, truthful, words[0], every) ^ truthful[name]
    return [
        {name: words[not r >> i & 1] for i, name in enumerate(names)}
        for r in rows
        if fitting >> r & 1
    ]


def _rows_where(claim: str, truthful: dict[str, int], true_word: str, every: int) -> int:
    """The rows of the truth table in which an English claim holds."""
    if claim.startswith("if "):
        premise, conclusion = _split(claim[3:], " then ")
        held = _rows_where(premise, truthful, true_word, every)
        return (every ^ held) | _rows_where(conclusion, truthful, true_word, every)
    for joint in (" if and only if ", " and ", " or "):
        parts = _split(claim, joint)
        if len(parts) > 1:
            rows = [_rows_where(part, truthful, true_word, every) for part in parts]
            while len(rows) > 1:
                left, right = rows.pop(), rows.pop()
                both = left & right if joint == " and " else left | right
                rows.append(both if joint != " if and only if " else every ^ left ^ right)
            return rows[0]
    if claim.startswith("not "):
        return every ^ _rows_where(claim[4:], truthful, true_word, every)
    if claim.startswith("("):
        return _rows_where(claim[1:-1], truthful, true_word, every)
    name, _, said = claim.partition(" is ")
    holds = truthful[name] if said.rpartition(" ")[2] == true_word else every ^ truthful[name]
    return every ^ holds if said.startswith("not ") else holds


def _split(text: str, joint: str) -> list[str]:
    """Cut at a joint, but not inside brackets."""
    parts, depth = [""], 0
    for piece in re.split(rf"([()]|{re.escape(joint)})", text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == joint and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def canonical(statements: Sequence[Any]) -> str:
    """The least text of a puzzle over all orders of its people: equal exactly where two puzzles are
    alike up to renaming.
    """
    orders = itertools.permutations(range(len(statements)))
    return min(
        repr([_renamed(statements[person], order) for person in _inverse(order)])
        for order in orders
    )


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def _renamed(statement: Any, order: Sequence[int]) -> Any:
    kind, *parts = statement
    if kind in ("knight", "knave"):
        return (kind, order[parts[0]])
    renamed = [_renamed(part, order) for part in parts]
    return (kind, *(sorted(renamed, key=repr) if kind in ("and", "or", "iff") else renamed))


def faults_in(task: KnightsKnaves, problem: Problem) -> list[str]:
    """What is wrong with one problem with a "full" prompt."""
    found = solve_english(problem.prompt)
    if len(found) != 1:
        return [f"{problem.id}: {len(found)} solutions"]
    spoken = ", ".join(f"{name} {role}" for name, role in found[0].items())
    faults = [] if spoken == problem.answer else [f"{problem.id}: the answer is {spoken}"]
    words, names = problem.metadata["role_words"], problem.metadata["names"]
    for roles in itertools.product(words, repeat=min(len(names), 3)):
        rest = [found[0][name] for name in names[len(roles) :]]
        said = dict(zip(names, [*roles, *rest], strict=True))
        text = ", ".join(f"{name} is a {role}" for name, role in said.items())
        if task.grade(problem, f"<answer>{text}</answer>") != float(said == found[0]):
            faults.append(f"{problem.id}: wrong grade for {text}")
    return faults


def shared_with_train(problems: Iterable[Problem]) -> list[str]:
    """Ids of problems outside the train split that are alike to one in it up to renaming."""
    forms = [(p, _form(p)) for p in problems]
    trained = {form for p, form in forms if p.split == "train"}
    return [p.id for p, form in forms if p.split != "train" and form in trained]


def _form(problem: Problem) -> str:
    small = problem.difficulty <= _MOST_PERMUTED
    return canonical(problem.metadata["statements"]) if small else problem.family


def check(num_people: int, count: int) -> dict[str, Any]:
    """`count` problems with that many people, spread evenly over all splits."""
    task = KnightsKnaves(people=[num_people], ood_people=[], axes=list(AXES), prompt="full")
    elsewhere = KnightsKnaves(
        people=[3 if num_people == 2 else 2], ood_people=[num_people], prompt="full"
    )
    away = f"ood/people-{num_people}"
    places = [*((task, split) for split in task.splits), (elsewhere, away)]
    problems = [places[i % len(places)][0].problem(places[i % len(places)][1], i // len(places))
                for i in range(count)]  # fmt: skip
    paired = [p for p in problems if "original" in p.metadata]
    return {
        "problems": len(problems),
        "splits": len(places),
        "faults": [fault for p in problems for fault in faults_in(task, p)],
        "shared_with_train": shared_with_train(problems),
        "told_by": "canonical form" if num_people <= _MOST_PERMUTED else "fingerprint",
        "families": len({p.family for p in problems}),
        "start_from_the_test_problem_of_their_index": {
            axis: _share(
                p.metadata["original"].rpartition(":")[2] == p.id.rpartition(":")[2]
                for p in paired
                if p.split == f"ood/{axis}"
            )
            for axis in ("statement", "leaf")
        },
        "per_second": speeds(task),
    }


def speeds(task: KnightsKnaves, count: int = 500) -> dict[str, int]:
    """Problems a second of every split, and grades a second, on this core."""
    per_second = {}
    for split in task.splits:
        start = time.perf_counter()
        made = [task.problem(split, 1_000_000 + i) for i in range(count)]
        per_second[split] = round(count / (time.perf_counter() - start))
    texts = [task.rule_based_trace(p) for p in made]
    start = time.perf_counter()
    right = sum(task.grade(problem, text) for problem, text in zip(made, texts, strict=True))
    seconds = time.perf_counter() - start
    assert right == count, right
    return {**per_second, "grades": round(count / seconds)}


def _share(happened: Iterable[bool]) -> float:
    every = list(happened)
    return round(sum(every) / len(every), 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of problems")
    args = parser.parse_args()
    people = {n: check(n, round(count * args.share)) for n, count in NUM_PROBLEMS.items()}
    wrong = any(found["faults"] or found["shared_with_train"] for found in people.values())
    document = {
        "command": f"python benchmarks/task_checks_knights.py --share {args.share}",
        "environment": describe_environment(),
        "right": not wrong,
        "people": people,
    }
    print(json.dumps(document, indent=1))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
