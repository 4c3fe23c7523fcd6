"""The four habits that RL can amplify ("Four Habits", arXiv 2503.01307), counted in a trace by its
words.

The study asked another model (judge.py does); these patterns are cheap, offline stand-ins. They
count what is said, not whether it is meant, and know the built-in tasks' words and common ones of
other models. Linear in the length of the text: every gap in a pattern is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

HABITS = ("verification", "backtracking", "subgoal_setting", "backward_chaining")

_PATTERNS: dict[str, tuple[str, ...]] = {
    # a result is set beside what it must be, or the solution is gone through again
    "verification": (
        r"\bnot equal|n't equal|≠",
        r"\btoo (?:high|low|big|small|large)\b",
        r"(?:\bis not|\bisn't|\bnone is|\bnone of them is) \(?\d",
        r"\bcheck:(?! no\b)",
        r"\bcheck(?:ing|ed|s)? (?:again|all|each|every|if|it|my|our|that|the|this|whether)\b",
        r"\blet(?:'s| me| us) check\b|\b(?:double|re|cross|sanity)[- ]?check",
        r"\bverif(?:y|ies|ied|ying)\b",
        r"\bconflicts?\b|\bcontradict(?:s|ed|ing|ions?|ory)?\b|\b(?:in)?consistent\b",
        r"(?:\bnot|n't) (?:match|hold|fit|satisfy|add up)\b",
        r"\bplug(?:ging)? (?:it|this|that|them|these)? ?back\b|\bsubstitut(?:e|ing) back\b",
    ),
    # a way is given up for another
    "backtracking": (
        r"\b(?:try|trying) (?:again|something|another|a different|the other)\b",
        r"\b(?:go|going|went) back\b|\btak(?:e|ing) (?:that|it|this) back\b|\bbacktrack",
        r"\blet(?:'s| me| us) (?:reconsider|rethink|try another)\b|\bscratch that\b",
        r"\bwait\b ?[,.!:;\u2014\u2026-]|\bdead end\b|\bonce more\b|(?<=[.!?] )next\.",
        r"\bstart(?:ing)? (?:over|again|afresh)\b|(?:\bnot|n't) work\b|\balternatively\b",
        r"\banother (?:way|approach|attempt)\b|\bunknown (?:yet|so far)\b(?:\. go back)?",
    ),
    # something smaller is aimed at on the way
    "subgoal_setting": (
        r"\bsub-?goal|\b(?:intermediate|smaller) (?:goal|target|problem|step|value)",
        r"\bfirst\b[^.\n]{0,60}?\b(?:reach|get|aim|make|find|compute|calculate|determine|solve|"
        r"work out|figure out)\b",
        r"\bneeded:|\bplan:|\b(?:the|my|our) plan is\b",
        r"\bbreak(?:ing)? (?:it|this|that|them|the problem|the task) (?:down|up|into)\b",
    ),
    # the goal is taken apart, down to what is given
    "backward_chaining": (
        r"\bwork(?:ing)? back(?:wards?)?\b|\bbackwards? from\b|\bin reverse\b",
        r"= ?\(?\d{1,12}(?:/\d{1,12})?\)?, so \(?\d{1,12}(?:/\d{1,12})?\)? from\b",
        r"\bneed (?!to\b)[^\W\d][^.:\n]{0,60}:",
        r"\bto (?:find|get|know|compute|determine|obtain|answer|reach)\b[^.\n]{1,60}?\b(?:need|"
        r"must|have to|requires?)\b",
        r"\bstart(?:ing)? (?:from|with|at) the (?:target|goal|question|end|result)\b",
    ),
}
_COMPILED = {name: re.compile("|".join(parts), re.IGNORECASE) for name, parts in _PATTERNS.items()}


def count_habits(text: str) -> dict[str, int]:
    """How often each habit is voiced: {"verification": 2, "backtracking": 1, "subgoal_setting": 0,
    "backward_chaining": 0}.
    """
    text = text.replace("\u2019", "'")
    return {name: sum(1 for _ in found.finditer(text)) for name, found in _COMPILED.items()}


def mean_habits(counts: Iterable[Mapping[str, int | None]]) -> dict[str, float | None]:
    """Mean count of each habit over the traces that were counted; None where none was."""
    rows = list(counts)
    means: dict[str, float | None] = {}
    for habit in HABITS:
        known = [count for row in rows if (count := row[habit]) is not None]
        means[habit] = sum(known) / len(known) if known else None
    return means
