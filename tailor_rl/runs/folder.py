"""One run, one folder, one process that writes to it.

Knows nothing about stages and rows (journal.py), and checks no recipe (config/).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import socket
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import stamina
from pydantic import BaseModel

from tailor_rl.config.load import Provenance, ResolvedConfig, differences, fingerprint
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.environment import ENVIRONMENT, describe_environment, read_environment
from tailor_rl.runs.files import (
    explaining_disk_errors,
    read_json,
    read_typed,
    resume_command,
    write_json,
)
from tailor_rl.runs.inputs import changed_inputs, hash_inputs, is_code

CONFIG, LOCK, ERROR_LOG, OUTCOME = "config.json", ".lock", "error.log", "outcome.json"
_PROBED_S = 0.2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RunFolder:
    """A locked run folder. Use it as a context manager: leaving releases the lock.

    The lock is the kernel's (flock): it ends with the process, however that ends.
    """

    def __init__(self, path: Path, config: RunConfig, *, lock: int | None) -> None:
        self.path = path
        self.config = config
        self._lock = lock

    @classmethod
    def create(cls, runs_dir: Path, resolved: ResolvedConfig, *, name: str | None) -> RunFolder:
        """A new folder under `runs_dir`, called `name`, or after recipe, day and a random tail.

        RunFolderError when the name is taken or is no plain name, or nothing can be written.
        """
        path = (runs_dir / (name or _default_name(resolved))).resolve()
        check_new(runs_dir, name)
        with explaining_disk_errors(runs_dir, path.name):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError as error:
                raise _taken(path) from error
            lock = _lock(path)
            try:
                inputs = {"inputs": hash_inputs(resolved.config)}
                write_json(path / ENVIRONMENT, {**describe_environment(), **inputs})
                write_json(path / CONFIG, resolved.to_json())  # last: with it the folder is a run
            except BaseException:
                os.close(lock)
                shutil.rmtree(path, ignore_errors=True)
                raise
        return cls(path, resolved.config, lock=lock)

    @classmethod
    def resume(cls, path: Path, resolved: ResolvedConfig | None) -> RunFolder:
        """Open a folder to go on with it, by its own recipe.

        `resolved` is what is asked for now, if anything. Only FREE_KEYS may differ (where a run
        goes on, and what it may still spend): RunFolderError names each other key that does, and
        each file that the run is made from and that has changed.
        """
        config = read_run_config(path)
        if resolved is not None:
            agree(path, config, resolved.config)
            config = resolved.config
        path = path.resolve()
        _check_inputs(path, config)
        with explaining_disk_errors(path, LOCK):
            lock = _lock(path)
            (path / OUTCOME).unlink(missing_ok=True)  # of the last sitting
            _note_other_version(path, config)
            _note_other_recipe(path, config)
        return cls(path, config, lock=lock)

    def inside(self, name: str) -> RunFolder:
        """The folder of a run within this one. It has no lock of its own: this one's covers it."""
        path = self.path / name
        with explaining_disk_errors(self.path, name):
            path.mkdir(exist_ok=True)
        return RunFolder(path, self.config, lock=None)

    def record_outcome(self, state: str, error: str | None = None) -> None:
        """How this sitting ended: "finished", "stopped" or "failed"; a kill leaves nothing."""
        # After a full disk this may fail too, and must not hide the error it comes from.
        with contextlib.suppress(OSError):
            write_json(self.path / OUTCOME, {"state": state, "error": error, "time": _now()})

    def log_error(self, error: BaseException) -> Path:
        """Append the traceback to error.log and return its path."""
        target = self.path / ERROR_LOG
        text = "".join(traceback.format_exception(error))
        # The disk may be what failed: the sentence on the terminal must still come.
        with contextlib.suppress(OSError), target.open("a", encoding="utf-8") as file:
            file.write(f"--- {_now()}\n{text}\n")
        return target

    def close(self) -> None:
        """Release the lock. Calling it twice is harmless."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_run_config(path: Path) -> RunConfig:
    """The recipe that a run folder was started with. RunFolderError where it is no run folder."""
    return read_resolved(path).config


def read_recipes(path: Path) -> list[RunConfig]:
    """Every recipe that a run went by, in FREE_KEYS alone another than the first."""
    first, record = read_run_config(path), read_json(path / CONFIG)
    try:
        later = map(json.dumps, record.get("later", ()))
        return [first, *map(RunConfig.model_validate_json, later)]
    except (TypeError, ValueError) as error:
        raise _unfit(path) from error


def read_resolved(path: Path) -> ResolvedConfig:
    """config.json of a run folder: the recipe and where it came from."""
    if not path.is_dir():
        raise RunFolderError(f"there is no run folder {path}{_nearest(path)}")
    record = read_json(path / CONFIG)
    try:
        config = RunConfig.model_validate_json(json.dumps(record["config"]))
        unchanged = record["fingerprint"] == fingerprint(record["config"])
        provenance = Provenance(**record["provenance"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unfit(path) from error
    if not unchanged:
        raise RunFolderError(
            f"{path / CONFIG} was edited after the run began: what is in the folder was made with "
            "another recipe; put the old values back or start a new run"
        )
    return ResolvedConfig(config, provenance)


def _unfit(path: Path) -> RunFolderError:
    return RunFolderError(
        f"{path / CONFIG} does not fit this version of tailor_rl: "
        "go on with the version that started the run, or start a new run"
    )


class Outcome(BaseModel):
    """What is read of outcome.json."""

    state: Literal["finished", "stopped", "failed"]
    error: str | None = None


def read_outcome(path: Path) -> Outcome | None:
    """What `record_outcome` wrote last; None while a run goes on and after it was killed.

    RunFolderError where it is damaged.
    """
    if not (path / OUTCOME).is_file():
        return None
    return read_typed(
        path / OUTCOME,
        Outcome,
        what="damaged",
        fix="remove it, and the run counts as killed and can go on",
    )


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock of a run folder (pid, host, since); None when no living process does."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _lock_note(path)
    finally:
        os.close(descriptor)
    return None


def _check_inputs(path: Path, config: RunConfig) -> None:
    """A run is made from one student and one set of data. Folders of older versions do not say from
    which. The user's own code may be mended between sittings, as this project's may: it is noted.
    """
    inputs = read_environment(path).inputs
    if changed := [each for each in changed_inputs(config, inputs) if not is_code(each)]:
        raise RunFolderError(
            f"{path} was begun with other content in {', '.join(changed)}: put the old content "
            "back, or start a new run"
        )


def _note_other_version(path: Path, config: RunConfig) -> None:
    """A run that goes on with other code or packages than before says so in environment.json."""
    before, now = read_environment(path), describe_environment()
    last = [before, *before.later][-1]
    mended = any(map(is_code, changed_inputs(config, last.inputs or before.inputs)))
    if mended or (last.code, last.packages) != (now["code"], now["packages"]):
        now["inputs"] = hash_inputs(config)
        known = read_json(path / ENVIRONMENT) if (path / ENVIRONMENT).is_file() else {}
        write_json(path / ENVIRONMENT, {**known, "later": [*known.get("later", ()), now]})


def _note_other_recipe(path: Path, config: RunConfig) -> None:
    """A run that goes on by other values of FREE_KEYS than ever before says so in config.json."""
    if config not in read_recipes(path):
        record, asked = read_json(path / CONFIG), config.model_dump(mode="json")
        write_json(path / CONFIG, {**record, "later": [*record.get("later", ()), asked]})


def _lock(path: Path) -> int:
    """Take the folder's lock and write who took it; the descriptor keeps it."""
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # Who asks whether it is taken (`holder`) has it for a moment, which is no news to anybody.
        logging.getLogger("stamina").setLevel(logging.ERROR)
        for again in stamina.retry_context(
            on=BlockingIOError, attempts=None, timeout=_PROBED_S,
            wait_initial=0.005, wait_max=0.02, wait_jitter=0.01,
        ):  # fmt: skip
            with again:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": _now(),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
    except BlockingIOError as error:
        os.close(descriptor)
        raise _in_use(path) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _in_use(path: Path) -> RunFolderError:
    note = _lock_note(path)
    return RunFolderError(
        f"{path} is in use by process {note.get('pid', 'unknown')} on "
        f"{note.get('host', 'this host')}: wait until it ends, or stop it and go on with "
        f"`{resume_command(path)}`"
    )


def _lock_note(path: Path) -> dict[str, Any]:
    """What the holder wrote. Just after taking the lock it may not have written yet: {} then."""
    with contextlib.suppress(ValueError, OSError):
        note = json.loads((path / LOCK).read_text(encoding="utf-8"))
        if isinstance(note, dict):
            return note
    return {}


def agree(path: Path, stored: RunConfig, asked: RunConfig) -> None:
    """RunFolderError with every key that differs, unless a run may go on with `asked`."""
    changed = differences(stored, asked)
    if changed:
        listed = ", ".join(f"{key} is {old} there and {new} here" for key, old, new in changed)
        raise RunFolderError(
            f"{path} was started with another recipe ({listed}): "
            "leave the recipe and overrides out to go on as it began, or start a new run"
        )


def _default_name(resolved: ResolvedConfig) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(resolved.provenance.file).stem).strip(".-_")
    return f"{stem or 'run'}-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(3)}"


def check_new(runs_dir: Path, name: str | None) -> None:
    """RunFolderError unless a run called `name` could be created; creates nothing."""
    if name is not None and not _NAME.fullmatch(name):
        raise RunFolderError(
            f"--name {name!r} is no plain folder name: use letters, digits, dots, dashes and "
            "underscores, and choose the folder above it with --runs-dir"
        )
    if name is not None and (runs_dir / name).exists():
        raise _taken(runs_dir / name)
    existing = next(p for p in (runs_dir, *runs_dir.resolve().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"runs cannot be kept in {runs_dir}: {existing} is no folder that this user can write "
            "to; choose another with --runs-dir"
        )


def check_free(path: Path) -> None:
    """RunFolderError while a living process holds the run folder."""
    if holder(path) is not None:
        raise _in_use(path)


def _taken(path: Path) -> RunFolderError:
    return RunFolderError(
        f"{path} exists already: choose another --name, or go on with `{resume_command(path)}`"
    )


def _nearest(path: Path) -> str:
    """A hint at a folder of nearly that name, or at the runs that there are."""
    from rapidfuzz import process

    parent = path.parent
    runs = [p.name for p in parent.iterdir() if (p / CONFIG).is_file()] if parent.is_dir() else []
    nearest = process.extractOne(path.name, runs, score_cutoff=60)
    if nearest:
        return f"; did you mean {parent / nearest[0]}?"
    return f": name one of the folders in {parent}" if runs else ": start one with `tailor run`"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
