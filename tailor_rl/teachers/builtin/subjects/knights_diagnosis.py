"""What went wrong in a student's answer: error patterns found by reading it, as a teacher would."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tailor_rl.tasks.knights.statements import holds
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.tasks.knights.wording import ReadPuzzle, read_answer
from tailor_rl.teachers.builtin.subject import Pattern

PATTERNS = {
    "guess": Pattern(
        "The student names an answer without testing any claim.", ("method", "facts_first")
    ),
    "conflict": Pattern(
        "The student answers with a case although a claim in it was found in conflict.",
        ("retract", "verify"),
    ),
    "few_cases": Pattern(
        "The student stops after a case or two instead of going on until one fits.",
        ("last_fastest", "numbered", "knights_first"),
    ),
    "misjudged": Pattern(
        "A claim is judged true where it is false, or the other way round.",
        ("verify", "check_forward"),
    ),
    "misread": Pattern(
        "A claim is repeated differently from how it was told.",
        ("facts_first", "check_forward"),
    ),
    "unfinished": Pattern("The answer never comes to an end.", ("method", "retract")),
    "unreadable": Pattern("The final answer does not name everybody once.", ("verify", "numbered")),
    "other": Pattern(
        "The case that was answered was never shown to fit every claim.",
        ("verify", "method"),
    ),
}
_JUDGEMENT = re.compile(r"\b([A-Z]{2,}) ([^;.]+) (true|false); \w+ (honest|lying), (\w+)")
_WEIGHED = re.compile(r" vs \w+ (?:honest|lying) (?:true|false)|:")


def diagnose(puzzle: ReadPuzzle, text: str) -> str:
    """The worst pattern in a wrong answer."""
    answered = read_answer(text, puzzle.names, puzzle.role_words)
    judged = _JUDGEMENT.findall(text)
    if "<answer>" not in text:
        return "unfinished"
    if answered is None:
        return "unreadable"
    if not judged:
        return "guess"
    return _fault_in(judged, puzzle) or _fault_at_end(text)


def _fault_in(judged: Iterable[tuple[str, ...]], puzzle: ReadPuzzle) -> str | None:
    """A claim that was misread, or a value that no assignment of roles can give it."""
    solver = Solver(puzzle.names, puzzle.statements, Style())
    for speaker, claim, _, _, _ in judged:
        if speaker.capitalize() not in puzzle.names:
            return "misread"
        person = puzzle.names.index(speaker.capitalize())
        told = _WEIGHED.sub("", claim.partition(":")[0] if ":" in claim else f"{claim} true")
        if f"{speaker} {told}" != solver.claim(person):
            return "misread"
    for speaker, _, value, role, verdict in judged:
        if (verdict == "fits") != ((value == "true") == (role == "honest")):
            return "misjudged"
        person = puzzle.names.index(speaker.capitalize())
        if not _possible(puzzle, person, value == "true"):
            return "misjudged"
    return None


def _possible(puzzle: ReadPuzzle, person: int, value: bool) -> bool:
    num = len(puzzle.names)
    return any(
        holds(puzzle.statements[person], [bool(bits >> i & 1) for i in range(num)]) == value
        for bits in range(2**num)
    )


def _fault_at_end(text: str) -> str:
    last = re.findall(r"fits|conflict", text)
    if last and last[-1] == "conflict":
        return "conflict"
    return "few_cases" if len(re.findall(r"Suppose|Case \d", text)) <= 2 else "other"
