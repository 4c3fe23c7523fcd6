r"""Finding the answer in what a model wrote. Each task documents its way; nothing else counts.

Linear in the length of the text, whatever the text is: no regular expression backtracks here.
"""

from __future__ import annotations

MAX_ANSWER_CHARS = 2000  # an answer longer than this is none
OPEN, CLOSE = "<answer>", "</answer>"
_BOXED = "\\boxed{"


def tagged_answer(text: str) -> str | None:
    """What stands in the one `<answer>...</answer>` of a text, stripped; None where there is not
    exactly one: listing several answers and hoping is not solving.
    """
    if text.count(OPEN) != 1 or text.count(CLOSE) != 1:
        return None
    start, end = text.index(OPEN) + len(OPEN), text.index(CLOSE)
    return text[start:end].strip() if start <= end <= start + MAX_ANSWER_CHARS else None


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` of a text, its braces balanced; None without one."""
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    start += len(_BOXED)
    depth = 1
    for end, character in enumerate(text[start : start + MAX_ANSWER_CHARS + 1], start):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return text[start:end].strip()
    return None
