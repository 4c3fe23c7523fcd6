"""What cells have in common is made once: a new cell begins with the parts that others finished.

The ledger of a cell counts what its parts (parts.py) cost whoever paid; stages.json says who did
("shared_from").
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_rl.bench.parts import is_finished_part, keys_of, makes, makes_by, wants
from tailor_rl.bench.version import agrees, inputs_of, version_of
from tailor_rl.config.schema import RunConfig
from tailor_rl.initialisations.re_distill import FIRST_RUN
from tailor_rl.runs.files import sync_folder, write_atomic, write_json
from tailor_rl.runs.folder import read_recipes
from tailor_rl.runs.journal import read_stages
from tailor_rl.runs.ledger import LOST, read_ledger
from tailor_rl.summary import read_rows

SHARED_FROM = "shared_from"

Keys = Mapping[str, str]  # part -> key
Made = Mapping[tuple[str, str], Path]  # (part, key) -> the first run that has finished it

_EXAMINED = ("evaluate_base", "evaluate_sft", "evaluate_rl")
_LATER = (*_EXAMINED, "sft", "rl")  # than the set, or beside it
_SCREENED = ("discover", "screen", "trial", "guard")
_CANDIDATE_FILES = ("candidates", "discovery", "refused", "screening", "prompts")
# Not of the set: what every run writes of itself, and what comes after the set.
_OWN_FILES = frozenset(
    {
        "config.json", "environment.json", "outcome.json", "ledger.json", "stages.json",
        "metrics.jsonl", "evaluations.jsonl", "grade_failures.jsonl", "error.log", "report.html",
        "checkpoints", "results", "samples", "behaviours-base.json", "behaviours-sft.json",
    }
)  # fmt: skip
# Beginnings of names: a book belongs to one run, and a donor that is running writes beside.
_NOT_SHARED = ("teacher.sqlite", ".lock", ".tmp-")


def shared_parts(cfgs: Sequence[RunConfig], made: Collection[str] = ()) -> list[list[str]]:
    """For each of these runs, made one after another: parts that it will not have to make. `made`
    are the keys of those that there are before the first.
    """
    made, parts = set(made), []
    for cfg in cfgs:
        found = {name for name, key in wants(cfg).items() if key in made}
        parts.append(["whole"] if "whole" in found else _worth_taking(found))
        made.update(makes(cfg).values())
    return parts


def _worth_taking(found: Collection[str]) -> list[str]:
    """In the order of a run. The set makes what it is made from unnecessary; SFT needs its set."""
    unnecessary = {"attempts", "candidates", "first_run"} if "set" in found else {"sft"}
    return [name for name in _TAKE if name in found and name not in unnecessary]


def share(cfg: RunConfig, folder: Path, donors: Sequence[Path]) -> dict[str, str]:
    """Put into a new run folder every part that one of `donors` has finished: part -> donor.

    Only of runs of the same version. Nothing in a donor changes.
    """
    made = made_parts(donor for donor in donors if can_give(donor, folder))
    found = {part[0]: made[part] for part in wants(cfg).items() if part in made}
    if (whole := found.pop("whole", None)) is not None:
        _take_whole(folder, whole)
        _sync(folder)
        return {"whole": whole.name}
    taken = _worth_taking(found)
    for name in taken:
        _TAKE[name](folder, found[name])
    _sync(folder)
    return {name: found[name].name for name in taken}


def can_give(donor: Path, folder: Path) -> bool:
    """Whether two runs are of one version, and what both were made from has not changed between:
    the student, files of data, files of the user's own.
    """
    return agrees(donor, {**version_of(folder), **inputs_of(folder)})


def made_parts(donors: Iterable[Path]) -> Made:
    """What these runs have finished."""
    found: dict[tuple[str, str], Path] = {}
    for donor in donors:
        stages = read_stages(donor)
        written = (donor / "config.json").stat().st_mtime_ns
        for part in _made_by(donor.resolve(), written).items():
            if is_finished_part(part[0], stages):
                found.setdefault(part, donor)
    return found


def is_made(cfg: RunConfig, made: Made) -> bool:
    """Whether one of the runs is this very one, finished."""
    return ("whole", keys_of(cfg)["whole"]) in made


def awaits(wanted: Keys, busy: Iterable[Keys], waiting: Iterable[Keys], made: Made) -> bool:
    """Whether a run that `wants` this had better wait: for a part that is not made yet and that one
    of those in `busy` is about to make, or for a first run, which is all that one of those in
    `waiting` will be. Of those two: what they make (parts.py).
    """
    missing = {part for part in wanted.items() if part not in made}
    if ("whole", wanted["whole"]) not in missing:
        return False
    if ("set", wanted.get("set", "")) in made:
        missing = {part for part in missing if part[0] == "sft"}
    missing.discard(("whole", wanted["whole"]))
    coming = {part for keys in busy for part in keys.items()}
    coming |= {("first_run", keys["first_run"]) for keys in waiting if "first_run" in keys}
    return bool(missing & coming)


@functools.cache
def _made_by(donor: Path, written_ns: int) -> Mapping[str, str]:
    """`written_ns` is when its config.json was: with it, this stays what it is."""
    return makes_by(read_recipes(donor))


# --- taking: files first, then what says that they are there


def _take_base(folder: Path, donor: Path) -> None:
    _take_examination(folder, donor, "base")
    _take_stages(folder, donor, ["evaluate_base"])


def _take_attempts(folder: Path, donor: Path) -> None:
    _copy(donor / "attempts.jsonl", folder)
    _take_stages(folder, donor, ["attempt"])


def _take_candidates(folder: Path, donor: Path) -> None:
    for name in _CANDIDATE_FILES:
        if (donor / f"{name}.jsonl").is_file():
            _copy(donor / f"{name}.jsonl", folder)
    _take_stages(folder, donor, _SCREENED)


def _take_first_run(folder: Path, donor: Path) -> None:
    """The donor as a run inside the run, its seconds on this one's account: all else is added up
    when the run reads it.
    """
    inner = folder / FIRST_RUN
    _copy_all(donor, inner, but=_OWN_FILES - {"metrics.jsonl", "evaluations.jsonl", "checkpoints"})
    _take_stages(inner, donor, [stage for stage in read_stages(donor) if stage not in _EXAMINED])
    ledger = read_ledger(inner)
    seconds = sum(row.get("seconds", 0.0) for row in ledger.values())
    _add_to_ledger(inner, {"validation": read_ledger(donor).get("validation", {})})
    _add_to_ledger(folder, {FIRST_RUN: {"seconds": seconds}})


def _take_set(folder: Path, donor: Path) -> None:
    _copy_all(donor, folder, but=_OWN_FILES)
    _take_stages(folder, donor, [stage for stage in read_stages(donor) if stage not in _LATER])


def _take_sft(folder: Path, donor: Path) -> None:
    for checkpoint in donor.glob("checkpoints/sft*"):
        _copy(checkpoint, folder / "checkpoints", linked=True)
    rows = [row for row in read_rows(donor / "metrics.jsonl") if row.get("stage") == "sft"]
    _append(folder / "metrics.jsonl", rows)
    _take_examination(folder, donor, "sft")
    before = read_stages(donor)["rl"].get("ledger", {})  # SFT's own measurements on validation
    _add_to_ledger(folder, {"validation": before.get("validation", {})})
    _take_stages(folder, donor, ["sft", "evaluate_sft"])


def _take_whole(folder: Path, donor: Path) -> None:
    _copy_all(donor, folder, but=frozenset({"config.json", "environment.json", "stages.json"}))
    stages = read_stages(donor)
    write_json(folder / "stages.json", _marked(stages, donor))


_TAKE: Mapping[str, Callable[[Path, Path], None]] = {
    "base": _take_base,
    "attempts": _take_attempts,
    "candidates": _take_candidates,
    "first_run": _take_first_run,
    "set": _take_set,
    "sft": _take_sft,
}


def _take_examination(folder: Path, donor: Path, stage: str) -> None:
    for kind in ("results", "samples"):
        _copy(donor / kind / f"eval-{stage}.jsonl", folder / kind)
    rows = [row for row in read_rows(donor / "evaluations.jsonl") if row.get("stage") == stage]
    _append(folder / "evaluations.jsonl", rows)


def _take_stages(folder: Path, donor: Path, stages: Sequence[str]) -> None:
    """What they cost, then that they are finished: with that they are never done again."""
    known, spent = read_stages(donor), read_ledger(donor)
    _add_to_ledger(folder, {stage: spent[stage] for stage in stages if stage in spent})
    own = read_stages(folder)
    taken = {stage: known[stage] for stage in stages if "finished" in known.get(stage, {})}
    write_json(folder / "stages.json", {**own, **_marked(taken, donor)})


def _marked(stages: Mapping[str, Any], donor: Path) -> dict[str, Any]:
    """A part may have been shared before: the first to have made it is named."""
    return {name: {SHARED_FROM: donor.name, **entry} for name, entry in stages.items()}


def _add_to_ledger(folder: Path, rows: Mapping[str, Mapping[str, float]]) -> None:
    ledger = read_ledger(folder)
    kept = {name: dict(row) for name, row in rows.items() if row and not name.endswith(LOST)}
    write_json(folder / "ledger.json", {**ledger, **kept})


def _append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    old = read_rows(path) if path.is_file() else []
    lines = (json.dumps(row, ensure_ascii=False) for row in (*old, *rows))
    write_atomic(path, "".join(f"{line}\n" for line in lines))


def _copy_all(donor: Path, folder: Path, *, but: frozenset[str]) -> None:
    for path in _files(donor):
        if path.name not in but:
            _copy(path, folder, linked=path.name == "checkpoints")


def _files(donor: Path) -> Iterator[Path]:
    return (path for path in donor.iterdir() if not path.name.startswith(_NOT_SHARED))


def _copy(source: Path, into: Path, *, linked: bool = False) -> None:
    """A file or a folder of files. Checkpoints are linked where the file system can: they are large
    and never written to again; rows are copied, since runs append to theirs.
    """
    into.mkdir(parents=True, exist_ok=True)
    target = into / source.name
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link if linked else shutil.copy2)
    else:
        shutil.copy2(source, target)


def _sync(folder: Path) -> None:
    """What a run finds finished it never makes again: it has to outlive a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    sync_folder(folder)


def _link(source: str, target: str) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
