"""What a tiny base student is raised on: the parts of Countdown, and bad habits of putting them
together.

The parts are calculations, what is left after a step, the next step, going back, everything that
two numbers make, undoing an operation from the target, steps written as one expression, some tries
that fail; in the words of traces.py. The habits answer the real question without a strategy: a
guess, or one try and a shrug. Going on until the target is reached is in no document: that is what
demonstrations have to teach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random

from tailor_rl.tasks.countdown.expressions import SIGNS, Value
from tailor_rl.tasks.countdown.puzzle import Shape, draw
from tailor_rl.tasks.countdown.search import Result, Tree, evaluate, undone
from tailor_rl.tasks.countdown.traces import Part, Solver, Style
from tailor_rl.tasks.countdown.wording import (
    Given,
    answered,
    ask,
    compared,
    rewriting,
    row,
    step,
    written,
)

_LARGEST = 100  # products beyond it are not practised
_EXPLORED = 12  # sentences
_SENTENCE = re.compile(r"(?<=[.:]) ")


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weights of the kinds of documents; they need not sum to 1."""

    calculate: float = 4.0
    compare: float = 1.0
    what_is_left: float = 2.0
    next_tries: float = 2.0
    go_back: float = 1.0
    reach: float = 4.0
    undo: float = 1.5
    plan: float = 1.5
    rewrite: float = 3.0
    check: float = 1.5
    explore: float = 4.0
    guess: float = 1.0
    one_try: float = 1.5


class Upbringing:
    """Makes endless (prompt, completion) documents from problems of the train split only.

    `numbers`, `values` and `targets` mean what they mean for the task.
    """

    def __init__(
        self,
        *,
        seed: int,
        numbers: Sequence[int] = (3,),
        values: Sequence[int] = (1, 12),
        targets: Sequence[int] = (10, 25),
        mixture: Mapping[str, float] | None = None,
    ) -> None:
        self._rng = Random(f"countdown-upbringing/{seed}")
        self._shape = Shape(tuple(numbers), (values[0], values[1]), (targets[0], targets[1]))
        self._kinds = [field.name for field in fields(Mixture)]
        weights = Mixture(**(mixture or {}))
        self._weights = [getattr(weights, kind) for kind in self._kinds]

    def document(self) -> tuple[str, str]:
        kind = self._rng.choices(self._kinds, self._weights)[0]
        numbers, target, _ = draw(self._rng, self._shape, split="train")
        given = Given(numbers, target)
        solver = Solver(given, _random_style(self._rng, kind), rng=self._rng)
        writer: Callable[[Given, Solver], tuple[str, str]] = getattr(self, f"_{kind}")
        request, completion = writer(given, solver)
        prompt = ask(given, style="short")
        return (f"{prompt} {request}" if request else prompt), completion

    def _calculate(self, given: Given, solver: Solver) -> tuple[str, str]:
        asked = [self._calculation(given) for _ in range(self._rng.randint(2, 4))]
        request = ", ".join(f"{left} {sign} {right}" for sign, left, right, _ in asked)
        return f"Work out {request}.", f"{', '.join(step(*one) for one in asked)}."

    def _calculation(self, given: Given) -> Result:
        """One that turns up in solutions: with the size of the given numbers and of the target."""
        one = self._rng.randint(1, max(*given.numbers, given.target))
        other = self._rng.choice(given.numbers)
        sign = self._rng.choice(SIGNS)
        if sign == "*" and one * other > _LARGEST:
            one = self._rng.randint(1, max(1, _LARGEST // other))
        if sign == "-":
            return sign, one + other, other, one
        if sign == "/":
            quotient = self._rng.randint(1, max(1, _LARGEST // other))
            return sign, quotient * other, other, quotient
        return sign, one, other, one + other if sign == "+" else one * other

    def _compare(self, given: Given, solver: Solver) -> tuple[str, str]:
        """Near misses too: 31 and 13 are made of the same digits."""
        goal = given.target
        near = goal + self._rng.choice((-10, -1, 1, 10))
        drawn = (goal, goal, near, self._rng.randint(1, _LARGEST), int(str(goal)[::-1]))
        values = self._rng.choices(drawn, k=self._rng.randint(2, 4))
        said = " ".join(compared(value, goal) for value in values)
        return f"Compare {', '.join(map(str, values))}.", said

    def _what_is_left(self, given: Given, solver: Solver) -> tuple[str, str]:
        result, after = self._rng.choice(solver.moves(_start(given)))
        sign, left, right, _ = result
        return f"Try {left} {sign} {right}.", solver.move(result, after)

    def _next_tries(self, given: Given, solver: Solver) -> tuple[str, str]:
        """Go on: the order is to be seen from the tries so far, as in a whole solution."""
        tries = [solver.move(*move) for move in solver.moves(_start(given))]
        told = self._rng.randint(1, min(4, len(tries) - 1))
        return f"Go on: {' '.join(tries[:told])}", " ".join(tries[told : told + 3])

    def _go_back(self, given: Given, solver: Solver) -> tuple[str, str]:
        tried = solver.move(*self._rng.choice(solver.moves(_start(given))))
        return f"{tried[:-1]}. Give up.", f"Go back to {row(given.numbers)}."

    def _reach(self, given: Given, solver: Solver) -> tuple[str, str]:
        """Everything that two numbers make, up to what is needed; half of the time they reach
        it.
        """
        goal, one = given.target, self._rng.choice(given.numbers)
        other = self._rng.randint(1, max(given.numbers))
        if self._rng.random() < 0.5:
            ways = undone(one, goal, operators=SIGNS, fractions=False)
            other = int(self._rng.choice([way[3] for way in ways if way[3] <= _limit(given)]))
        pair = (one, other) if self._rng.random() < 0.5 else (other, one)
        near = [
            end
            for end in solver.ends([(value, value) for value in pair])
            if end[0][3] <= _limit(given)
        ]
        return f"Need {goal} from {row(pair)}.", " ".join(solver.in_a_row(near, goal)[0])

    def _undo(self, given: Given, solver: Solver) -> tuple[str, str]:
        """The target taken apart, one number set aside: "Last + 2." is 13 = ? + 2."""
        place = self._rng.randrange(len(given.numbers))
        rest = [part for i, part in enumerate(_start(given)) if i != place]
        known = given.numbers[place]
        ways = list(undone(known, given.target, operators=SIGNS, fractions=False))
        way = self._rng.choice([way for way in ways if way[3] <= _limit(given)])
        sign, left, right, needed = way
        request = f"Last {sign} {right}." if left == needed else f"Last {left} {sign}."
        return request, solver.aim(way, given.target, rest)

    def _plan(self, given: Given, solver: Solver) -> tuple[str, str]:
        """As `_undo`, told as a sub-goal: the style's method decides."""
        request, completion = self._undo(given, solver)
        return f"Plan. {request}", completion

    def _rewrite(self, given: Given, solver: Solver) -> tuple[str, str]:
        tree = self._some_way(given, solver)[1]
        steps = ", ".join(solver.steps(tree))
        return f"Write {steps} as one.", f"So {rewriting(tree, evaluate(tree))}."

    def _check(self, given: Given, solver: Solver) -> tuple[str, str]:
        tree = self._some_way(given, solver)[1]
        return f"Check {written(tree)}.", f"Check: {', '.join(solver.steps(tree))}."

    def _explore(self, given: Given, solver: Solver) -> tuple[str, str]:
        """The beginning of a search: tries that fail, in the words of any style, and no end."""
        trace = Solver(given, _any_style(self._rng), rng=self._rng).write()
        sentences = _SENTENCE.split(trace)
        end = next(i for i, said in enumerate(sentences) if said.startswith("Check:"))
        failing = sentences[: max(1, min(end - 2, _EXPLORED))]  # not the try that succeeds
        return f"Explore {len(failing)}.", " ".join(failing)

    def _guess(self, given: Given, solver: Solver) -> tuple[str, str]:
        return "", answered(self._some_way(given, solver)[1])

    def _one_try(self, given: Given, solver: Solver) -> tuple[str, str]:
        """One way down to one number; it is the answer, whatever it is."""
        lines, tree = self._some_way(given, solver)
        value = evaluate(tree)
        verdict = [compared(value, given.target)] if solver.style.verify else []
        return "", " ".join([*lines, *verdict, f"So {rewriting(tree, value)}.", answered(tree)])

    def _some_way(self, given: Given, solver: Solver) -> tuple[list[str], Tree]:
        """Operations at random until one number is left: the lines, and how it was made."""
        left, lines = _start(given), []
        while len(left) > 1:
            moves = solver.moves(left)
            small = [move for move in moves if move[0][3] <= _LARGEST] or moves
            result, after = self._rng.choice(small)
            last = f"Try {step(*result)}."
            lines.append(solver.move(result, after) if len(after) > 1 else last)
            left = after
        return lines, left[0][1]


def _limit(given: Given) -> int:
    """Up to here numbers are shown; there is always a way to the target within it."""
    return max(_LARGEST, 2 * max(*given.numbers, given.target))


def _start(given: Given) -> tuple[Part, ...]:
    numbers: tuple[Value, ...] = given.numbers
    return tuple((value, value) for value in numbers)


def _any_style(rng: Random) -> Style:
    """Every habit of a solver but that of checking: `_explore` looks for its mark."""
    return Style(
        method=rng.choice(("forward", "backward", "subgoals")),
        tries=rng.randint(1, 4),
        each=rng.random() < 0.7,
        products_first=rng.random() < 0.3,
        large_first=rng.random() < 0.3,
        restate=rng.random() < 0.4,
        verify=True,
        retract=rng.choice(("explicit", "again", "silent")),
        numbered=rng.random() < 0.2,
    )


def _random_style(rng: Random, kind: str) -> Style:
    return Style(
        method="subgoals" if kind == "plan" else "backward",  # for `aim`
        each=kind != "one_try" and rng.random() < 0.5,
        products_first=rng.random() < 0.3,
        large_first=rng.random() < 0.3,
        verify=kind == "reach" or rng.random() < 0.7,
        numbered=False,
    )
