"""What is 17 + 40 + 9? Longer sums are out of distribution."""

import re
from random import Random

from tailor_rl.types import Problem

SHARES = {"train": range(0, 8), "validation": range(8, 9), "test": range(9, 10)}


class Sums:
    """Adding up two-digit numbers; twice as many of them are out of distribution."""

    name = "sums"
    splits = ("train", "validation", "test", "ood/longer")

    def __init__(self, *, seed: int = 0, terms: int = 3) -> None:
        if not 2 <= terms <= 8:
            raise ValueError(f"task.options.terms must be 2 to 8, not {terms}")
        self._seed, self._terms = seed, terms

    def problem(self, split: str, index: int) -> Problem:
        """Any index must work, and give the same problem in every process."""
        terms = self._draw(split, Random(f"{self._seed}/{split}/{index}"))
        question = " + ".join(map(str, terms))
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=f"What is {question}? End with <answer>the sum</answer>.",
            answer=str(sum(terms)),
            split=split,
            difficulty=len(terms),
            metadata={"terms": terms},
        )

    def grade(self, problem: Problem, text: str) -> float:
        """This is the reward: 1.0 or 0.0. Whatever a model may write must be gradable."""
        return float(re.findall(r"<answer>\s*(\d+)\s*</answer>", text) == [problem.answer])

    def rule_based_trace(self, problem: Problem) -> str:
        """A solution by rule, for `initialisation = "rule_based"`."""
        lines, total = [], 0
        for term in problem.metadata["terms"]:
            lines.append(f"{total} + {term} = {total + term}")
            total += term
        return "\n".join([*lines, f"<answer>{total}</answer>"])

    def _draw(self, split: str, rng: Random) -> list[int]:
        longer = split == "ood/longer"
        while True:
            terms = [rng.randrange(10, 100) for _ in range(self._terms * (1 + longer))]
            # The terms, in whatever order, decide the split: no two splits share a sum.
            if longer or Random(str(sorted(terms))).randrange(10) in SHARES[split]:
                return terms
