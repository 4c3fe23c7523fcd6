"""From a recipe's `task.name` to a task: built in, or one file outside the repository."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rapidfuzz import process

from tailor_rl.errors import ConfigError
from tailor_rl.plugins import load_attribute
from tailor_rl.protocols import Task

BUILT_IN = {
    "knights": "tailor_rl.tasks.knights.task:KnightsKnaves",
    "igsm": "tailor_rl.tasks.igsm.task:IGSM",
    "countdown": "tailor_rl.tasks.countdown.task:Countdown",
    "general_points": "tailor_rl.tasks.general_points.task:GeneralPoints",
    "reasoning_gym": "tailor_rl.tasks.gym.task:ReasoningGym",
    "code": "tailor_rl.tasks.code.task:PythonCode",
    "data": "tailor_rl.tasks.data.loading:data_task",
}


def load_task(name: str, *, seed: int, options: Mapping[str, Any]) -> Task:
    """The task `name` ("knights", or "path/to/file.py:ClassName") with its options; ConfigError
    when it has none.
    """
    kind = task_class(name)
    known = [p for p in inspect.signature(kind).parameters if p != "seed"]
    for option in options:
        if option not in known:
            raise ConfigError(_unknown("option", f"task.options.{option}", option, known, name))
    try:
        task: Task = kind(seed=seed, **options)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the task {name!r} refuses its options: {error}") from error
    return task


def task_class(name: str) -> Any:
    """The class behind a task name."""
    target = BUILT_IN.get(name, name)
    if ":" not in target:
        raise ConfigError(_unknown("task", repr(name), name, list(BUILT_IN), "task.name"))
    return load_attribute(target, key="task.name")


def built_in_tasks() -> dict[str, str]:
    """Name and first line of the docstring of every built-in task."""
    return {name: (task_class(name).__doc__ or "").strip().splitlines()[0] for name in BUILT_IN}


def _unknown(what: str, shown: str, word: str, known: list[str], where: str) -> str:
    nearest = process.extractOne(word, known)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{where}: there is no {what} {shown}{hint} Known: {', '.join(known)}."
