"""Counting the four behaviours of "Four Habits" (arXiv 2503.01307) in a trace, by its words.

The study asked another model; these patterns are cheap stand-ins for watching a run. They count
what is said, not whether it is meant, and know our traces' words and common ones of others. Linear
in the length of the text: every gap in a pattern is bounded.
"""

from __future__ import annotations

import re

_PATTERNS = {
    # a result is set beside the target, or the solution is gone through again
    "verification": r"\bnot equal|n't equal|≠|\btoo (?:high|low|big|small|large)\b"
    r"|(?:\bis not|\bisn't|\bnone is|\bnone of them is) \(?\d|\bcheck:"
    r"|\blet(?:'s| me| us) (?:check|verify)",
    # a way is given up for another
    "backtracking": r"\btry (?:again|something|another|a different)|\bgo(?:ing)? back\b"
    r"|\blet(?:'s| me| us) (?:reconsider|try another)|\btake (?:that|it) back",
    # something smaller is aimed at on the way
    "subgoal_setting": r"\bsub-?goal|\bfirst\b[^.\n]{0,60}?\b(?:reach|get|aim|make)\b",
    # the target is taken apart
    "backward_chaining": r"\bwork(?:ing)? back(?:wards?)?\b|\bbackwards? from\b"
    r"|= ?\(?\d{1,12}(?:/\d{1,12})?\)?, so \(?\d{1,12}(?:/\d{1,12})?\)? from\b",
}
_COMPILED = {name: re.compile(found, re.IGNORECASE) for name, found in _PATTERNS.items()}


def count_behaviours(text: str) -> dict[str, int]:
    """How often each behaviour is voiced: {"verification": 2, "backtracking": 1,
    "subgoal_setting": 0, "backward_chaining": 0}.
    """
    return {name: sum(1 for _ in found.finditer(text)) for name, found in _COMPILED.items()}
