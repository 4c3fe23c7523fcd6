"""A set of primitives: how alike they are, and how people read them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from rapidfuzz import fuzz, process, utils

from tailor_rl.types import Primitive

_COPY = 90.0


def similarity(one: str, other: str) -> float:
    """Likeness of two instructions, 0 to 100, blind to case and punctuation (rapidfuzz ratio)."""
    return fuzz.ratio(one, other, processor=_plain)


def is_new(instruction: str, known: Sequence[str], *, max_similarity: float) -> bool:
    """Whether an instruction is at most `max_similarity` alike to each of the known ones."""
    best = process.extractOne(instruction, known, scorer=fuzz.ratio, processor=_plain)
    return best is None or best[1] <= max_similarity


def copies(instruction: str, texts: Sequence[str]) -> bool:
    """Whether an instruction repeats a passage of a problem instead of saying how to think."""
    wanted = _plain(instruction)
    for text in texts:
        passage = _plain(text)
        if len(passage) >= len(wanted) and fuzz.partial_ratio(wanted, passage) > _COPY:
            return True
    return False


def mean_similarity(primitives: Sequence[Primitive]) -> float:
    """Mean likeness over all pairs, 0 to 100; 0 for fewer than two. Lower is more diverse."""
    pairs = list(combinations([p.instruction for p in primitives], 2))
    return sum(similarity(a, b) for a, b in pairs) / len(pairs) if pairs else 0.0


def to_markdown(primitives: Sequence[Primitive]) -> str:
    """The library as a page for people. What a teacher wrote is escaped: it cannot add markup."""
    lines = ["# Reasoning primitives", ""]
    for primitive in primitives:
        sources = len(primitive.source_attempt_ids)
        lines += [
            f"## {primitive.id}: {_escaped(primitive.name)}",
            "",
            f"> {_escaped(primitive.instruction)}",
            "",
            f"Repairs: {_escaped(primitive.targets)}",
            "",
            f"Written by {_escaped(primitive.teacher)} at temperature {primitive.temperature:g}"
            f" from {sources} attempts: {', '.join(map(_escaped, primitive.source_attempt_ids))}.",
            "",
        ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Lower-case words alone; rapidfuzz leaves a blank where a comma was."""
    return " ".join(utils.default_process(text).split())


def _escaped(text: str) -> str:
    line = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!~&" else c for c in line)
