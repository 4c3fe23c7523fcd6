"""What a tiny base student is raised on: the parts of reasoning, and bad habits of putting them
together.

The parts are sentences found again, what a parameter needs, sums, one definition worked out,
several in an order that the prompt gives, in the words of traces.py. The habits answer the real
question without a strategy: a guess, one number looked up, two numbers and a shrug. Going from the
question to what is told and back is in no document: that is what demonstrations have to teach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

from tailor_rl.tasks.igsm.generate import draw_draft, finish
from tailor_rl.tasks.igsm.puzzle import Parameter, Puzzle, calculate
from tailor_rl.tasks.igsm.reading import ReadProblem
from tailor_rl.tasks.igsm.task import PRESETS
from tailor_rl.tasks.igsm.traces import Solver, Style, Sum
from tailor_rl.tasks.igsm.wording import ask, spoken_answer
from tailor_rl.tasks.splits import belongs, fingerprint

Document = tuple[str | None, str]  # request (None: the problem's own question) and completion


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weights of the kinds of documents; they need not sum to 1."""

    tell: float = 3.0
    needs: float = 2.5
    sums: float = 2.0
    define: float = 3.0
    series: float = 3.0
    unknown: float = 1.5
    guess: float = 1.0
    one_number: float = 1.5
    two_numbers: float = 1.5


class Upbringing:
    """Makes endless (prompt, completion) documents from "small" problems of the train bins only.

    `ops` is the range of operations of the problems, `modulo` their modulus (not 0), and
    `symbols_share` how often definitions are worked out with letters.
    """

    def __init__(
        self,
        *,
        seed: int,
        ops: Sequence[int] = (2, 9),
        modulo: int = 7,
        symbols_share: float = 0.25,
        mixture: Mapping[str, float] | None = None,
    ) -> None:
        if modulo < 2 or len(ops) != 2 or not 2 <= ops[0] <= ops[1]:
            raise ValueError(
                f"corpus.options: modulo {modulo} and ops {list(ops)} make no drills: give a "
                "modulus of 2 or more and [lowest, highest] from 2 on"
            )
        self._rng = Random(f"igsm upbringing/{seed}")
        self._low, self._high = ops
        self._shape = replace(PRESETS["small"].shape, modulo=modulo)
        self._symbols_share = symbols_share
        self._kinds = [field.name for field in fields(Mixture)]
        weights = Mixture(**(mixture or {}))
        self._weights = [getattr(weights, kind) for kind in self._kinds]

    def document(self) -> tuple[str, str]:
        kind = self._rng.choices(self._kinds, self._weights)[0]
        puzzle = self._puzzle()
        style = Style(
            symbols=self._rng.random() < self._symbols_share, restate=self._rng.random() < 0.3
        )
        solver = Solver(ReadProblem(puzzle, "short"), style, rng=self._rng)
        writer: Callable[[Solver], Document] = getattr(self, f"_{kind}")
        request, completion = writer(solver)
        return ask(puzzle, wording="short", request=request), completion

    def _puzzle(self) -> Puzzle:
        while True:
            ops = self._rng.randint(self._low, self._high)
            draft = draw_draft(self._rng, self._shape, ops=ops)
            if belongs("train", fingerprint(draft.template)):
                return finish(self._rng, draft, self._shape)

    def _tell(self, solver: Solver) -> Document:
        """Find sentences by the names in them, or write a category's total out."""
        chosen = self._some(_everything(solver), most=4)
        request = f"Tell {_names(solver, chosen)}."
        return request, " ".join(map(solver.told, chosen))

    def _needs(self, solver: Solver) -> Document:
        """What one definition, and no further, is made of."""
        chosen = self._some([p for p in _everything(solver) if solver.formulas.operands(p)], most=4)
        if not chosen:
            return self._tell(solver)
        request = f"Need {_names(solver, chosen)}."
        return request, " ".join(map(solver.needs, chosen))

    def _sums(self, solver: Solver) -> Document:
        asked, done = [], []
        for _ in range(self._rng.randint(3, 8)):
            left, operator, right = self._number(), self._rng.choice("+-*"), self._number()
            asked.append(f"{left} {operator} {right}")
            result = calculate(operator, left, right, modulo=self._shape.modulo)
            done.append(str(Sum(operator, left, right, result)))
        return f"Check {'; '.join(asked)}.", f"Check: {'; '.join(done)}."

    def _define(self, solver: Solver) -> Document:
        """One definition from values that the prompt gives, whatever the sentences make of them."""
        parameter = self._rng.choice(_everything(solver))
        given = self._given(solver, solver.formulas.operands(parameter), but=parameter)
        word = "Define" if solver.style.symbols else "So"
        return f"{given}{word} {solver.name(parameter)}.", solver.compute(parameter)

    def _series(self, solver: Solver) -> Document:
        """Up to five definitions in an order that works, which the prompt gives: own results are
        looked up.
        """
        target = self._rng.choice(_everything(solver))
        chosen = solver.formulas.in_order(solver.formulas.needed(target))[:5]
        lines = []
        for parameter in chosen:
            lines.extend([solver.told(parameter)] if solver.style.restate else [])
            lines.append(solver.compute(parameter))
        return f"Work out {_names(solver, chosen)}.", " ".join(lines)

    def _unknown(self, solver: Solver) -> Document:
        """Whether a definition can be worked out yet, and what it lacks."""
        parameter = self._rng.choice(_everything(solver))
        operands = list(dict.fromkeys(solver.formulas.operands(parameter)))
        known = [p for p in operands if self._rng.random() < 0.6]
        given = self._given(solver, known, but=parameter, never=operands)
        request = f"{given}Try {solver.name(parameter)}."
        missing = [p for p in operands if p not in known]
        if missing:
            return request, solver.unknown(parameter, missing[0], first=missing[0])
        return request, solver.compute(parameter)

    def _guess(self, solver: Solver) -> Document:
        return None, spoken_answer(self._number(), wording="short")

    def _one_number(self, solver: Solver) -> Document:
        return self._shrug(solver, 1)

    def _two_numbers(self, solver: Solver) -> Document:
        return self._shrug(solver, 2)

    def _shrug(self, solver: Solver, most: int) -> Document:
        """Up to `most` sentences that give a number at once, never the question's own; then the
        last of them is answered, or any number.
        """
        told = solver.formulas.told
        leaves = [p for p in told if not told[p].operands and p != solver.puzzle.question]
        chosen = self._rng.sample(leaves, min(most, len(leaves)))
        lines = [solver.compute(parameter) for parameter in chosen]
        last = solver.values[chosen[-1]] if chosen and self._rng.random() < 0.5 else self._number()
        return None, " ".join([*lines, spoken_answer(last, wording="short")])

    def _given(
        self,
        solver: Solver,
        wanted: Sequence[Parameter],
        *,
        but: Parameter,
        never: Sequence[Parameter] = (),
    ) -> str:
        """ "Given NorthRed is 3, RedSilk is 0. " of these parameters and some others; or ""."""
        others = [p for p in _everything(solver) if p not in (*wanted, *never, but)]
        extra = self._rng.sample(others, min(len(others), self._rng.randint(0, 2)))
        chosen = list(dict.fromkeys([*wanted, *extra]))
        self._rng.shuffle(chosen)
        given = solver.know({parameter: self._number() for parameter in chosen})
        return f"Given {', '.join(given)}. " if given else ""

    def _some(self, parameters: Sequence[Parameter], *, most: int) -> list[Parameter]:
        count = min(len(parameters), self._rng.randint(1, most))
        return self._rng.sample(parameters, count)

    def _number(self) -> int:
        return self._rng.randrange(self._shape.modulo)


def _everything(solver: Solver) -> list[Parameter]:
    return [*solver.formulas.told, *solver.formulas.abstract()]


def _names(solver: Solver, parameters: Sequence[Parameter]) -> str:
    return ", ".join(map(solver.name, parameters))
