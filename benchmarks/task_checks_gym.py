"""Checks of the reasoning-gym tasks and of the mathematics checker, in numbers.

    python benchmarks/task_checks_gym.py [--problems 200] [--out task-checks-gym.json]

For every recipes/tasks/gym-*.toml: are answers graded 1.0, and the empty text, the prompt itself,
another problem's answer and two answers below 1.0; do splits share a question; does a process with
another PYTHONHASHSEED make the same; how often is the commonest answer right; how many problems and
grades a second. Prints one JSON object; exits with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tailor_rl.tasks.data.math_answers import get_ready, same_math
from tailor_rl.tasks.gym.task import ReasoningGym
from tailor_rl.types import Problem

RECIPES = Path(__file__).parents[1] / "recipes" / "tasks"
SEED = 1
SAMPLE = 10  # problems of each split that a second process makes again


def task_of(recipe: Path) -> ReasoningGym:
    options = tomllib.loads(recipe.read_text(encoding="utf-8"))["task"]["options"]
    return ReasoningGym(seed=SEED, **options)


def check(recipe: Path, *, count: int) -> dict[str, Any]:
    task = task_of(recipe)
    start = time.process_time()
    problems = [task.problem("train", i) for i in range(count)]
    made_s = time.process_time() - start
    others = {s: [task.problem(s, i) for i in range(count // 5)] for s in task.splits[1:]}
    start = time.process_time()
    right = sum(task.grade(p, task.answer_text(p)) == 1.0 for p in problems)
    graded_s = time.process_time() - start
    answers = Counter(p.answer for p in problems)
    return {
        "problems": count,
        "answer_graded_1": right,
        "wrong_texts_graded_below_1": sum(_below(task, p, problems) for p in problems),
        "shared_questions_between_splits": _shared({"train": problems, **others}),
        "different_questions": len({p.family for p in problems}),
        "same_under_another_hash_seed": _digest(task) == _digest_elsewhere(recipe),
        "commonest_answer_share": round(answers.most_common(1)[0][1] / count, 3),
        "train_problems_per_cpu_s": round(count / made_s, 1),
        "grades_per_cpu_s": round(count / graded_s),
    }


def _below(task: ReasoningGym, problem: Problem, problems: list[Problem]) -> bool:
    other = next((p for p in problems if p.answer != problem.answer), problem)
    wrong = ["", problem.prompt, problem.answer, task.answer_text(problem) * 2]
    if other is not problem:
        wrong.append(task.answer_text(other))
    return all(task.grade(problem, text) < 1.0 for text in wrong)


def _shared(made: dict[str, list[Problem]]) -> int:
    """Questions that stand in train and elsewhere, or in validation and test."""
    found = {split: {p.family for p in problems} for split, problems in made.items()}
    leaks = sum(len(found["train"] & found[split]) for split in found if split != "train")
    return leaks + len(found["validation"] & found["test"])


def _digest(task: ReasoningGym) -> str:
    made = [task.problem(split, i) for split in task.splits for i in range(SAMPLE)]
    return hashlib.sha256(repr(made).encode()).hexdigest()


def _digest_elsewhere(recipe: Path) -> str:
    command = [sys.executable, __file__, "--digest", str(recipe)]
    env = {**os.environ, "PYTHONHASHSEED": "4242"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def check_mathematics(*, rounds: int) -> dict[str, Any]:
    """Grades a second. Every pair is another one: nothing comes out of a cache."""
    get_ready()
    kinds = {"numbers": _number_pairs, "other_answers": _other_pairs}
    rates: dict[str, Any] = {"verdicts_right": True}
    for kind, pairs_of in kinds.items():
        pairs = [pair for n in range(2, rounds + 2) for pair in pairs_of(n)]
        start = time.process_time()
        found = [same_math(right, answer) for right, answer, _ in pairs]
        rates[f"{kind}_per_cpu_s"] = round(len(pairs) / (time.process_time() - start), 1)
        rates["verdicts_right"] &= found == [verdict for _, _, verdict in pairs]
    return rates


def _number_pairs(n: int) -> list[tuple[str, str, bool]]:
    return [
        (f"{n}", f"{n}.0", True),
        (f"{n}/7", rf"\frac{{{3 * n}}}{{21}}", True),
        (f"{n}", f"{n}, {n + 1}", False),
    ]


def _other_pairs(n: int) -> list[tuple[str, str, bool]]:
    return [
        (f"x^2+{2 * n}x+{n * n}", f"(x+{n})^2", True),
        (rf"{2 * n}\sqrt{{2}}", rf"{n}\sqrt{{8}}", True),
        (f"-{n}, {n + 1}", rf"\{{{n + 1}, -{n}\}}", True),  # without the space -99,100 is a number
        (rf"(-\infty,{n}]", rf"\left(-\infty, {n}\right]", True),
        (rf"{n}\pi", rf"\pi \cdot {n}", True),
        (f"{n}k+{n}", f"{n}(k+2)", False),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--digest", type=Path, help="of one recipe's problems, and nothing else")
    args = parser.parse_args()
    if args.digest:
        sys.stdout.write(_digest(task_of(args.digest)))
        return 0
    found = {r.stem: check(r, count=args.problems) for r in sorted(RECIPES.glob("gym-*.toml"))}
    report: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("reasoning-gym", "math-verify", "sympy")},
        "seed": SEED,
        "tasks": found,
        "mathematics": check_mathematics(rounds=args.problems),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    passed = all(map(_passed, found.values())) and report["mathematics"]["verdicts_right"]
    return 0 if passed else 1


def _passed(row: dict[str, Any]) -> bool:
    count = row["problems"]
    complete = row["answer_graded_1"] == row["wrong_texts_graded_below_1"] == count
    return (
        complete
        and row["same_under_another_hash_seed"]
        and not row["shared_questions_between_splits"]
    )


if __name__ == "__main__":
    sys.exit(main())
