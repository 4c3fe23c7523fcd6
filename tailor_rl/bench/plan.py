"""What was planned before any run had figures, and what was added when some of them were known.

plan.json is a list: its first entry is the plan, and later ones say what came when. A study may
only grow. Recipes are in it as hashes: that one was changed when results of others were known is
allowed, and can be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from tailor_rl.bench.study import Comparison, Study, Trend
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, read_json, write_json

PLAN = "plan.json"
# Keys of a study that are promises, each a list in plan.json.
_PLACED = ("tasks", "students", "algorithms")  # what settings are made of
_NAMED = ("arms", *_PLACED)
_LISTED = ("seeds", "comparisons", "trends", "thresholds")

# "time", "begun" and "finished" (cells that had any figure when it was written, and all of them;
# older entries lack "begun"), the keys above, "recipes": hashes of those that are new or changed,
# by cell without its seed, and "unforeseen": what was planned here and not in a place whose cells
# were added or in a study whose cells are reused, so that it may have been chosen by their figures.
Entry = Mapping[str, Any]


class _Entry(BaseModel):
    """What is read of an entry."""

    time: str = ""
    finished: int = 0
    arms: list[str] = []
    tasks: list[str] = []
    students: list[str] = []
    algorithms: list[str] = []
    seeds: list[int] = []
    comparisons: list[Comparison] = []
    trends: list[Trend] = []
    thresholds: list[float] = []
    recipes: dict[str, str] = {}
    unforeseen: dict[str, list[Any]] = {}


_ENTRIES = TypeAdapter(list[_Entry])


def read_plan(folder: Path) -> list[Entry]:
    """[] before the first. RunFolderError where it is damaged."""
    path = folder / PLAN
    entries = read_json(path).get("entries") if path.is_file() else []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise RunFolderError(f"{path} is damaged: it has no list of entries")
    try:
        _ENTRIES.validate_python(entries)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunFolderError(
            f"{path} is damaged (entries.{where}: {first['msg']}): put back what was planned"
        ) from error
    for key in ("seeds", "arms"):
        if entries and not isinstance(entries[0].get(key), list):
            raise RunFolderError(f"{path} is damaged: its first entry names no {key}")
    return entries


def promises(study: Study) -> dict[str, list[Any]]:
    """What a study commits itself to, as JSON."""
    table = study.model_dump(mode="json")
    named = {key: list(table[key]) for key in _NAMED}
    return named | {key: list(table[key]) for key in _LISTED}


def known_promises(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """Everything that was planned or added so far."""
    keys = (*_NAMED, *_LISTED)
    return {key: [each for entry in entries for each in entry.get(key, [])] for key in keys}


def foreseen(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """What was written down before any run had figures; of a later entry that does not say how many
    cells had some it cannot be told.
    """
    return {
        key: [value for value in values if value not in _called_unforeseen(entries, key)]
        for key, values in known_promises(_early(entries)).items()
    }


def foreseen_cells(entries: Sequence[Entry]) -> set[str]:
    """Cells without their seeds that were planned as early; older plans name none."""
    return set(known_recipes(_early(entries)))


def _early(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for i, entry in enumerate(entries) if not is_late(entry, first=i == 0)]


def is_late(entry: Entry, *, first: bool) -> bool:
    """Whether figures were known when it was written: a cell has them long before it is finished.
    Older entries say no more than how many cells had finished.
    """
    return bool(entry.get("begun", entry.get("finished", 0 if first else 1)))


def known_then(entry: Entry) -> str:
    """Example: "3 cells begun, 1 finished"; "" where an entry does not say."""
    if "finished" not in entry:
        return ""
    finished = int(entry["finished"])
    if "begun" not in entry:
        return f"{finished} cell{'' if finished == 1 else 's'} finished"
    begun = int(entry["begun"])
    return f"{begun} cell{'' if begun == 1 else 's'} begun, {finished} finished"


def unforeseen(study: Study, plans: Iterable[Sequence[Entry]]) -> dict[str, list[Any]]:
    """What a study promises and not every one of these plans did before any run had figures."""
    known = [foreseen(entries) for entries in plans]
    keys = (*_PLACED, *_LISTED)
    asked = {key: values for key, values in promises(study).items() if key in keys}
    left = {
        key: [each for each in values if any(each not in plan[key] for plan in known)]
        for key, values in asked.items()
    }
    return {key: values for key, values in left.items() if values}


def _called_unforeseen(entries: Sequence[Entry], key: str) -> list[Any]:
    return [value for entry in entries for value in entry.get("unforeseen", {}).get(key, ())]


def known_recipes(entries: Sequence[Entry]) -> dict[str, str]:
    """As they were last planned."""
    return {name: key for entry in entries for name, key in entry.get("recipes", {}).items()}


def extend_plan(
    folder: Path,
    entries: Sequence[Entry],
    study: Study,
    recipes: Mapping[str, str],
    *,
    begun: int,
    finished: int,
    elsewhere: Mapping[str, Sequence[Any]] | None = None,
) -> list[Entry]:
    """The plan with what the study promises and `entries` do not hold yet; writes nothing.

    Args:
        folder: the study's, for the message.
        recipes: a hash for every cell of the grid without its seed.
        begun: of how many cells there are figures by now, be it the student's alone.
        finished: of how many there are all.
        elsewhere: what was unforeseen where some of them were made (`unforeseen`).

    Raises RunFolderError where something that was planned is gone: a comparison that is left out
    after its runs were seen is a comparison that came out wrong.
    """
    known, asked = known_promises(entries), promises(study)
    lost = [
        *_lost(known, asked),
        *(f"the cells {c}" for c in known_recipes(entries) if c not in recipes),
    ]
    if lost:
        raise RunFolderError(
            f"{folder} was planned with {lost[0]}, which the study no longer has: put it back (a "
            "study may only grow), or begin another with --name"
        )
    added: dict[str, Any] = {
        key: new
        for key, values in asked.items()
        if (new := [value for value in values if value not in known[key]])
    }
    planned = known_recipes(entries).items()
    if changed := {each: key for each, key in recipes.items() if (each, key) not in planned}:
        added["recipes"] = changed
    before = foreseen(entries)
    late = {
        key: new
        for key, values in (elsewhere or {}).items()
        if (new := [value for value in values if value in before[key]])
    }
    if late:
        added["unforeseen"] = late
    if not added:
        return list(entries)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [*entries, {"time": now, "begun": begun, "finished": finished, **added}]


def _lost(known: Mapping[str, Sequence[Any]], asked: Mapping[str, Sequence[Any]]) -> list[str]:
    """Promises that are not kept: "seeds 2"."""
    return [
        f"{key} {_shown(value)}"
        for key, values in known.items()
        for value in values
        if value not in asked[key]
    ]


def write_plan(folder: Path, entries: Sequence[Entry]) -> None:
    """Where it says something new."""
    if list(entries) != read_plan(folder):
        with explaining_disk_errors(folder, PLAN):
            write_json(folder / PLAN, {"entries": entries})


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        given = {key: item for key, item in value.items() if item not in (None, "")}
        return ", ".join(f"{key} {item}" for key, item in given.items())
    return str(value)
