"""Worked solutions in many styles. The same puzzle under two styles gives two different traces.

A trace names a case, judges claims one by one, and takes the case back on the first conflict::

    Suppose ANN honest, BOB lying. ANN Bob knave vs BOB lying true; ANN honest, fits. BOB Ann not
    knave vs ANN honest true; BOB lying, conflict. Take that back. Suppose ...

Knows nothing about teachers or students: the built-in teacher, the rule-based baseline and the
students' drills all speak through this file, so their parts have the same words.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from tailor_rl.tasks.knights.statements import Statement, holds, is_atom, joined, people_in, words
from tailor_rl.tasks.knights.wording import assumed, speaking, spoken_answer, spoken_case

Roles = tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """How a solver goes about it. Every field is one visible habit of the trace."""

    method: Literal["cases", "grow"] = (
        "cases"  # whole cases, or one person at a time with backtracking
    )
    knights_first: bool = True  # the role that is tried first
    last_fastest: bool = True  # whether the last person named changes fastest, or the first
    check_forward: bool = True  # claims are judged in the order told, or from the last back
    facts_first: bool = False  # the claims are listed before any assumption
    verify: bool = False  # the case that fits is judged a second time before answering
    retract: Literal["explicit", "next", "silent"] = "explicit"
    numbered: bool = False  # cases carry numbers, like the rows of a table
    subgoals: bool = False  # says what is to be settled next before it is
    backward: bool = False  # begins from one claim that must fit, and tries only what lets it fit


RULE_BASED = Style(method="grow")


class Solver:
    """Writes one trace. `slip` is the chance that a claim is misjudged (a tired teacher)."""

    def __init__(
        self,
        names: Sequence[str],
        statements: Sequence[Statement],
        style: Style,
        *,
        rng: Random | None = None,
        slip: float = 0.0,
    ) -> None:
        self.names, self.statements, self.style = tuple(names), tuple(statements), style
        self._rng, self._slip = rng or Random(0), slip
        self._ways: list[dict[int, bool]] = [{}]
        self._lines: list[str] = []

    def write(self) -> str:
        """The whole trace, ending with `<answer>...</answer>`."""
        if self.style.facts_first:
            self._lines.append(self.facts())
        if self.style.backward:
            self._lines.append(self.begin_with(self._narrowest()))
        found = self._by_cases() if self.style.method == "cases" else self._by_growing()
        if found is None:
            self._lines.append("No case fits.")
            found = tuple(self._rng.random() < 0.5 for _ in self.names)
        elif self.style.verify:
            self._lines.extend(self.check_again(found))
        self._lines.append(f"<answer> {spoken_answer(self.names, found)}</answer>")
        return " ".join(self._lines)

    def facts(self) -> str:
        """ "Facts: ANN Bob knave; BOB Ann not knave."."""
        return "Facts: " + "; ".join(map(self.claim, self._everybody())) + "."

    def case(self, roles: Sequence[bool], number: int = 1) -> str:
        """ "Suppose Ann knight, Bob knave."."""
        opening = f"Case {number}:" if self.style.numbered else "Suppose"
        return f"{opening} {spoken_case(self.names, roles)}."

    def examine(self, roles: Sequence[bool]) -> tuple[list[str], bool]:
        """Judge claims up to the first conflict: the lines, and whether everything fitted."""
        lines = []
        for person in self._everybody():
            line, fits = self.judge(person, roles)
            lines.append(line)
            if not fits:
                return lines, False
        return lines, True

    def judge(self, person: int, roles: Sequence[bool]) -> tuple[str, bool]:
        """ "BOB Cal knight vs CAL honest true and Ann knave vs ANN honest false: false; BOB lying,
        fits.", and whether it fits.
        """
        value = self._value(person, roles)
        weighed = _weighed(self.statements[person], self.names, roles)
        total = "" if is_atom(self.statements[person]) else f": {_truth(value)}"
        if not total and value != holds(self.statements[person], roles):
            weighed = f"{weighed.rpartition(' ')[0]} {_truth(value)}"
        fits = value == roles[person]
        verdict = "fits" if fits else "conflict"
        speaker = assumed(self.names[person], roles[person])
        return f"{speaking(self.names[person])} {weighed}{total}; {speaker}, {verdict}.", fits

    def _value(self, person: int, roles: Sequence[bool]) -> bool:
        value = holds(self.statements[person], roles)
        return not value if self._slip and self._rng.random() < self._slip else value

    def set_roles(self, roles: Sequence[bool]) -> list[str]:
        """These roles one person at a time, judging what is decided, up to the first conflict."""
        lines, known = [], {}
        for person in self.growth():
            known[person] = roles[person]
            more, fits = self._set_role(person, known)
            lines.extend(more)
            if not fits:
                break
        return lines

    def check_again(self, roles: Sequence[bool]) -> list[str]:
        return ["Check again.", *(self.judge(person, roles)[0] for person in self._everybody())]

    def retraction(self) -> list[str]:
        return {"explicit": ["Take that back."], "next": ["Next."], "silent": []}[
            self.style.retract
        ]

    def order(self) -> Iterator[Roles]:
        """Every case, in the order in which this style goes through them."""
        tried = (True, False) if self.style.knights_first else (False, True)
        for roles in itertools.product(tried, repeat=len(self.names)):
            yield roles if self.style.last_fastest else roles[::-1]

    def aim(self, person: int) -> str:
        """ "Sub-goal: settle ANN."."""
        return f"Sub-goal: settle {speaking(self.names[person])}."

    def milestones(self) -> str:
        """ "Sub-goal: a case in which ANN fits, then BOB."."""
        first, *rest = (speaking(self.names[person]) for person in self._everybody())
        return f"Sub-goal: a case in which {', then '.join([f'{first} fits', *rest])}."

    def begin_with(self, person: int) -> str:
        """ "Work backwards: BOB fits only with ANN honest, BOB lying or ANN lying, BOB lying.":
        from now on nothing else is tried.
        """
        self._ways = self._fitting(person, self._value)
        told = " or ".join(
            ", ".join(assumed(self.names[i], role) for i, role in way.items()) for way in self._ways
        )
        return f"Work backwards: {speaking(self.names[person])} fits only with {told or 'nobody'}."

    def _narrowest(self) -> int:
        """Whose claim leaves the smallest share of cases."""

        def exact(person: int, roles: Sequence[bool]) -> bool:
            return holds(self.statements[person], roles)

        def share(person: int) -> float:
            num_people = len(people_in(self.statements[person]) | {person})
            return len(self._fitting(person, exact)) / (1 << num_people)

        return min(self._everybody(), key=share)

    def _fitting(
        self, person: int, judge: Callable[[int, Sequence[bool]], bool]
    ) -> list[dict[int, bool]]:
        """Roles of the speaker and of those in the claim: every choice that lets the claim fit."""
        people = sorted(people_in(self.statements[person]) | {person})
        roles, ways = [False] * len(self.names), []
        for chosen in itertools.product((True, False), repeat=len(people)):
            way = dict(zip(people, chosen, strict=True))
            for i, role in way.items():
                roles[i] = role
            if judge(person, roles) == roles[person]:
                ways.append(way)
        return ways

    def _allowed(self, roles: Mapping[int, bool]) -> bool:
        """Whether these roles, of some or of all, agree with one of the ways that were listed."""
        return any(all(way.get(i, role) == role for i, role in roles.items()) for way in self._ways)

    def _by_cases(self) -> Roles | None:
        if self.style.subgoals:
            self._lines.append(self.milestones())
        cases = (roles for roles in self.order() if self._allowed(dict(enumerate(roles))))
        for number, roles in enumerate(cases, 1):
            self._lines.append(self.case(roles, number))
            lines, fits = self.examine(roles)
            self._lines.extend(lines)
            if fits:
                return roles
            self._lines.extend(self.retraction())
        return None

    def _by_growing(self) -> Roles | None:
        """Depth-first over people; a claim is judged as soon as everybody in it has a role."""
        return self._grow(self.growth(), {})

    def _grow(self, people: Sequence[int], roles: dict[int, bool]) -> Roles | None:
        if len(roles) == len(people):
            return tuple(roles[i] for i in range(len(people)))
        person = people[len(roles)]
        if self.style.subgoals:
            self._lines.append(self.aim(person))
        for role in (True, False) if self.style.knights_first else (False, True):
            roles[person] = role
            if not self._allowed(roles):
                del roles[person]
                continue
            lines, fits = self._set_role(person, roles)
            self._lines.extend(lines)
            if fits:
                found = self._grow(people, roles)
                if found is not None:
                    return found
            else:
                self._lines.extend(self.retraction())
            del roles[person]
        return None

    def _set_role(self, newest: int, roles: dict[int, bool]) -> tuple[list[str], bool]:
        """ "Let ANN honest, BOB lying.", then every claim that the newest role decides, up to the
        first conflict. All roles so far are named, not the newest alone: whoever reads on finds
        what holds in one place, whatever was taken back before.
        """
        lines = [f"Let {self.so_far(roles)}."]
        known = [roles.get(i, False) for i in range(len(self.names))]
        for speaker in self._everybody():
            needed = people_in(self.statements[speaker]) | {speaker}
            if newest in needed and needed <= roles.keys():
                line, fits = self.judge(speaker, known)
                lines.append(line)
                if not fits:
                    return lines, False
        return lines, True

    def so_far(self, roles: Mapping[int, bool]) -> str:
        """ "ANN honest, BOB lying": the roles so far, in the order in which they were given."""
        return ", ".join(assumed(self.names[i], roles[i]) for i in self.growth() if i in roles)

    def growth(self) -> Sequence[int]:
        people = range(len(self.names))
        return people if self.style.last_fastest else people[::-1]

    def _everybody(self) -> Sequence[int]:
        people = range(len(self.names))
        return people if self.style.check_forward else people[::-1]

    def claim(self, person: int) -> str:
        claim = words(self.statements[person], self.names, terse=True)
        return f"{speaking(self.names[person])} {claim}"


def _weighed(statement: Statement, names: Sequence[str], roles: Sequence[bool]) -> str:
    """The claim with every atom set beside the assumption: "Cal knight vs CAL lying false"."""
    kind, *parts = statement
    if is_atom(statement):
        person = parts[0][1] if kind == "not" else parts[0]
        beside = assumed(names[person], roles[person])
        return (
            f"{words(statement, names, terse=True)} vs {beside} {_truth(holds(statement, roles))}"
        )
    if kind == "not":
        return f"not ({_weighed(parts[0], names, roles)})"
    values = [_weighed(part, names, roles) for part in parts]
    for i, part in enumerate(parts):
        if not is_atom(part):
            values[i] = f"({values[i]}: {_truth(holds(part, roles))})"
    return joined(kind, values)


def _truth(value: bool) -> str:
    return "true" if value else "false"
