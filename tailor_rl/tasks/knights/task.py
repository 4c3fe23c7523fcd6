"""The Knights & Knaves task: options and splits, the binary grader, the rule-based trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from tailor_rl.tasks.knights.axes import CHANGED, FRESH
from tailor_rl.tasks.knights.generated import Generated
from tailor_rl.tasks.knights.puzzle import PLAIN
from tailor_rl.tasks.knights.records import Records
from tailor_rl.tasks.knights.rewards import logic_rl, readable, role_words
from tailor_rl.tasks.knights.traces import RULE_BASED, Solver, Style
from tailor_rl.tasks.knights.wording import ask, read_answer, reworded, spoken_answer
from tailor_rl.tasks.styles import drawn_style
from tailor_rl.types import Problem

_MOST_IN_CASES = 4
_SHAPE = {"depth": 2, "width": 2, "leaf_share": 1 / 6}


class KnightsKnaves:
    """Who is a knight, always truthful, and who is a knave, always lying?

    Train, validation and test have `people` people, 3 unless told otherwise; `ood_people` (4) are
    out of distribution, and so are the splits "ood/<axis>" of `axes`:

    - "people-N", "depth-3", "width-3": more people, or larger statements;
    - "statement", "leaf": problem i is test puzzle i with one statement, or one leaf of one,
      exchanged so that the one solution is another;
    - "role-words", "role-flip", "uncommon-names", "reordered": problem i is test puzzle i told
      otherwise. Where a puzzle was changed, `metadata["original"]` is the id of the test problem.

    A puzzle's fingerprint (blind to names and order) decides its split, so no puzzle of the train
    split comes back in another, even renamed; it is also the problem's family. Guessing is right in
    1 of 2^n answers.

    With `path` the puzzles are those of a file instead (see records.py), with the file's own text
    and the answer format behind it: all of them, or those of `people` people, and none is made.
    """

    name = "knights"

    def __init__(
        self,
        *,
        seed: int = 0,
        people: Sequence[int] | None = None,
        ood_people: Sequence[int] | None = None,
        axes: Sequence[str] = (),
        depth: int = 2,
        width: int = 2,
        leaf_share: float = 1 / 6,
        prompt: str = "short",
        path: str | None = None,
    ) -> None:
        shape = {"depth": depth, "width": width, "leaf_share": leaf_share}
        if people is None and path is None:
            people = (3,)
        if ood_people is None:
            ood_people = (4,) if path is None else ()
        _check_shape(depth=depth, width=width, leaf_share=leaf_share, prompt=prompt)
        _check_axes(axes, depth=depth, width=width)
        _check_people(people, ood_people, axes)
        axes = tuple(dict.fromkeys([*(f"people-{n}" for n in ood_people), *axes]))
        self._style = prompt
        self._source: Generated | Records
        if path is None:
            assert people is not None
            self._source = Generated(self.name, seed=seed, people=people, axes=axes, shape=shape)
        else:
            _check_file_options(axes, shape == _SHAPE and prompt == "short")
            numbers = [int(axis.rpartition("-")[2]) for axis in axes]
            self._source = Records(Path(path), people=people, ood_people=numbers)
            self.size = self._source.size  # only a data set has sizes (HasSizes)

    @property
    def splits(self) -> tuple[str, ...]:
        return self._source.splits

    def problem(self, split: str, index: int) -> Problem:
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        drawn = self._source.draw(split, index)
        puzzle = drawn.puzzle
        metadata: dict[str, Any] = {
            "names": puzzle.names,
            "statements": puzzle.statements,
            "solution": puzzle.solution,
            "role_words": puzzle.role_words,
        }
        if drawn.original is not None:
            metadata["original"] = f"{self.name}:test:{drawn.original}"
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=drawn.prompt or ask(puzzle, style=self._style),
            answer=spoken_answer(puzzle.names, puzzle.solution, puzzle.role_words),
            split=split,
            difficulty=puzzle.num_people,
            metadata=metadata,
            family=f"{drawn.fingerprint:016x}",
        )

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the text's one `<answer>` gives everybody the right role, else 0.0."""
        roles = read_answer(text, problem.metadata["names"], role_words(problem))
        return float(roles == tuple(problem.metadata["solution"]))

    def answer_text(self, problem: Problem) -> str:
        """ "<answer>Ann knight, Bob knave</answer>"."""
        return f"<answer>{problem.answer}</answer>"

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        """ "logic_rl" is -3 to 3; "format" is 1 where the answer can be read, else 0."""
        return {"logic_rl": logic_rl, "format": readable}

    def rule_based_trace(self, problem: Problem) -> str:
        """Backtracking over people in order, knight first (the published generator's own chain of
        thought).
        """
        return _trace(problem, RULE_BASED)

    def varied_trace(self, problem: Problem, draw: int) -> str:
        """The same puzzle in the style number `draw`: a solver's habits, drawn one by one. Many
        people are settled one at a time: they have too many whole cases to write down.
        """
        style = drawn_style(Style, Random(f"{self.name}/style/{draw}"), numbers={})
        if len(problem.metadata["names"]) > _MOST_IN_CASES:
            style = replace(style, method="grow")
        return _trace(problem, style)


def _trace(problem: Problem, style: Style) -> str:
    data = problem.metadata
    trace = Solver(data["names"], data["statements"], style).write()
    return reworded(trace, PLAIN, role_words(problem))


def _check_shape(*, depth: int, width: int, leaf_share: float, prompt: str) -> None:
    if depth not in (2, 3) or width not in (2, 3):
        raise ValueError(
            f"task.options.depth must be 2 or 3 and width 2 or 3, not {depth} and {width}: where "
            "everybody only says who is what, exchanging all roles gives a second solution"
        )
    if not 0 <= leaf_share <= 0.9:
        raise ValueError(
            f"task.options.leaf_share must be 0 to 0.9, not {leaf_share}: a puzzle of leaves alone "
            "never has one solution"
        )
    if prompt not in ("short", "full"):
        raise ValueError(f"task.options.prompt must be 'short' or 'full', not {prompt!r}")


def _check_axes(axes: Sequence[str], *, depth: int, width: int) -> None:
    for axis in axes:
        if axis not in CHANGED and axis not in FRESH:
            known = ", ".join([*CHANGED, "people-N", "depth-3", "width-3"])
            raise ValueError(f"task.options.axes must be among {known}, not {axis!r}")
        if (axis, depth) == ("depth-3", 3) or (axis, width) == ("width-3", 3):
            raise ValueError(
                f"task.options.axes has {axis!r}, which the train split has already: set "
                f"task.options.{axis.partition('-')[0]} to 2"
            )


def _check_people(
    people: Sequence[int] | None, ood_people: Sequence[int], axes: Sequence[str]
) -> None:
    for option, sizes in (("people", people), ("ood_people", ood_people)):
        if sizes is not None and not _is_list_of_sizes(sizes):
            raise ValueError(f"task.options.{option} must be a list of 2 to 8, not {sizes!r}")
    if people is not None and not people:
        raise ValueError("task.options.people must name a number of people, such as [3], not []")
    if shared := set(people or ()) & set(ood_people):
        raise ValueError(
            f"task.options.ood_people repeats {sorted(shared)} of people: not out of distribution"
        )
    if shared_axes := [f"people-{n}" for n in people or () if f"people-{n}" in axes]:
        raise ValueError(
            f"task.options.axes has {shared_axes[0]!r} although people has that number: "
            "not out of distribution"
        )


def _is_list_of_sizes(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(n, int) and 2 <= n <= 8 for n in value
    )


def _check_file_options(axes: Sequence[str], untouched: bool) -> None:
    """What only makes sense where puzzles are made has no place beside `path`."""
    if other := [axis for axis in axes if not axis.startswith("people-")]:
        raise ValueError(
            f"task.options.axes has {other[0]!r}, but puzzles from task.options.path are told in "
            "their own words: only 'people-N' goes with it"
        )
    if not untouched:
        raise ValueError(
            "task.options.path gives whole puzzles: depth, width, leaf_share and prompt must be "
            "left out beside it"
        )
