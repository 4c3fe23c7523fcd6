"""Checkpoint folders that are whole or not there: written beside, hashed, synced, renamed.

    checkpoints/step-000010/       committed: MANIFEST.json names every file, its size and its hash
    checkpoints/.tmp-step-000010/  being written; swept when the run is opened again
    checkpoints/.old-step-000010/  being replaced; put back if the replacement never came

Knows nothing about what a learner saves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tailor_rl.errors import RunFolderError
from tailor_rl.protocols import Checkpoint
from tailor_rl.runs.files import read_json, sync_folder

MANIFEST = "MANIFEST.json"
STATE = "state.json"
_TEMPORARY, _REPLACED = ".tmp-", ".old-"

Fault = Callable[[str], None]


def no_fault(point: str) -> None:
    """Called before every sync and rename; tests put one here that raises."""


class CheckpointFolder:
    """The checkpoints of one run. One writer at a time: the run folder's lock sees to it."""

    def __init__(self, root: Path, *, fault: Fault = no_fault) -> None:
        self._root = root
        self._fault = fault

    def begin(self, name: str) -> Path:
        """An empty folder for the learner to write into, unseen until `commit(name)`."""
        folder = self._root / f"{_TEMPORARY}{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def commit(self, name: str, *, step: int, state: Mapping[str, Any]) -> Path:
        """What was written since `begin(name)` becomes the checkpoint `name`, replacing the old."""
        temporary, final = self._root / f"{_TEMPORARY}{name}", self._root / name
        _write_text(temporary / STATE, json.dumps(state, indent=2))
        files = {}
        for path in _files_of(temporary):
            self._fault(f"sync {path.name}")
            _sync_file(path)
            files[path.relative_to(temporary).as_posix()] = _describe(path)
        manifest = {"name": name, "step": step, "files": files}
        _write_text(temporary / MANIFEST, json.dumps(manifest, indent=2))
        self._fault("sync manifest")
        _sync_file(temporary / MANIFEST)
        for folder in {path.parent for path in _files_of(temporary)}:
            sync_folder(folder)
        self._rename(temporary, final)
        return final

    def _rename(self, temporary: Path, final: Path) -> None:
        replaced = self._root / f"{_REPLACED}{final.name}"
        if final.exists():  # a folder that is not empty cannot be renamed over
            shutil.rmtree(replaced, ignore_errors=True)
            self._fault("rename old")
            final.rename(replaced)
        self._fault("rename new")
        temporary.rename(final)
        self._fault("sync parent")
        sync_folder(self._root)
        self._fault("remove old")
        shutil.rmtree(replaced, ignore_errors=True)

    def sweep(self) -> tuple[str, ...]:
        """Clear away what a kill left half done; returns a line for each thing that was done."""
        lines = []
        for folder in sorted(self._root.glob(f"{_REPLACED}*")):
            final = self._root / folder.name.removeprefix(_REPLACED)
            if final.exists():
                shutil.rmtree(folder)
            else:
                folder.rename(final)
                lines.append(f"checkpoint {final.name}: its replacement was never finished, kept")
        for folder in sorted(self._root.glob(f"{_TEMPORARY}*")):
            shutil.rmtree(folder)
            lines.append(
                f"checkpoint {folder.name.removeprefix(_TEMPORARY)}: half written, removed"
            )
        return tuple(lines)

    def latest(self, prefix: str, *, log: Callable[[str], None]) -> Checkpoint | None:
        """The highest step whose manifest verifies, of names that start with `prefix`.

        A damaged one is left where it is, logged, and the next lower step is tried.
        """
        for folder in reversed(self._by_step(prefix)):
            try:
                return load_checkpoint(folder)
            except RunFolderError as error:
                log(f"{error}; trying an earlier checkpoint")
        return None

    def named(self, name: str, *, log: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint of exactly this name, if it verifies; a damaged one is logged."""
        folder = self._root / name
        if not folder.is_dir():
            return None
        try:
            return load_checkpoint(folder)
        except RunFolderError as error:
            log(str(error))
            return None

    def discard(self, name: str) -> None:
        """Give up what `begin(name)` began: its room is free again."""
        shutil.rmtree(self._root / f"{_TEMPORARY}{name}", ignore_errors=True)

    def prune(self, prefix: str, *, keep: int, spare: Collection[int | None] = ()) -> None:
        """Remove all but the `keep` highest steps of a prefix and those of `spare`; damaged ones
        stay.
        """
        assert keep >= 0, keep
        readable = [f for f in self._by_step(prefix) if _step_of(f) < float("inf")]
        for folder in readable[: max(0, len(readable) - keep)]:
            if _step_of(folder) in spare:
                continue
            # Out of sight in one rename: a kill half way leaves no half checkpoint.
            doomed = folder.rename(self._root / f"{_TEMPORARY}{folder.name}")
            shutil.rmtree(doomed)

    def _by_step(self, prefix: str) -> list[Path]:
        """Committed folders by ascending step; an unreadable manifest counts as the newest."""
        folders = [
            path
            for path in self._root.glob(f"{glob_escape(prefix)}*")
            if path.is_dir() and not path.name.startswith((_TEMPORARY, _REPLACED))
        ]
        return sorted(folders, key=lambda folder: (_step_of(folder), folder.name))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Verify every size and hash. RunFolderError names the first file that was changed."""
    manifest = _read_manifest(folder)
    for relative, expected in manifest["files"].items():
        path = folder / relative
        if not path.is_file():
            raise RunFolderError(f"checkpoint {folder} is damaged: {relative} is missing")
        if path.stat().st_size != expected["size"] or _describe(path) != expected:
            raise RunFolderError(
                f"checkpoint {folder} is damaged: {relative} was changed or cut short"
            )
    return Checkpoint(step=manifest["step"], folder=folder, state=read_json(folder / STATE))


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = read_json(folder / MANIFEST)
    except RunFolderError as error:
        raise RunFolderError(
            f"checkpoint {folder} is damaged: {MANIFEST} cannot be read"
        ) from error
    if not isinstance(manifest.get("step"), int) or not isinstance(manifest.get("files"), dict):
        raise RunFolderError(
            f"checkpoint {folder} is damaged: {MANIFEST} names no step or no files"
        )
    return manifest


def _step_of(folder: Path) -> float:
    with contextlib.suppress(RunFolderError):
        return float(_read_manifest(folder)["step"])
    return float("inf")


def glob_escape(text: str) -> str:
    """`text` as a glob pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _files_of(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return {"size": path.stat().st_size, "blake2b": digest.hexdigest()}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
