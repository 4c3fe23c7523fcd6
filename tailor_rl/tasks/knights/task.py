"""The Knights & Knaves task: splits, prompts, the binary grader, the rule-based trace."""

from __future__ import annotations

from random import Random

from tailor_rl.tasks.knights.puzzle import Puzzle, fingerprint, generate
from tailor_rl.tasks.knights.traces import RULE_BASED, Solver
from tailor_rl.tasks.knights.wording import ask, read_answer, spoken_answer
from tailor_rl.types import Problem

_BINS = {"train": range(0, 80), "validation": range(80, 90), "test": range(90, 100)}


class KnightsKnaves:
    """Who is a knight, always truthful, and who is a knave, always lying?

    Train, validation and test have `people` people; `ood_people` are out of distribution. A
    puzzle's fingerprint (blind to names and order) modulo 100 decides its split, so no two splits
    share a puzzle even when it is renamed. Guessing is right in 1 of 2^n answers.
    """

    name = "knights"

    def __init__(
        self,
        *,
        seed: int = 0,
        people: tuple[int, ...] = (3,),
        ood_people: tuple[int, ...] = (4,),
        depth: int = 2,
        width: int = 2,
        leaf_share: float = 1 / 6,
        prompt: str = "short",
    ) -> None:
        _check_options(
            people=people, ood_people=ood_people, depth=depth, width=width, prompt=prompt
        )
        if not 0 <= leaf_share <= 1:
            raise ValueError(f"task.options.leaf_share must be 0 to 1, not {leaf_share}")
        self._seed, self._prompt = seed, prompt
        self._shape = {"depth": depth, "width": width, "leaf_share": leaf_share}
        self._people, self._ood_people = tuple(people), tuple(ood_people)

    @property
    def splits(self) -> tuple[str, ...]:
        return (*_BINS, *(f"ood/people-{n}" for n in self._ood_people))

    def problem(self, split: str, index: int) -> Problem:
        puzzle = self._puzzle(split, index)
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=ask(puzzle, style=self._prompt),
            answer=spoken_answer(puzzle.names, puzzle.solution),
            split=split,
            difficulty=puzzle.num_people,
            metadata={
                "names": puzzle.names,
                "statements": puzzle.statements,
                "solution": puzzle.solution,
            },
        )

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the text's one `<answer>` gives everybody the right role, else 0.0."""
        return float(read_answer(text, problem.metadata["names"]) == problem.metadata["solution"])

    def rule_based_trace(self, problem: Problem) -> str:
        """Backtracking over people in order, knight first (the published generator's own chain of
        thought).
        """
        data = problem.metadata
        return Solver(data["names"], data["statements"], RULE_BASED).write()

    def _puzzle(self, split: str, index: int) -> Puzzle:
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        rng = Random(f"{self.name}/{self._seed}/{split}/{index}")
        sizes = self._people if split in _BINS else (int(split.rpartition("-")[2]),)
        num_people = rng.choice(sizes)
        while True:
            puzzle = generate(rng, num_people=num_people, **self._shape)
            if split not in _BINS or fingerprint(puzzle.statements) % 100 in _BINS[split]:
                return puzzle


def _check_options(
    *, people: tuple[int, ...], ood_people: tuple[int, ...], depth: int, width: int, prompt: str
) -> None:
    sizes = [*people, *ood_people]
    if not people or not all(isinstance(n, int) and 2 <= n <= 8 for n in sizes):
        raise ValueError(f"task.options.people and ood_people must be 2 to 8, not {sizes}")
    if shared := set(people) & set(ood_people):
        raise ValueError(
            f"task.options.ood_people repeats {sorted(shared)} of people: not out of distribution"
        )
    if depth not in (1, 2, 3) or width not in (2, 3):
        raise ValueError(
            f"task.options.depth must be 1 to 3 and width 2 or 3, not {depth} and {width}"
        )
    if prompt not in ("short", "full"):
        raise ValueError(f"task.options.prompt must be 'short' or 'full', not {prompt!r}")
