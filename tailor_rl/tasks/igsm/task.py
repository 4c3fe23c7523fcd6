"""The iGSM task: presets, splits, the binary grader, the process reward, the published form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from tailor_rl.tasks.igsm.checker import process_is_right
from tailor_rl.tasks.igsm.generate import Draft, draw_draft, finish
from tailor_rl.tasks.igsm.reading import read_problem
from tailor_rl.tasks.igsm.structure import Shape
from tailor_rl.tasks.igsm.traces import PUBLISHED, Solver, Style
from tailor_rl.tasks.igsm.wording import Wording, ask, read_answer, spoken_answer
from tailor_rl.tasks.igsm.words import CHAINS, SMALL_CHAIN
from tailor_rl.tasks.splits import BINS, belongs, fingerprint
from tailor_rl.tasks.styles import drawn_style
from tailor_rl.types import Problem

_FEWEST_FORMS = 4  # up to so many operations have too few templates for every split


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of sizes. `low_heavy`: the operations of a problem are the smaller of two draws,
    as published; else every number of operations is as likely as the next.
    """

    ops: tuple[int, int]
    ood_ops: tuple[int, int]
    shape: Shape
    wording: Wording = "full"
    low_heavy: bool = False
    ood_zeros: float = 1.0  # share of the out-of-distribution problems with answer 0 that stay
    max_ops: int = 32  # a solution has a letter for each operation, and there are 52


PRESETS = {
    "med": Preset((1, 15), (20, 23), Shape(max_edges=20), low_heavy=True),
    "hard": Preset((1, 21), (28, 32), Shape(max_edges=28), low_heavy=True),
    "rl": Preset(
        (15, 20),
        (21, 25),
        Shape(max_edges=20, layers=(4,), chains=CHAINS[:3], modulo=0),
        ood_zeros=0.4,
    ),
    "small": Preset(
        (2, 6),
        (7, 9),
        Shape(max_edges=7, layers=(2, 3), widths=(2, 3), chains=(SMALL_CHAIN,), modulo=7),
        wording="short",
        max_ops=20,
    ),
}


class IGSM:
    """How many, when much of what is told is not needed? Arithmetic along a dependency graph.

    Train, validation and test have `ops` operations (lowest and highest), "ood/ops-A-B" has
    `ood_ops`, each number of them as likely as the next; in the presets "med" and "hard" train,
    validation and test take the smaller of two draws, as published, unless `ops` is given.
    A problem's template (its solution without names, numbers, symbols and order) decides its split
    and is its family, so no two splits share a problem even when it is renamed.

    Presets: "med" (1 to 15 operations, modulo 23), "hard" (1 to 21), "rl" (15 to 20, whole numbers
    below 1000), "small" (2 to 6, modulo 7, few short words). `modulo` 0 means whole numbers;
    `prompt` is "full" (answer in `\\boxed{}`) or "short" (`<answer> 3</answer>`).
    """

    name = "igsm"

    def __init__(
        self,
        *,
        seed: int = 0,
        preset: str = "med",
        ops: Sequence[int] | None = None,
        ood_ops: Sequence[int] | None = None,
        modulo: int | None = None,
        prompt: Wording | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(
                f"task.options.preset {preset!r} is none of {', '.join(PRESETS)}: name one of them"
            )
        chosen = PRESETS[preset]
        self._seed, self._preset = seed, chosen
        self._ops = _checked_ops("ops", chosen.ops if ops is None else ops, most=chosen.max_ops)
        self._ood_ops = _checked_ops(
            "ood_ops", chosen.ood_ops if ood_ops is None else ood_ops, most=chosen.max_ops
        )
        if max(self._ops[0], self._ood_ops[0]) <= min(self._ops[1], self._ood_ops[1]):
            raise ValueError(
                f"task.options.ood_ops {list(self._ood_ops)} overlaps ops {list(self._ops)}, so it "
                "is not out of distribution: choose ranges that do not meet"
            )
        self._low_heavy = chosen.low_heavy and ops is None
        self._modulo = _checked_modulo(chosen.shape.modulo if modulo is None else modulo)
        self._shape = replace(chosen.shape, modulo=self._modulo)
        self._wording: Wording = chosen.wording if prompt is None else prompt
        if self._wording not in ("short", "full"):
            raise ValueError(
                f"task.options.prompt {prompt!r} is no wording: choose 'short' or 'full'"
            )
        self._ood = f"ood/ops-{self._ood_ops[0]}-{self._ood_ops[1]}"

    @property
    def splits(self) -> tuple[str, ...]:
        return (*BINS, self._ood)

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        """ "process": 1.0 where the text is a right solution in the published form, else 0.0."""
        return {"process": self._process}

    def problem(self, split: str, index: int) -> Problem:
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        rng = Random(f"{self.name}/{self._seed}/{split}/{index}")
        ops, draft, family = self._draft(rng, split)
        puzzle = finish(rng, draft, self._shape)
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=ask(puzzle, wording=self._wording),
            answer=str(draft.answer),
            split=split,
            difficulty=ops,
            metadata={
                "modulo": self._modulo,
                "needed": len(draft.order),
                "sentences": len(puzzle.sentences),
                "layers": len(puzzle.kinds),
            },
            family=f"{family:016x}",
        )

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the answer that the text gives is the right integer (modulo the modulus: 23 is
        0 modulo 23), else 0.0. `read_answer` says what counts as an answer.
        """
        given = read_answer(text, wording=self._wording)
        if given is None:
            return 0.0
        off = given - int(problem.answer)
        return float((off % self._modulo if self._modulo else off) == 0)

    def rule_based_trace(self, problem: Problem) -> str:
        """The published form: what is needed, operands first, with letters; then the answer."""
        rng = Random(f"{self.name}/symbols/{problem.prompt}")
        return Solver(read_problem(problem.prompt), PUBLISHED, rng=rng).write()

    def varied_trace(self, problem: Problem, draw: int) -> str:
        """The same problem in the style number `draw`: a solver's habits, drawn one by one."""
        style = drawn_style(Style, Random(f"{self.name}/style/{draw}"), numbers={})
        rng = Random(f"{self.name}/varied/{draw}/{problem.prompt}")
        return Solver(read_problem(problem.prompt), style, rng=rng).write()

    def answer_text(self, problem: Problem) -> str:
        return spoken_answer(int(problem.answer), wording=self._wording)

    def _process(self, problem: Problem, text: str) -> float:
        return float(process_is_right(read_problem(problem.prompt), text))

    def _draft(self, rng: Random, split: str) -> tuple[int, Draft, int]:
        """Operations, draft and template number: redrawn together until the split takes them, so
        that a number of operations with no template in the split is never waited for.
        """
        low, high = self._ops if split in BINS else self._ood_ops
        while True:
            ops = rng.randint(low, high)
            if split in BINS and self._low_heavy:
                ops = min(ops, rng.randint(low, high))
            draft = draw_draft(rng, self._shape, ops=ops)
            family = fingerprint(draft.template)
            if not belongs(split, family):
                continue
            if split in BINS or draft.answer or rng.random() < self._preset.ood_zeros:
                return ops, draft, family


def _checked_ops(key: str, ops: Sequence[int], *, most: int) -> tuple[int, int]:
    whole = isinstance(ops, Sequence) and len(ops) == 2 and all(type(n) is int for n in ops)
    if not whole or not 1 <= ops[0] <= ops[1] <= most:
        raise ValueError(
            f"task.options.{key} {ops!r} is no range of operations: give [lowest, highest] "
            f"within 1 to {most} for this preset"
        )
    if ops[1] < _FEWEST_FORMS:
        raise ValueError(
            f"task.options.{key} {list(ops)} has too few forms of problems to fill every split: "
            f"let it reach {_FEWEST_FORMS} operations or more"
        )
    return ops[0], ops[1]


def _checked_modulo(modulo: int) -> int:
    if type(modulo) is not int or not (modulo == 0 or 2 <= modulo <= 99):
        raise ValueError(
            f"task.options.modulo {modulo!r} is no modulus: give 2 to 99, or 0 for whole numbers"
        )
    return modulo
