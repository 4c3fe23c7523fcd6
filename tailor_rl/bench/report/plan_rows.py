"""What was planned, and when, as lines of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailor_rl.bench.findings import Results
from tailor_rl.bench.plan import known_then
from tailor_rl.bench.wording import figure_label


@dataclass(frozen=True, slots=True)
class PlanRow:
    """An entry of the plan: when, how many cells were known by then, and what it holds."""

    time: str
    when: str
    what: tuple[tuple[str, str], ...]


def plan_rows(results: Results) -> tuple[PlanRow, ...]:
    rows = []
    for i, entry in enumerate(results.plan):
        when = "the plan" if i == 0 else "added"
        if known := known_then(entry):
            when += f", with {known}"
        what = [
            (key, "; ".join(_promise(value) for value in values))
            for key, values in entry.items()
            if isinstance(values, list | tuple) and values
        ]
        for key, values in entry.get("unforeseen", {}).items():
            what.append((f"unforeseen {key}", "; ".join(_promise(value) for value in values)))
        if recipes := entry.get("recipes"):
            what.append(("recipes of", "; ".join(recipes)))
        rows.append(PlanRow(str(entry.get("time", "")), when, tuple(what)))
    return tuple(rows)


def _promise(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    given = {key: item for key, item in value.items() if item not in (None, "")}
    if "against" in given:
        pair = f"{given.get('arm')} \N{MINUS SIGN} {given['against']}"
    else:
        pair = " < ".join(map(str, given.get("arms", ())))
    parts = [figure_label(str(given["figure"])) if "figure" in given else ""]
    parts += [str(given[key]) for key in ("setting", "claim") if given.get(key, "all") != "all"]
    return ", ".join([pair, *filter(None, parts)])
