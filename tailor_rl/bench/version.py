"""Which results may stand in one table: those of the same code and the same packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tailor_rl.bench.cells import family_of
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.environment import Environment, read_environment
from tailor_rl.runs.folder import read_run_config
from tailor_rl.runs.inputs import named_inputs

Version = Mapping[str, str]  # "code" and each package -> which
INPUT = "input "


def version_of(run: Path) -> Version:
    """Of a run folder, from environment.json."""
    return as_version(read_environment(run))


def as_version(environment: Environment) -> Version:
    """Of a run that went on with other versions, all of them."""
    sittings = [environment, *environment.later]
    codes = dict.fromkeys(each.code for each in sittings)
    packages: dict[str, dict[str, None]] = {}
    for sitting in sittings:
        for name, version in sitting.packages.items():
            packages.setdefault(name, {})[version] = None
    found = {name: " then ".join(versions) for name, versions in packages.items()}
    return {"code": " then ".join(codes), **found}


def inputs_of(run: Path) -> Mapping[str, str]:
    """Path -> hash of what a run is made from; of what was mended between its sittings, all of
    them.
    """
    environment = read_environment(run)
    found: dict[str, dict[str, None]] = {}
    for sitting in (environment, *environment.later):
        for path, value in sitting.inputs.items():
            found.setdefault(path, {})[value] = None
    return {path: " then ".join(values) for path, values in found.items()}


def agrees(run: Path, version: Version) -> bool:
    """Whether a run is of this version, and was made from the same files as far as both name them:
    what it has finished may stand for what such a run would make.
    """
    of_version = {k: v for k, v in version.items() if not k.startswith(("/", INPUT))}
    files = inputs_of(run)
    return version_of(run) == of_version and all(
        files[path] == version[path] for path in files.keys() & version.keys()
    )


def with_inputs(version: Version, inputs: Mapping[str, str], family: str) -> Version:
    """`inputs`: as `named_inputs` has them, of a cell of that family. Under one name another family
    may have another file (students small/model and large/model), so each has keys of its own.
    """
    named = {f"{INPUT}{name} of {family}": value for name, value in inputs.items()}
    return {**version, **named}


def version_differences(
    runs: Sequence[Path],
    elsewhere: Mapping[str, Version],
    now: Version | None = None,
    files: Version | None = None,
) -> list[str]:
    """A sentence for each thing that the runs do not have in common. `elsewhere`: run -> version
    and inputs, of those whose folders are not here; `now`: those of runs that are about to begin;
    `files`: what runs here were made from, of inputs that cells elsewhere have too.
    """
    here: dict[str, Version] = {run.name: {**version_of(run), **inputs_of(run)} for run in runs}
    if elsewhere:  # paths are of one machine
        here = {run.name: _with_named_inputs(here[run.name], run) for run in runs}
    versions = {**elsewhere, **here}
    if now is not None:
        versions["this one"] = now
    versions["this place"] = files or {}
    found = []
    for key in sorted({key for version in versions.values() for key in version}):
        by_value: dict[str, list[str]] = {}
        for name, version in versions.items():
            # Not all have every input, and a place has no version.
            if key in version or not (key.startswith(("/", INPUT)) or name == "this place"):
                by_value.setdefault(version.get(key, "none"), []).append(name)
        if len(by_value) > 1:
            parts = (f"{value} in {_some(names)}" for value, names in sorted(by_value.items()))
            found.append(f"{key}: {', '.join(parts)}")
    return found


def check_same_version(
    runs: Sequence[Path],
    elsewhere: Mapping[str, Version],
    *,
    mixed: bool,
    now: Version | None = None,
    files: Version | None = None,
) -> list[str]:
    """The differences (`version_differences`), where `mixed` allows them, else RunFolderError
    naming each.
    """
    found = version_differences(runs, elsewhere, now, files)
    if found and not mixed:
        raise RunFolderError(
            f"the runs were made by different versions ({'; '.join(found)}): their figures do not "
            "belong in one table; delete the odd ones (run folders in cells/, figures in "
            "elsewhere/, or gathered.json where it alone is left) and run those cells again, or "
            "say --mixed-versions, which the report will show"
        )
    return found


def _with_named_inputs(version: Version, run: Path) -> Version:
    config = read_run_config(run)
    named = named_inputs(config, inputs_of(run))
    return with_inputs(version, named, family_of(run.name, config.seed))


def _some(names: Sequence[str]) -> str:
    """Example: "knights-tailor-seed-1 and 3 more"."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
