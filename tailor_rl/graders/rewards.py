"""A reward is a weighted sum of components, each of them a function of a problem and a text.

"correct" is the task's own grade. The others are what the task offers besides, or functions outside
the repository. A component that raises or is no finite number is a GradeError, never a 0: that
would train the policy away from right answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rapidfuzz import process

from tailor_rl.errors import ConfigError, GradeError
from tailor_rl.plugins import load_attribute
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasRewards
from tailor_rl.types import Grade, Problem

RewardFunction = Callable[[Problem, str], float]
CORRECT = "correct"


class Rewards:
    """What a completion of a task is worth.

    Args:
        weights: component -> weight in the reward; {"correct": 1.0} is the plain outcome reward.
        functions: component -> "path/to/file.py:function", called with a Problem and a text.

    Example: weights {"correct": 1.0, "process": 0.2} gives a right answer without a valid
    derivation the reward 1.0, and one with it 1.2.
    """

    def __init__(
        self, task: Task, *, weights: Mapping[str, float], functions: Mapping[str, str]
    ) -> None:
        known: dict[str, RewardFunction] = {CORRECT: task.grade}
        if isinstance(task, HasRewards):
            known.update(task.rewards)
        for name, target in functions.items():
            if name in known:
                raise ConfigError(
                    f"reward.functions.{name}: task {task.name} has a reward {name!r} of its own; "
                    "choose another name"
                )
            known[name] = load_attribute(target, key=f"reward.functions.{name}")
        for name in weights:
            if name not in known:
                nearest = process.extractOne(name, list(known))
                raise ConfigError(
                    f"reward.weights.{name}: task {task.name} has no reward {name!r}; did you mean "
                    f"{nearest[0]!r}? Known: {', '.join(known)}."
                )
        self._task = task.name
        self._weights = dict(weights)
        # Whether an answer is right is always known, even where it is not what is rewarded.
        self._functions = {name: known[name] for name in {CORRECT: None, **weights}}

    def __call__(self, problem: Problem, text: str) -> Grade:
        components = {
            name: self._value(name, function, problem, text)
            for name, function in self._functions.items()
        }
        reward = sum(weight * components[name] for name, weight in self._weights.items())
        return Grade(correct=components[CORRECT], reward=reward, components=components)

    def _value(self, name: str, function: RewardFunction, problem: Problem, text: str) -> float:
        try:
            value = float(function(problem, text))
        except Exception as error:
            raise GradeError(
                f"reward {name!r} of task {self._task!r} raised on an answer to {problem.id!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not math.isfinite(value):
            raise GradeError(
                f"reward {name!r} of task {self._task!r} is {value} for an answer to "
                f"{problem.id!r}; a reward is a finite number"
            )
        return value
