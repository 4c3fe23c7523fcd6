"""How the SFT set was made, for the page: lineage, screen, and what was forecast before RL.

As in reading.py: what a model wrote leaves here without control characters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.curation.lineage import Lineage, facts
from tailor_rl.measures.forecast import report_name
from tailor_rl.printable import printable
from tailor_rl.runs.files import read_typed_lines
from tailor_rl.summary import read_object, read_rows


@dataclass(frozen=True, slots=True)
class Making:
    """`refused`: name, reason and sentence of every primitive that the screen refused."""

    facts: tuple[tuple[str, str], ...]
    screened: str
    refused: tuple[tuple[str, str, str], ...]
    forecast: tuple[str, ...]


def read_making(run_path: Path) -> Making:
    """Everything is empty where the files are missing."""
    rows = read_typed_lines(
        run_path / "lineage.jsonl",
        Lineage,
        what="a lineage of another version of tailor_rl",
        fix="remove the line to have the page without it",
    )
    screening = read_rows(run_path / "screening.jsonl")
    return Making(
        facts=tuple(
            (label, printable(value)) for label, value in (facts(rows[-1]) if rows else ())
        ),
        screened=_screened(screening),
        refused=tuple(
            (_text(row, "name"), _text(row, "reason"), _text(row, "detail"))
            for row in screening
            if not row.get("accepted")
        ),
        forecast=_forecast(run_path),
    )


def _screened(rows: list[dict[str, Any]]) -> str:
    """Example: "30 primitives were screened, 28 accepted; refused: 2 near-duplicate"."""
    if not rows:
        return ""
    reasons = Counter(_text(row, "reason") for row in rows if not row.get("accepted"))
    refused = ", ".join(f"{num} {reason}" for reason, num in reasons.most_common())
    accepted = sum(bool(row.get("accepted")) for row in rows)
    line = f"{len(rows)} primitives were screened, {accepted} accepted"
    return f"{line}; refused: {refused}" if refused else line


def _forecast(run_path: Path) -> tuple[str, ...]:
    """What was said of the policy that RL began with, before it began."""
    found = (read_object(run_path / report_name(stage)) for stage in ("sft", "base"))
    record = next((each for each in found if each), {})
    return tuple(printable(str(line)) for line in record.get("verdicts", ()))


def _text(row: dict[str, Any], key: str) -> str:
    return printable(str(row.get(key, "")))
