"""A table of text, for a terminal and for Markdown. Knows nothing about what stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.markdown import escaped
from tailor_rl.printable import one_line


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first column is of names, the others are of figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def print_sheets(sheets: Sequence[Sheet]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for sheet in sheets:
        # A title inside of the table would be broken to the table's width.
        console.print(Text(_clean(sheet.title), style="bold"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for i, column in enumerate(sheet.columns):
            table.add_column(Text(column), justify="right" if i else "left")
        for row in sheet.rows:
            table.add_row(*(Text(_clean(cell)) for cell in row))
        console.print(table)
        if sheet.note:
            console.print(Text(_clean(sheet.note), style="dim"))
            console.print()


def to_markdown(sheets: Sequence[Sheet]) -> str:
    """Example: ``**test**``, then ``| | % |``, ``|:--|--:|`` and a line a row."""
    parts = []
    for sheet in sheets:
        lines = [
            _markdown_row(sheet.columns),
            "|" + "|".join([":--", *["--:"] * (len(sheet.columns) - 1)]) + "|",
            *map(_markdown_row, sheet.rows),
        ]
        parts.append(f"**{escaped(sheet.title)}**\n\n" + "\n".join(lines))
        if sheet.note:
            parts.append(escaped(sheet.note))
    return "\n\n".join(parts) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"


def _clean(text: str) -> str:
    return one_line(text, 500)
