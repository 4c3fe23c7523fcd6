"""Generated programming problems: one template, or two of which the second goes on with what the
first gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tailor_rl.tasks.code.templates import (
    ARGUMENTS,
    KIND_WORDS,
    TEMPLATES,
    Step,
    draw_input,
    draw_step,
)

ENTRY = "solve"
_GIVEN = {**KIND_WORDS, "number": "an integer"}
_NUM_EXAMPLES = 2
_DRAWS = 200  # of inputs, before other steps are drawn


@dataclass(frozen=True, slots=True)
class Exercise:
    """Inputs of `tests` and `examples` differ from each other; expected values are the steps'."""

    steps: tuple[Step, ...]
    examples: tuple[tuple[Any, Any], ...]  # (input, expected)
    tests: tuple[tuple[Any, Any], ...]

    @property
    def argument(self) -> str:
        return ARGUMENTS[self.steps[0].template.takes]


def canonical(steps: tuple[Step, ...]) -> str:
    """What decides the split: the steps, whatever the inputs."""
    return " | ".join(step.key for step in steps)


def draw(
    rng: Random, *, num_steps: int, num_tests: int, allowed: Callable[[str], bool]
) -> Exercise:
    """An exercise whose canonical text is allowed and whose tests a lazy answer does not pass."""
    while True:
        steps = _steps(rng, num_steps)
        if allowed(canonical(steps)):
            pairs = _pairs(rng, steps, num_tests + _NUM_EXAMPLES)
            if pairs:
                return Exercise(steps, pairs[:_NUM_EXAMPLES], pairs[_NUM_EXAMPLES:])


def _steps(rng: Random, num_steps: int) -> tuple[Step, ...]:
    steps = [draw_step(rng)]
    while len(steps) < num_steps:
        fitting = [t for t in TEMPLATES if t.takes == steps[-1].template.gives]
        step = draw_step(rng, fitting)
        if step.template is not steps[-1].template:
            steps.append(step)
    return tuple(steps)


def results(steps: tuple[Step, ...], value: Any) -> list[Any] | None:
    """The value after no step, after each step; None where a step does not accept it."""
    values = [value]
    for step in steps:
        if not step.accepts(values[-1]):
            return None
        values.append(step(values[-1]))
    return values


def _pairs(rng: Random, steps: tuple[Step, ...], num: int) -> tuple[tuple[Any, Any], ...] | None:
    """`num` different inputs with their values. None where a lazy answer would pass half the tests:
    a constant, the input itself, or all steps but the last.
    """
    found: list[list[Any]] = []
    for _ in range(_DRAWS):
        values = results(steps, draw_input(rng, steps[0].template.takes))
        if values is not None and all(values[0] != seen[0] for seen in found):
            found.append(values)
        if len(found) == num:
            break
    if len(found) < num or not all(values[0] for values in found[:_NUM_EXAMPLES]):
        return None
    tests = found[_NUM_EXAMPLES:]
    last = [values[-1] for values in tests]
    lazy = max(
        *(last.count(value) for value in last),
        *(sum(values[i] == values[-1] for values in tests) for i in range(len(steps))),
    )
    if 2 * lazy >= len(tests):
        return None
    return tuple((values[0], values[-1]) for values in found)


def question(exercise: Exercise) -> str:
    """The prompt without the line on the answer's format."""
    first, last = exercise.steps[0].template, exercise.steps[-1].template
    argument = exercise.argument
    asked = exercise.steps[0].words
    if len(exercise.steps) == 2:
        asked = f"first {asked}; then, with the result of that, {exercise.steps[1].words}"
    examples = " and ".join(
        f"{ENTRY}({given!r}) returns {value!r}" for given, value in exercise.examples
    )
    return (
        f"Write a Python function {ENTRY}({argument}), where {argument} is "
        f"{KIND_WORDS[first.takes]}. It must {asked}. It returns {_GIVEN[last.gives]}. "
        f"For example, {examples}."
    )


def solution(exercise: Exercise) -> str:
    """The references of the steps and a function that calls them."""
    sources = [inspect.getsource(step.template.reference).strip() for step in exercise.steps]
    inner = exercise.argument
    for step in exercise.steps:
        given = ", ".join([inner, *(repr(value) for value in step.parameters.values())])
        inner = f"{step.template.name}({given})"
    last = f"def {ENTRY}({exercise.argument}):\n    return {inner}"
    return "\n\n\n".join([*sources, last])


def explanation(exercise: Exercise) -> str:
    """The steps in words, tried on the first example."""
    given, _ = exercise.examples[0]
    lines = [f"{ENTRY} takes {KIND_WORDS[exercise.steps[0].template.takes]}."]
    for i, step in enumerate(exercise.steps):
        value = step(given)
        lead = f"Step {i + 1} is to" if len(exercise.steps) > 1 else "It has to"
        lines.append(f"{lead} {step.words}. Example: {given!r} gives {value!r}.")
        given = value
    return "\n".join([*lines, "Written as Python:"])
