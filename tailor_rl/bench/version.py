"""Which results may stand in one table: those of the same code and the same packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_rl.errors import RunFolderError
from tailor_rl.summary import read_object

Version = Mapping[str, str]  # "code" and each package -> which


def version_of(run: Path) -> Version:
    """Of a run folder, from environment.json."""
    return as_version(read_object(run / "environment.json"))


def as_version(environment: Mapping[str, Any]) -> Version:
    return {"code": str(environment.get("code", "unknown")), **environment.get("packages", {})}


def version_differences(runs: Sequence[Path]) -> list[str]:
    """A sentence for each thing that the runs do not have in common."""
    versions = {run.name: version_of(run) for run in runs}
    found = []
    for key in sorted({key for version in versions.values() for key in version}):
        by_value: dict[str, list[str]] = {}
        for name, version in versions.items():
            by_value.setdefault(version.get(key, "none"), []).append(name)
        if len(by_value) > 1:
            parts = (f"{value} in {_named(names)}" for value, names in sorted(by_value.items()))
            found.append(f"{key}: {', '.join(parts)}")
    return found


def check_same_version(runs: Sequence[Path], *, mixed: bool) -> list[str]:
    """The differences, where `mixed` allows them, else RunFolderError naming each."""
    found = version_differences(runs)
    if found and not mixed:
        raise RunFolderError(
            f"the runs were made by different versions ({'; '.join(found)}): their figures do not "
            "belong in one table; run the odd ones again, or say --mixed-versions, which the "
            "report will show"
        )
    return found


def _named(names: Sequence[str]) -> str:
    """Example: "knights-tailor-seed-1 and 3 more"."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
