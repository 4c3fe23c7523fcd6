"""Worked solutions of Countdown problems, in as many ways as `Style` has settings.

Knows nothing about teachers or students: the built-in teacher, the rule-based baseline, the drills
and GeneralPoints all speak through this file and wording.py, so their parts have the same words.

A whole search would be far too long to learn from, so a trace is an excerpt of one: on the way to a
solution that the solver knows it walks into some failures, at most `Style.tries`, and takes each of
them back. They stand in the order of the search, always before the right turn. With an `rng` their
number and choice are drawn; without one the first in order are taken, which for three numbers and
`tries` of 12 is the whole depth-first search. Results far beyond the goal are not tried unless no
other way leads to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from tailor_rl.tasks.countdown.expressions import SIGNS, Value, apply
from tailor_rl.tasks.countdown.search import Result, Tree, evaluate, find, results, undone
from tailor_rl.tasks.countdown.wording import (
    Given,
    answered,
    compared,
    number,
    rewriting,
    row,
    step,
    undoing,
)

Thing = TypeVar("Thing")
Part = tuple[Value, Tree]  # what is left to be used: a value, and how it was made
Move = tuple[Result, tuple[Part, ...]]  # one operation, and what is left after it


@dataclass(frozen=True, slots=True)
class Style:
    """How a solver goes about it. Every field is one visible habit of the trace.

    The four behaviours of "Four Habits": verification is `verify`, backtracking is `tries` with a
    spoken `retract`, subgoal setting and backward chaining are the methods of those names.
    """

    method: Literal["forward", "backward", "subgoals"] = "forward"
    tries: int = 6  # failed tries at most; 0 goes straight to the solution
    each: bool = True  # the last two numbers with every operator in a row, or one try at a time
    products_first: bool = False  # * and / are tried before + and -
    large_first: bool = False  # the largest numbers are tried first, or those told first
    restate: bool = False  # the task is repeated before the first try
    verify: bool = True  # results are compared with the goal, and the solution is checked again
    retract: Literal["explicit", "again", "silent"] = "explicit"
    numbered: bool = False  # tries carry numbers
    goals: bool = False  # on the way back from the target, what is needed is called a sub-goal


def rule_based(given: Given) -> str:
    """Forward depth-first search in a fixed order: all of it up to three numbers, at most 8
    failures of it with more, so that the trace stays within 1,024 tokens.
    """
    return Solver(given, Style(tries=12 if len(given.numbers) <= 3 else 8)).write()


class Solver:
    """Writes one trace. `slip` is the chance that a result that misses the goal is miscalculated
    and taken for it (a tired teacher).
    """

    def __init__(
        self, given: Given, style: Style, *, rng: Random | None = None, slip: float = 0.0
    ) -> None:
        self.given, self.style = given, style
        self._rng, self._slip = rng, slip
        self._operators = [sign for sign in SIGNS if sign in given.operators]
        if style.products_first:
            self._operators.sort(key=lambda sign: sign in "+-")
        self._ceiling = max(100, 4 * given.target, 2 * max(given.numbers))
        self._fractions = False
        self._failures = rng.randint(0, style.tries) if rng else style.tries
        self._number = 0
        self._slips: dict[Tree, Value] = {}  # what a miscalculated tree was taken for
        self._lines: list[str] = []

    def write(self) -> str:
        """The whole trace, ending with `<answer> ...</answer>`."""
        numbers, goal = self.given.numbers, self.given.target
        self._lines.extend([self.given.opening] if self.given.opening else [])
        if self.style.restate:
            self._lines.append(f"Use {row(numbers)} to make {goal}.")
        start = tuple((value, value) for value in numbers)
        self._fractions = not self._leads(start, goal)
        if not self._leads(start, goal):
            return self._give_up()
        if self.style.method == "backward":
            self._lines.append(f"Work backwards from {goal}.")
        search = self._forward if self.style.method == "forward" else self._from_goal
        tree = search(start, goal, doomed=False) if len(start) > 1 else start[0][1]
        assert tree is not None, self.given
        if self.style.verify:
            self._lines.append(f"Check: {', '.join(self.steps(tree))}.")
        self._lines.extend([f"So {rewriting(tree, goal, value_of=self._value)}.", answered(tree)])
        return " ".join(self._lines)

    def ends(self, left: Sequence[Part]) -> list[tuple[Result, Tree]]:
        """What the last two parts make, in this style's order of operators, and the trees."""
        (one, tree), (other, more) = left
        found = results(one, other, operators=self._operators, fractions=self._fractions)
        return [
            (result, (result[0], tree, more) if result[1] == one else (result[0], more, tree))
            for result in found
        ]

    def moves(self, left: Sequence[Part]) -> list[Move]:
        """Every pair with every operator, in this style's order; the new number comes first."""
        parts = self._in_order(left)
        moves = []
        for i, one in enumerate(parts):
            for j in range(i + 1, len(parts)):
                rest = tuple(part for k, part in enumerate(parts) if k not in (i, j))
                for result, tree in self.ends((one, parts[j])):
                    moves.append((result, ((result[3], tree), *rest)))
        return moves

    def _in_order(self, left: Sequence[Part]) -> list[Part]:
        return sorted(left, key=lambda part: -part[0]) if self.style.large_first else list(left)

    def _forward(self, left: Sequence[Part], goal: Value, *, doomed: bool) -> Tree | None:
        """Depth-first over operations. `doomed`: nothing here leads to the goal, and only some of
        it is shown; then a tree comes back by a slip alone.
        """
        if len(left) == 2:
            return self._finish(left, goal, doomed=doomed)
        moves = self.moves(left)
        near = [move for move in moves if move[0][3] <= self._ceiling]
        right = None if doomed else self._first((after, goal) for _, after in near)
        if right is None and not doomed:
            near, right = moves, self._first((after, goal) for _, after in moves)
        shown = self._shown(near[:right], len(left), doomed=doomed)
        for place, (result, after) in enumerate(shown, 1):
            self._lines.append(self.move(result, after))
            found = self._forward(after, goal, doomed=True)
            if found is not None:
                return found
            self._retract(left, last=doomed and place == len(shown))
        if right is None:
            return None
        self._lines.append(self.move(*near[right]))
        return self._forward(near[right][1], goal, doomed=False)

    def _from_goal(self, left: Sequence[Part], goal: Value, *, doomed: bool) -> Tree | None:
        """Depth-first over what the last operation could be: one part is set aside, and the others
        must make what it then needs. Where no single part can be set aside, two are joined first.
        """
        if len(left) == 2:
            return self._finish(left, goal, doomed=doomed)
        options = [option for option in self._undone(left, goal) if option[0][3] <= self._ceiling]
        right = None if doomed else self._first((rest, result[3]) for result, _, rest in options)
        if right is None and not doomed:
            options = self._undone(left, goal)
            right = self._first((rest, result[3]) for result, _, rest in options)
        shown = self._shown(options[:right], len(left), doomed=doomed)
        for place, option in enumerate(shown, 1):
            found = self._set_aside(option, goal, doomed=True)
            if found is not None:
                return found
            self._retract(left, last=doomed and place == len(shown))
        if right is not None:
            return self._set_aside(options[right], goal, doomed=False)
        return None if doomed else self._join_first(left, goal)

    def _undone(self, left: Sequence[Part], goal: Value) -> list[tuple[Result, Part, list[Part]]]:
        """Every last operation with one part on a side: it, that part, and the other parts."""
        parts = self._in_order(left)
        return [
            (result, part, parts[:i] + parts[i + 1 :])
            for i, part in enumerate(parts)
            for result in undone(
                part[0], goal, operators=self._operators, fractions=self._fractions
            )
        ]

    def _set_aside(
        self, option: tuple[Result, Part, list[Part]], goal: Value, *, doomed: bool
    ) -> Tree | None:
        (sign, left, _, needed), part, rest = option
        self._lines.append(self.aim(option[0], goal, rest))
        tree = self._from_goal(rest, needed, doomed=doomed)
        if tree is None:
            return None
        joined = (sign, tree, part[1]) if left == needed else (sign, part[1], tree)
        if tree in self._slips:
            self._slips[joined] = goal
        return joined

    def aim(self, result: Result, goal: Value, rest: Sequence[Part]) -> str:
        """What the other parts must make: "Try 13 - 2 = 11, so 11 from 3 7:", or as a sub-goal."""
        sign, left, right, needed = result
        wanted = f"{number(needed)} from {row([value for value, _ in rest])}"
        if self.style.method == "backward":
            so = ". Sub-goal" if self.style.goals else ", so"
            told = f"{self._label()}{undoing(sign, left, right, goal, needed)}{so} {wanted}"
        else:
            told = f"{self._label('')}Sub-goal {wanted}, then {step(sign, left, right, goal)}"
        return f"{told}{self._stop(rest)}"

    def _join_first(self, left: Sequence[Part], goal: Value) -> Tree | None:
        moves = self.moves(left)
        right = self._first((after, goal) for _, after in moves)
        assert right is not None, (left, goal)
        self._lines.append(self.move(*moves[right]))
        return self._from_goal(moves[right][1], goal, doomed=False)

    def _finish(self, left: Sequence[Part], goal: Value, *, doomed: bool) -> Tree | None:
        """The last two parts: each operator until one gives the goal."""
        every = self.ends(left)
        near = [end for end in every if end[0][3] <= self._ceiling or end[0][3] == goal]
        every = near or every
        hit = next((i for i, (result, _) in enumerate(every) if result[3] == goal), None)
        assert (hit is None) == doomed, (left, goal)
        if self.style.each:
            start = 0 if self.style.tries or hit is None else hit
            lines, found = self.in_a_row(every[start : None if hit is None else hit + 1], goal)
            self._lines.extend(lines)
            self._failures -= found is None
            return found
        shown = self._shown(every[:hit], 3, doomed=doomed)
        for place, (result, tree) in enumerate(shown, 1):
            self._failures -= 1
            if self._slipped(tree, goal):
                self._one_end((*result[:3], goal), goal)
                return tree
            self._one_end(result, goal)
            self._retract(left, last=doomed and place == len(shown))
        if hit is None:
            return None
        self._one_end(every[hit][0], goal)
        return every[hit][1]

    def in_a_row(
        self, ends: Sequence[tuple[Result, Tree]], goal: Value
    ) -> tuple[list[str], Tree | None]:
        """These ends up to the first that gives the goal: the lines, and its tree."""
        told, found = [], None
        for (sign, left, right, value), tree in ends:
            if value == goal or self._slipped(tree, goal):
                found, value = tree, goal
            told.append(step(sign, left, right, value))
            if found is not None:
                break
        verdict = f"None is {number(goal)}." if found is None else compared(goal, goal)
        return [f"{', '.join(told)}.", *([verdict] if self.style.verify else [])], found

    def _slipped(self, tree: Tree, goal: Value) -> bool:
        if self._rng is None or not self._slip or self._rng.random() >= self._slip:
            return False
        self._slips[tree] = goal
        return True

    def _one_end(self, result: Result, goal: Value) -> None:
        self._lines.append(f"{self._label()}{step(*result)}.")
        if self.style.verify:
            self._lines.append(compared(result[3], goal))

    def _shown(self, failing: Sequence[Thing], size: int, *, doomed: bool) -> list[Thing]:
        """The failures that are walked into here, in order. With more than three numbers each
        brings up to three failures of its own.
        """
        spare = min(3, self._failures) if doomed else self._failures
        count = min(len(failing), spare if size == 3 else -(-spare // 3))
        if self._rng is None or count <= 0:
            return list(failing[: max(0, count)])
        if size > 3 and not doomed:  # some are left for later
            count = self._rng.randint(0, count)
        return [failing[i] for i in sorted(self._rng.sample(range(len(failing)), count))]

    def move(self, result: Result, after: Sequence[Part]) -> str:
        """ "Try 3 + 7 = 10, left 10 2:"."""
        have = row([value for value, _ in after])
        return f"{self._label()}{step(*result)}, left {have}{self._stop(after)}"

    def _stop(self, after: Sequence[Part]) -> str:
        return ":" if len(after) == 2 and self.style.each else "."

    def _label(self, unnumbered: str = "Try ") -> str:
        self._number += 1
        return f"Try {self._number}: " if self.style.numbered else unnumbered

    def _retract(self, left: Sequence[Part], *, last: bool) -> None:
        """Nobody goes back to where nothing is left to be tried (`last`): whoever tries something
        else, further up, says so.
        """
        if last:
            return
        have = row([value for value, _ in left])
        said = {"explicit": [f"Go back to {have}."], "again": ["Try again."], "silent": []}
        self._lines.extend(said[self.style.retract])

    def _leads(self, left: Sequence[Part], goal: Value) -> bool:
        values = [value for value, _ in left]
        found = find(values, goal, operators=self._operators, fractions=self._fractions)
        return found is not None

    def _first(self, ways: Iterable[tuple[Sequence[Part], Value]]) -> int | None:
        """The place of the first way whose parts lead to its goal."""
        return next((i for i, way in enumerate(ways) if self._leads(*way)), None)

    def steps(self, tree: Tree) -> list[str]:
        """Every operation of a tree, the innermost first."""
        if not isinstance(tree, tuple):
            return []
        sign, left, right = tree
        own = step(sign, self._value(left), self._value(right), self._value(tree))
        return [*self.steps(left), *self.steps(right), own]

    def _value(self, tree: Tree) -> Value:
        """What the solver takes a tree for; after a slip its parts may have no such value, or
        none.
        """
        if not isinstance(tree, tuple):
            return evaluate(tree)
        if tree in self._slips:
            return self._slips[tree]
        value = apply(tree[0], self._value(tree[1]), self._value(tree[2]))
        assert value is not None, tree
        return value

    def _give_up(self) -> str:
        tree: Tree = self.given.numbers[0]
        for value in self.given.numbers[1:]:
            tree = ("+", tree, value)
        return " ".join([*self._lines, "I find no way.", answered(tree)])
