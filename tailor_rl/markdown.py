"""Other people's text on a Markdown page: it adds no markup, no HTML and no link."""

from __future__ import annotations

import re

from tailor_rl.printable import one_line, printable

# An @ begins a mention, or is in an address that becomes a link; in "pass@4" it is neither.
_AT = r"(?<!\w)@|@(?!\d+(?![\w+-]|\.\w))"
_MARKUP = re.compile(rf"[\\`*_\[\]<>#|!~&${{}}^]|\A=|==|{_AT}")
# At the start of a paragraph these begin a list, or are a rule across the page.
_LIST_MARK = re.compile(r"\A(\d{1,9}(?=[.)])|(?=[-+]))(.)(?=[\s-]|\Z)")
# A renderer turns bare addresses into links.
_BARE_LINK = re.compile(r"(?i)(://|\bwww\.)")


def escaped(text: str, limit: int | None = 500) -> str:
    r"""`text` on one line of at most `limit` characters, as plain text of a paragraph or a table.

    Example: ``escaped("a|b <b>") == r"a\|b \<b\>"``.
    """
    line = one_line(text, len(text) if limit is None else limit)
    line = _LIST_MARK.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))
    return _BARE_LINK.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)


def code_block(text: str, limit: int = 2000) -> str:
    """`text` as an indented code block, which nothing in it can end; cut with a note."""
    shown = printable(text)
    note = "" if len(shown) <= limit else f"\n[... {len(shown) - limit:,} more characters]"
    return "\n".join(f"    {line}" for line in f"{shown[:limit]}{note}".split("\n"))
