"""What tables of a report are made of: figures as text, with their intervals beside them."""

from __future__ import annotations

from dataclasses import dataclass

from tailor_rl.bench.estimates import Estimate, bounded
from tailor_rl.bench.wording import NONE, bracket, points_text, share_text


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in a table: a figure, and its interval or remark."""

    text: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.note}" if self.note else self.text


@dataclass(frozen=True, slots=True)
class Table:
    """The first entry of a row names it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


EMPTY = Entry(NONE)


def without(table: Table, column: str) -> Table:
    i = table.head.index(column)
    rows = tuple((*row[:i], *row[i + 1 :]) for row in table.rows)
    return Table(table.title, (*table.head[:i], *table.head[i + 1 :]), rows)


def figure_entry(figure: str, estimate: Estimate | None) -> Entry:
    """A gain is a difference of shares, and said in points."""
    return points_entry(estimate) if figure.startswith("gain ") else share_entry(estimate)


def share_entry(estimate: Estimate | None) -> Entry:
    if estimate is None:
        return EMPTY
    return Entry(share_text(estimate.value), bracket(bounded(estimate, high=1.0)))


def points_entry(estimate: Estimate | None) -> Entry:
    if estimate is None:
        return EMPTY
    return Entry(points_text(estimate.value), bracket(estimate, sign=True))
