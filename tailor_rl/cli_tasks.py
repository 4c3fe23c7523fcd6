"""`tailor tasks`: what tasks there are, what their problems look like, and what the grader says.

Nothing is started: a task is looked at as the pipeline would make it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import process

from tailor_rl.config.load import TaskSource, parse_override, read_task
from tailor_rl.errors import ConfigError, GradeError
from tailor_rl.graders.rewards import CORRECT, Rewards
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasAnswers, HasRewards, HasSizes, HasTraces
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Problem


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the grader says of one text; `components` are the task's rewards."""

    kind: str
    text: str
    components: Mapping[str, float]
    error: str = ""


def load(name: str, options: Sequence[str]) -> Task:
    """A task by its name, by "file.py:Class", or as a recipe (.toml) has it, with options
    "key=value".
    """
    source = read_task(Path(name)) if name.endswith(".toml") else TaskSource(name)
    given: dict[str, Any] = dict(source.options)
    for text in options:
        key, value = parse_override(text)
        given[key.removeprefix("task.options.")] = value
    return load_task(source.name, seed=source.seed, options=given)


def problems(task: Task, split: str, num: int) -> Iterator[Problem]:
    """The first `num` problems of a split, or all where it has fewer. ConfigError for no split."""
    if split not in task.splits:
        nearest = process.extractOne(split, task.splits)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ConfigError(
            f"task {task.name} has no split {split!r}{hint} It has {', '.join(task.splits)}."
        )
    if isinstance(task, HasSizes):
        num = min(num, task.size(split))
    return (task.problem(split, index) for index in range(num))


def as_line(problem: Problem) -> str:
    """One problem as a line of JSON: id, prompt, answer, split, difficulty, metadata, family."""
    return json.dumps(asdict(problem), ensure_ascii=False)


def verdicts(task: Task, problem: Problem, other: Problem) -> list[Verdict]:
    """The grader on right answers and on wrong ones; `other` is another problem of the task."""
    own = list(task.rewards) if isinstance(task, HasRewards) else []
    weights = {CORRECT: 1.0, **dict.fromkeys(own, 1.0)}
    rewards = Rewards(task, weights=weights, functions={})
    return [_verdict(rewards, problem, *example) for example in _examples(task, problem, other)]


def _examples(task: Task, problem: Problem, other: Problem) -> Iterator[tuple[str, str]]:
    if isinstance(task, HasTraces):
        yield "the task's own solution", task.rule_based_trace(problem)
    if isinstance(task, HasAnswers):
        answer = task.answer_text(problem)
        yield "the shortest right answer", answer
        yield "the same, twice", f"{answer}\n{answer}"
        if other.answer != problem.answer:
            yield "another problem's answer", task.answer_text(other)
    yield "the prompt, echoed", problem.prompt
    yield "nothing", ""


def _verdict(rewards: Rewards, problem: Problem, kind: str, text: str) -> Verdict:
    try:
        return Verdict(kind, text, rewards(problem, text).components)
    except GradeError as error:
        return Verdict(kind, text, {}, str(error))


def as_text(task: Task, problem: Problem, other: Problem) -> str:
    """A problem for people: prompt, answer, solution, and the grader's verdicts."""
    lines = [
        f"{problem.id}   difficulty {problem.difficulty}",
        _indented("prompt", problem.prompt),
        _indented("answer", problem.answer),
    ]
    if isinstance(task, HasTraces):
        lines.append(_indented("solution", task.rule_based_trace(problem)))
    lines.append("  the grader on")
    for verdict in verdicts(task, problem, other):
        said = verdict.error or "  ".join(f"{k} {v:g}" for k, v in verdict.components.items())
        shown = " ".join(verdict.text.split())
        shown = "" if verdict.kind.startswith(("the task", "the prompt")) else f": {shown[-60:]!r}"
        lines.append(f"    {verdict.kind + shown:<90} {said}")
    return "\n".join(lines)


def _indented(title: str, text: str) -> str:
    body = text.replace("\n", "\n    ")
    return f"  {title}\n    {body}"
