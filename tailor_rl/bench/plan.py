"""What was planned before the runs, and what was added when some of them were known.

plan.json is a list: its first entry is the plan, and later ones say what came when. A study may
only grow. Recipes are in it as hashes: that one was changed when results of others were known is
allowed, and can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tailor_rl.bench.study import Study
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, read_json, write_json

PLAN = "plan.json"
# Keys of a study that are promises, each a list in plan.json.
_NAMED = ("arms", "tasks", "students", "algorithms")
_LISTED = ("seeds", "comparisons", "trends", "thresholds")

# "time", "finished" (cells when it was written), the keys above, and "recipes": hashes of those
# that are new or changed, by cell without its seed.
Entry = Mapping[str, Any]


def read_plan(folder: Path) -> list[Entry]:
    """[] before the first."""
    path = folder / PLAN
    return read_json(path)["entries"] if path.is_file() else []


def promises(study: Study) -> dict[str, list[Any]]:
    """What a study commits itself to, as JSON."""
    table = study.model_dump(mode="json")
    named = {key: list(table[key]) for key in _NAMED}
    return named | {key: list(table[key]) for key in _LISTED}


def known_promises(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """Everything that was planned or added so far."""
    keys = (*_NAMED, *_LISTED)
    return {key: [each for entry in entries for each in entry.get(key, [])] for key in keys}


def known_recipes(entries: Sequence[Entry]) -> dict[str, str]:
    """As they were last planned."""
    return {name: key for entry in entries for name, key in entry.get("recipes", {}).items()}


def extend_plan(
    folder: Path, study: Study, recipes: Mapping[str, str], *, finished: int
) -> list[Entry]:
    """Write down what the study promises and the plan does not hold yet; the whole plan.

    Args:
        recipes: a hash for every cell of the grid without its seed.
        finished: how many cells are known by now.

    Raises RunFolderError where something that was planned is gone: a comparison that is left out
    after its runs were seen is a comparison that came out wrong.
    """
    entries = read_plan(folder)
    known, asked = known_promises(entries), promises(study)
    for key, values in known.items():
        gone = [value for value in values if value not in asked[key]]
        if gone:
            raise RunFolderError(
                f"{folder} was planned with {key} {_shown(gone[0])}, which the study no longer has:"
                " put it back (a study may only grow), or begin another with --name"
            )
    added: dict[str, Any] = {
        key: new
        for key, values in asked.items()
        if (new := [value for value in values if value not in known[key]])
    }
    planned = known_recipes(entries).items()
    if changed := {each: key for each, key in recipes.items() if (each, key) not in planned}:
        added["recipes"] = changed
    if not added:
        return entries
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = [*entries, {"time": now, "finished": finished, **added}]
    with explaining_disk_errors(folder, PLAN):
        write_json(folder / PLAN, {"entries": entries})
    return entries


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        given = {key: item for key, item in value.items() if item not in (None, "")}
        return ", ".join(f"{key} {item}" for key, item in given.items())
    return str(value)
