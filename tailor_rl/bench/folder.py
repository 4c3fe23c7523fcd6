"""The folder of a study: one process that writes, a run folder for each cell.

plan.json      what was planned, and what was added when
study.json     the study as it was last asked for, and the command
cells/NAME/    a run folder            logs/NAME.log    what its run printed
new/           cells that are being put together
elsewhere/*/   figures of cells that were run in another place
logs/NAME.toml the recipe that a run went on by, where it was another than its own
gathered.json, results.json, report.html, report.md, report.svg
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, Field

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.sharing import share
from tailor_rl.bench.study import Study
from tailor_rl.config.load import Provenance, ResolvedConfig, differences, to_toml
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, read_typed, write_atomic, write_json
from tailor_rl.runs.folder import RunFolder, agree, read_outcome, read_recipes, read_run_config

STUDY, CELLS, LOGS, NEW = "study.json", "cells", "logs", "new"
GATHERED, ELSEWHERE = "gathered.json", "elsewhere"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class StudyFolder:
    """A locked study folder. Leaving the block, or any end of the process, releases the lock."""

    def __init__(self, path: Path, *, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> StudyFolder:
        """A new one, or one to go on with. RunFolderError where another process has it, the name is
        no plain one, or a run folder is called so.
        """
        path = check_name(runs_dir, name)
        with explaining_disk_errors(runs_dir, name):
            for each in (CELLS, LOGS):
                (path / each).mkdir(parents=True, exist_ok=True)
            lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise RunFolderError(
                f"{path} is in use by another `tailor bench`: wait until it ends, or stop it"
            ) from error
        shutil.rmtree(path / NEW, ignore_errors=True)
        return cls(path, lock=lock)

    def cell(self, name: str) -> Path:
        return self.path / CELLS / name

    def log(self, name: str) -> Path:
        return self.path / LOGS / f"{name}.log"

    def record(
        self,
        study: Study,
        *,
        file: Path,
        overrides: Sequence[str],
        command: Sequence[str],
        at_once: int,
    ) -> None:
        """What was asked for last. `at_once`: as many as ever, as far as the old file can say."""
        before = 1
        with contextlib.suppress(RunFolderError):
            before = read_recorded(self.path).at_once
        known = {
            "study": study.model_dump(mode="json"),
            "file": str(file.resolve()),
            "overrides": list(overrides),
            "command": list(command),
            "at_once": max(at_once, before),
        }
        with explaining_disk_errors(self.path, STUDY):
            write_json(self.path / STUDY, known)

    def prepare(self, cell: Cell, donors: Sequence[Path], provenance: Provenance) -> dict[str, str]:
        """Make the run folder of a cell, with all that `donors` have finished of it; part -> donor.

        It appears whole or not at all.
        """
        shutil.rmtree(self.path / NEW / cell.name, ignore_errors=True)
        resolved = ResolvedConfig(cell.config, provenance)
        with (
            RunFolder.create(self.path / NEW, resolved, name=cell.name) as run,
            explaining_disk_errors(self.path, cell.name),
        ):
            taken = share(cell.config, run.path, donors)
        (self.path / NEW / cell.name).rename(self.cell(cell.name))
        return taken

    def recipes(self, cell: Cell) -> list[RunConfig]:
        """That of the cell, and those that its run went by already."""
        path = self.cell(cell.name)
        return [cell.config, *(read_recipes(path) if path.is_dir() else ())]

    def recipe_to_go_on_by(self, cell: Cell) -> tuple[Path | None, list[str]]:
        """Of a cell that was begun, where the study now says otherwise of what may change (such as
        the cluster's address, or what may be spent): a file with the recipe, and what is new in it.
        """
        stored = read_run_config(self.cell(cell.name))
        changes = differences(stored, cell.config, free=True)
        if not changes:
            return None, []
        file = self.log(cell.name).with_suffix(".toml")
        with explaining_disk_errors(self.path, cell.name):
            write_atomic(file, to_toml(cell.config))
        return file, [f"{key} {new} (begun with {old})" for key, old, new in changes]

    def check(self, cells: Sequence[Cell]) -> None:
        """RunFolderError where a cell that exists was begun by another recipe, or is no longer one:
        what was seen is not left out afterwards.
        """
        gone = sorted({run.name for run in self.runs()} - {cell.name for cell in cells})
        if gone:
            raise RunFolderError(
                f"{self.cell(gone[0])} is no cell of the study any more: put back what made it one "
                "(a study may only grow), or begin another with --name"
            )
        for cell in cells:
            if self.cell(cell.name).is_dir():
                agree(self.cell(cell.name), read_run_config(self.cell(cell.name)), cell.config)

    def finished(self, cell: Cell) -> bool:
        return is_finished(self.cell(cell.name))

    def runs(self) -> list[Path]:
        """The run folders that there are, finished or not."""
        return runs_of(self.path)

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> StudyFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_name(runs_dir: Path, name: str) -> Path:
    """Where the study would be; creates nothing."""
    path = runs_dir.resolve() / name
    if not _NAME.fullmatch(name):
        raise RunFolderError(
            f"--name {name!r} is no plain folder name: use letters, digits, dots, dashes and "
            "underscores, and choose the folder above it with --runs-dir"
        )
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file: choose another --name")
    if path.is_dir() and any(path.iterdir()) and not is_study(path):
        raise RunFolderError(f"{path} exists and is no study: choose another --name")
    return path


def is_study(path: Path) -> bool:
    """Also one whose runs are elsewhere."""
    return (path / CELLS).is_dir() or (path / GATHERED).is_file()


def is_finished(run: Path) -> bool:
    outcome = read_outcome(run) if run.is_dir() else None
    return outcome is not None and outcome.state == "finished"


def runs_of(study: Path) -> list[Path]:
    return sorted(path.parent for path in study.glob(f"{CELLS}/*/config.json"))


class Recorded(BaseModel):
    """What is read of study.json."""

    study: Study
    command: tuple[str, ...]
    at_once: int = Field(1, ge=1)


def read_recorded(study: Path) -> Recorded:
    """As `StudyFolder.record` wrote it. RunFolderError where it is missing or damaged."""
    if not (study / STUDY).is_file():
        raise RunFolderError(
            f"{study} has no {STUDY}: `tailor bench` with the study's file makes one"
        )
    return read_typed(
        study / STUDY,
        Recorded,
        what="damaged or of another version of tailor_rl",
        fix="`tailor bench` with the study's file writes it anew",
    )
