"""How good the built-in teacher's models are, by subject and temperature.

    python benchmarks/builtin_strengths.py --out benchmarks/results/builtin-strengths.json

Each model writes 25 primitives for a subject at temperature 0.8, from attempts of a solver that
slips; then it demonstrates problems, each by following one of its own primitives. Counted are right
traces and distinct styles, and how alike the primitives are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from tailor_rl.primitives.library import is_new, similarity
from tailor_rl.protocols import Task
from tailor_rl.runs.environment import describe_environment
from tailor_rl.statistics import wilson_interval
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.teachers.builtin import heat
from tailor_rl.teachers.builtin.brain import reply, subject_of
from tailor_rl.teachers.builtin.strengths import STRENGTHS, Strength
from tailor_rl.teachers.builtin.subject import Subject
from tailor_rl.teachers.prompts import (
    Draft,
    demonstrate_prompt,
    discover_prompt,
    parse_primitives,
)
from tailor_rl.types import Attempt

TASKS: dict[str, Task] = {
    "knights": KnightsKnaves(),
    "countdown": Countdown(),
    "general_points": GeneralPoints(),
    "igsm-small": IGSM(preset="small"),
}
TEMPERATURES = (0.4, 0.8, 1.2, 1.6)
NUM_PRIMITIVES, PER_REQUEST, MAX_REQUESTS, MAX_SIMILARITY = 25, 4, 64, 90.0
NUM_STYLED = 200  # demonstrations among which styles are told apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = [
        measure(name, strength, problems=args.problems)
        for name in TASKS
        for strength in STRENGTHS.values()
    ]
    document = {
        "command": f"python benchmarks/builtin_strengths.py --problems {args.problems} "
        f"--out {args.out}",
        "environment": describe_environment(),
        "rows": rows,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, indent=1) + "\n")


def measure(name: str, strength: Strength, *, problems: int) -> dict[str, Any]:
    """A row of the table."""
    task = TASKS[name]
    subject = subject_of(task.problem("train", 0).prompt)
    assert subject is not None, name
    drafts, num_requests = discovered(task, subject, strength)
    instructions = [draft.instruction for draft in drafts]
    pairs = [(a, b) for i, a in enumerate(instructions) for b in instructions[:i]]
    habits = {repr(sorted(subject.recognised(told).items())) for told in instructions}
    row: dict[str, Any] = {
        "task": name,
        "model": strength.name,
        "primitives": len(drafts),
        "requests": num_requests,
        "patterns_named": len({draft.targets for draft in drafts}),
        "sets_of_habits": len(habits),
        "mean_similarity": sum(similarity(a, b) for a, b in pairs) / max(1, len(pairs)),
        "by_temperature": {
            str(t): demonstrated(task, subject, strength, instructions, t, num=problems)
            for t in TEMPERATURES
        },
    }
    shares = [f"{t}: {found['right']['value']:.3f}" for t, found in row["by_temperature"].items()]
    print(f"{name:16} {strength.name:20} {len(drafts)} primitives  {'  '.join(shares)}", flush=True)
    return row


def discovered(task: Task, subject: Subject, strength: Strength) -> tuple[list[Draft], int]:
    """Up to NUM_PRIMITIVES primitives that differ in text, and the requests that they took."""
    kept: list[Draft] = []
    for request in range(MAX_REQUESTS):
        shown = [_attempt(task, subject, 6 * request + i) for i in range(6)]
        known = [f"{draft.name}: {draft.instruction}" for draft in kept]
        prompt = discover_prompt(shown, num_primitives=PER_REQUEST, known=known)
        said = reply(prompt, temperature=0.8, rng=Random(request), strength=strength)
        for draft in parse_primitives(said):
            texts = [old.instruction for old in kept]
            if is_new(draft.instruction, texts, max_similarity=MAX_SIMILARITY):
                kept.append(draft)
        if len(kept) >= NUM_PRIMITIVES:
            return kept[:NUM_PRIMITIVES], request + 1
    return kept, MAX_REQUESTS


def demonstrated(
    task: Task,
    subject: Subject,
    strength: Strength,
    instructions: Sequence[str],
    temperature: float,
    *,
    num: int,
) -> dict[str, Any]:
    right, words = 0, 0
    guided, plain = set(), set()
    for i in range(num):
        problem, told = task.problem("train", i), instructions[i % len(instructions)]
        prompt = demonstrate_prompt(problem.prompt, instruction=told)
        rng = Random(f"{i}/{temperature}")
        trace = reply(prompt, temperature=temperature, rng=rng, strength=strength)
        right += task.grade(problem, trace) >= 1.0
        words += len(trace.split())
        if i < NUM_STYLED:  # a style is drawn before anything else, so the same dice show it
            variety = heat.variety(temperature)
            dice = [Random(f"{i}/{temperature}") for _ in "ab"]
            guided.add(subject.style_for(told, dice[0], variety=variety))
            plain.add(subject.style_for(None, dice[1], variety=variety))
    return {
        "right": asdict(wilson_interval(right, num)),
        "of": num,
        "mean_words": words / num,
        "styles_of_200": len(guided),
        "styles_of_200_plain": len(plain),
    }


def _attempt(task: Task, subject: Subject, index: int) -> Attempt:
    """What a student would write: one in four right, the others with slips, broken off, or with
    the answer of another problem.
    """
    problem, other = task.problem("train", index), task.problem("train", index + 1)
    kind = index % 4
    text = _solved(subject, problem.prompt, index, slip=0.3 if kind == 1 else 0.0)
    if kind == 2:
        text = text[: len(text) * 3 // 5]
    elif kind == 3:
        answer = "<answer>" + _solved(subject, other.prompt, index, slip=0).split("<answer>")[1]
        text = text.split("<answer>")[0] + answer
    return Attempt(
        id=str(index),
        problem_id=problem.id,
        prompt=problem.prompt,
        text=text,
        reward=task.grade(problem, text),
        finish_reason="stop",
        num_tokens=len(text.split()),
    )


def _solved(subject: Subject, prompt: str, seed: int, *, slip: float) -> str:
    text: str = subject.write(subject.read(prompt), subject.style(), Random(seed), slip)
    return text


if __name__ == "__main__":
    main()
