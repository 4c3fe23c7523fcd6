"""Text that models, teachers and tasks wrote, made safe to show.

Knows nothing about HTML: escaping is the template's.
"""

from __future__ import annotations

import re
import unicodedata

# Cc: terminal escapes. Cf: bidirectional overrides and zero-width characters, which make text read
# as what it is not. Cs: lone surrogates, which cannot be written as UTF-8.
_DROPPED = frozenset({"Cc", "Cf", "Cs"})
_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
)


def printable(text: str) -> str:
    r"""`text` without escape sequences, control and invisible characters; newlines and tabs stay.

    Example: ``printable("\x1b[31mred\x1b[0m\r\n\u202eok") == "red\nok"``.
    """
    text = _ESCAPE_SEQUENCE.sub("", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _DROPPED)


def one_line(text: str, limit: int = 200) -> str:
    """`printable` on one line of at most `limit` characters, cut with three dots."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
