"""How an answer's code is found: the one ```python block of a text."""

from __future__ import annotations

OPEN, CLOSE = "```python", "```"
MAX_CODE_CHARS = 20_000  # code longer than this is no answer
FORMAT = f"Answer with exactly one block of code that starts with {OPEN} and ends with {CLOSE}."


def fenced_code(text: str) -> str | None:
    """What stands between a line "```python" and the next line "```", both maybe indented; None
    where a text has not exactly one such block: listing several answers and hoping is not solving.
    Blocks of other languages, and of none, count for nothing.
    """
    blocks: list[list[str]] = []
    inside: list[str] | None = None  # lines of the block we are in; of another language: dropped
    for line in text.split("\n"):
        mark = line.strip()
        if inside is None:
            if mark.startswith(CLOSE):
                inside = []
                if mark == OPEN:
                    blocks.append(inside)
        elif mark == CLOSE:
            inside = None
        else:
            inside.append(line)
    if len(blocks) != 1 or inside is not None:
        return None
    code = "\n".join(blocks[0])
    return code if len(code) <= MAX_CODE_CHARS else None


def fenced(code: str) -> str:
    return f"{OPEN}\n{code}\n{CLOSE}"
