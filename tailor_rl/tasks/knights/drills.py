"""What a tiny base student is raised on: the parts of reasoning, and bad habits of putting them
together.

The parts are judged claims, examined cases, the next case, listed facts, in the words of traces.py.
The habits answer the real question without a strategy: a guess, one case taken for granted, two
cases and a shrug. Going through the cases until one fits is in no document: that is what
demonstrations have to teach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random

from tailor_rl.tasks.knights.puzzle import NAMES, Puzzle, fingerprint, generate
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.tasks.knights.wording import ask, spoken_answer, spoken_case
from tailor_rl.tasks.splits import belongs

Roles = tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weights of the kinds of documents; they need not sum to 1."""

    look_up: float = 2.0
    recite_claim: float = 2.0
    judge_claim: float = 1.0
    judge_claims: float = 3.0
    examine_cases: float = 3.0
    next_case: float = 2.5
    next_role: float = 2.5
    set_roles: float = 3.0
    list_facts: float = 3.0
    guess: float = 1.0
    one_case: float = 1.5
    two_cases: float = 1.5


class Upbringing:
    """Makes endless (prompt, completion) documents from puzzles of the train split only."""

    def __init__(
        self,
        *,
        seed: int,
        people: Sequence[int],
        leaf_share: float,
        depth: int,
        trusting_documents: int = 0,
        mixture: Mapping[str, float] | None = None,
    ) -> None:
        self._rng = Random(f"upbringing/{seed}")
        self._people, self._leaf_share, self._depth = tuple(people), leaf_share, depth
        self._trust, self._trusting = 0.5, trusting_documents
        self._kinds = [field.name for field in fields(Mixture)]
        weights = Mixture(**(mixture or {}))
        self._weights = [getattr(weights, kind) for kind in self._kinds]

    def document(self) -> tuple[str, str]:
        kind = self._rng.choices(self._kinds, self._weights)[0]
        self._trust = self._rng.choice((0.5, 0.85, 0.85)) if self._trusting > 0 else 0.5
        self._trusting -= 1
        puzzle = self._puzzle()
        style = _random_style(self._rng)
        solver = Solver(puzzle.names, puzzle.statements, style, rng=self._rng)
        writer: Callable[[Puzzle, Solver], tuple[str, str]] = getattr(self, f"_{kind}")
        request, completion = writer(puzzle, solver)
        prompt = ask(puzzle, style="short")
        return (f"{prompt.rpartition('. ')[0]}. {request}" if request else prompt), completion

    def _puzzle(self) -> Puzzle:
        num_people = self._rng.choice(self._people)
        while True:
            puzzle = generate(
                self._rng,
                num_people=num_people,
                depth=self._depth,
                width=2,
                leaf_share=self._leaf_share,
            )
            if belongs("train", fingerprint(puzzle.statements)):
                return puzzle

    def _roles(self, puzzle: Puzzle) -> Roles:
        """Among the first `trusting_documents`, honest more often than not: with even odds "knight
        vs lying false" is an exclusive or, of which no part predicts anything alone, and a small
        model takes very long to see it. Later even odds: then roles must be looked up.
        """
        return tuple(self._rng.random() < self._trust for _ in puzzle.names)

    def _look_up(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """Find what stands behind a name, among many possible words: with two roles alone a small
        model can do half the work by repeating the nearest. That it helps is not shown yet (see
        benchmarks/LOG.md).
        """
        words = self._rng.choices(("honest", "lying", "true", "false", *NAMES), k=len(puzzle.names))
        pairs = [f"{n.upper()} {w}" for n, w in zip(puzzle.names, words, strict=True)]
        asked = self._rng.choices(pairs, k=2 * len(pairs))
        return f"Suppose {', '.join(pairs)}.", " ".join(f"vs {pair}" for pair in asked)

    def _recite_claim(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        person = self._rng.randrange(puzzle.num_people)
        return f"What does {puzzle.names[person]} say?", f"Fact: {solver.claim(person)}."

    def _judge_claim(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        roles, person = self._roles(puzzle), self._rng.randrange(puzzle.num_people)
        request = f"Judge {puzzle.names[person]} if {spoken_case(puzzle.names, roles)}."
        return request, f"Judged: {solver.judge(person, roles)[0]}"

    def _judge_claims(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """Every claim, conflicts or not: many judgements for one prompt."""
        roles = self._roles(puzzle)
        people = range(puzzle.num_people)
        order = people if solver.style.check_forward else people[::-1]
        lines = [solver.judge(person, roles)[0] for person in order]
        return f"Judge everybody if {spoken_case(puzzle.names, roles)}.", " ".join(
            ["Judged:", *lines]
        )

    def _examine_cases(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """Up to four cases, each up to its first conflict. The prompt does not name them: the roles
        that count must be found in the last case, as in a whole solution.
        """
        cases = [self._roles(puzzle) for _ in range(self._rng.randint(1, 4))]
        lines = []
        for number, roles in enumerate(cases, self._rng.randint(1, 14)):
            lines.extend([solver.case(roles, number), *solver.examine(roles)[0]])
        return f"Examine {len(cases)}.", " ".join(lines)

    def _next_case(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """Count on: the order is to be seen from the cases so far, as in a whole solution."""
        order = list(solver.order())
        told = self._rng.randint(2, min(6, len(order) - 1))
        cases = [solver.case(roles, number) for number, roles in enumerate(order, 1)]
        return f"Go on: {' '.join(cases[:told])}", " ".join(cases[told : told + 3])

    def _next_role(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """One step of growing: another person after a fit, another role after a conflict."""
        growth, roles = solver.growth(), self._roles(puzzle)
        here = {i: roles[i] for i in growth[: self._rng.randint(1, puzzle.num_people)]}
        first_role = solver.style.knights_first
        fits = len(here) < puzzle.num_people and self._rng.random() < 0.5
        if not fits and all(role != first_role for role in here.values()):
            here[growth[0]] = first_role  # else nothing is left to be tried
        tried, order = "honest" if first_role else "lying", "last" if growth[0] == 0 else "first"
        request = (
            f"What comes after {solver.so_far(here)} {'fits' if fits else 'conflict'}, "
            f"{tried} first, {order} changes fastest?"
        )
        after = _grown(here, growth, first_role=first_role, fits=fits)
        return request, f"Let {solver.so_far(after)}."

    def _set_roles(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        """The roles that the prompt names, one person after the other, judging what is decided by
        then.
        """
        roles = self._roles(puzzle)
        request = f"Set {spoken_case(puzzle.names, roles)} one by one."
        return request, " ".join(solver.set_roles(roles))

    def _list_facts(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        return "List the facts.", solver.facts()

    def _guess(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        return "", self._answer(puzzle, self._roles(puzzle))

    def _one_case(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        return "", self._shrug(puzzle, solver, [self._roles(puzzle)])

    def _two_cases(self, puzzle: Puzzle, solver: Solver) -> tuple[str, str]:
        return "", self._shrug(puzzle, solver, [self._roles(puzzle) for _ in range(2)])

    def _shrug(self, puzzle: Puzzle, solver: Solver, cases: Sequence[Roles]) -> str:
        """Examine the cases; answer the first that fits, or else the last one all the same."""
        lines = [solver.facts()] if solver.style.facts_first else []
        for number, roles in enumerate(cases, 1):
            judged, fits = solver.examine(roles)
            lines.extend([solver.case(roles, number), *judged])
            if fits:
                lines.extend(solver.check_again(roles) if solver.style.verify else [])
                break
            lines.extend(solver.retraction())
        return " ".join([*lines, self._answer(puzzle, roles)])

    def _answer(self, puzzle: Puzzle, roles: Roles) -> str:
        return f"<answer> {spoken_answer(puzzle.names, roles)}</answer>"


def _grown(
    roles: Mapping[int, bool], growth: Sequence[int], *, first_role: bool, fits: bool
) -> dict[int, bool]:
    """The next node of the depth-first search over people."""
    if fits:
        return {**roles, growth[len(roles)]: first_role}
    given = list(growth[: len(roles)])
    while roles[given[-1]] != first_role:
        given.pop()
    return {**{i: roles[i] for i in given}, given[-1]: not first_role}


def _random_style(rng: Random) -> Style:
    return Style(
        knights_first=rng.random() < 0.5,
        last_fastest=rng.random() < 0.5,
        check_forward=rng.random() < 0.5,
        facts_first=rng.random() < 0.2,
        verify=rng.random() < 0.3,
        retract=rng.choice(("explicit", "next", "silent")),
        numbered=rng.random() < 0.3,
    )
