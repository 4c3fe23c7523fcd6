"""The folder of one evaluation: what was evaluated, a row a problem, and the tables made of them.

    evaluation.json        the checkpoint and its checksum, the recipe, splits, command, environment
    results.jsonl          a ProblemResult a line, written and synced as problems are done
    samples.jsonl          the first sample of some problems of each split, for people
    grade_failures.jsonl   answers that could not be graded
    table.json, table.md   the figures

An evaluation that was killed goes on in its folder: problems in results.jsonl are not done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.config.load import ResolvedConfig, differences
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.evaluation import Trace
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import (
    DiskFullError,
    append_line,
    read_json,
    read_typed_lines,
    write_atomic,
    write_json,
)
from tailor_rl.types import GradeFailure, ProblemResult

RECORD, RESULTS = "evaluation.json", "results.jsonl"
_SAMPLES, _FAILURES, _LOCK, _ERRORS = "samples.jsonl", "grade_failures.jsonl", ".lock", "error.log"
# What decides a problem's result ...
_SECTIONS = ("seed", "task.", "reward.", "rollout.", "evaluation.")
# ... but for how many problems there are, and how fast they are done.
_FREE = frozenset(
    {
        "evaluation.num_problems",
        "evaluation.num_ood_problems",
        "evaluation.num_validation_problems",
        "evaluation.ood_splits",
        "evaluation.every",
        "reward.workers",
        "rollout.engines",
        "rollout.threads",
        "rollout.max_sequences",
        "rollout.kv_cache_gib",
        "rollout.gpu_memory_utilization",
    }
)


@dataclass(frozen=True, slots=True)
class Record:
    """What an evaluation is of: evaluation.json."""

    target: str
    checkpoint: Path
    checksum: str
    recipe: ResolvedConfig
    splits: tuple[str, ...]
    command: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "checkpoint": {"folder": str(self.checkpoint), "checksum": self.checksum},
            "splits": list(self.splits),
            "command": list(self.command),
            "recipe": self.recipe.to_json(),
            "environment": describe_environment(),
        }


class EvaluationFolder:
    """Held by one process at a time (flock): two would do the same problems."""

    def __init__(self, path: Path, *, is_new: bool, lock: int) -> None:
        self.path = path
        self.is_new = is_new
        self._lock = lock

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, record: Record) -> Iterator[EvaluationFolder]:
        """Create the folder or go on in it. RunFolderError where it is another evaluation's."""
        is_new = check_folder(path, record)
        with _explaining(path):
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderError(
                    f"{path} is being filled by another `tailor evaluate`: wait until it ends, or "
                    "choose another folder with --out"
                ) from error
            with _explaining(path):
                write_json(path / RECORD, record.to_json())
            yield cls(path, is_new=is_new, lock=lock)
        finally:
            os.close(lock)

    def results(self) -> list[ProblemResult]:
        return read_results(self.path / RESULTS) if (self.path / RESULTS).is_file() else []

    def add_result(self, result: ProblemResult) -> None:
        self._append(RESULTS, result)

    def add_sample(self, sample: Trace) -> None:
        self._append(_SAMPLES, sample)

    def add_failure(self, failure: GradeFailure) -> None:
        self._append(_FAILURES, failure)

    def write_tables(self, rows: Sequence[Mapping[str, Any]], markdown: str) -> None:
        with _explaining(self.path):
            write_atomic(self.path / "table.json", json.dumps(list(rows), indent=2) + "\n")
            write_atomic(self.path / "table.md", markdown)

    def log_error(self, error: BaseException) -> Path:
        """Append the traceback to error.log and return its path."""
        target = self.path / _ERRORS
        # The disk may be what failed: the sentence on the terminal must still come.
        with contextlib.suppress(OSError), target.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)) + "\n")
        return target

    def forget(self) -> None:
        """Remove a folder that was made for nothing."""
        if self.is_new and not (self.path / RESULTS).exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def _append(self, name: str, row: Any) -> None:
        with _explaining(self.path):
            append_line(self.path / name, json.dumps(dataclasses.asdict(row), ensure_ascii=False))


def check_folder(path: Path, record: Record) -> bool:
    """Whether the folder would be new; RunFolderError where `record` cannot go on in it."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return True
    if not (path / RECORD).is_file():
        raise RunFolderError(
            f"--out {path} exists already and is no evaluation: choose another folder"
        )
    stored = read_record(path)
    changed = [
        f"{key} is {old} there and {new} here"
        for key, old, new in differences(recipe_of(stored, path), record.recipe.config)
        if key.startswith(_SECTIONS) and key not in _FREE
    ]
    if stored["checkpoint"]["checksum"] != record.checksum:
        changed.insert(0, f"it is of {stored['checkpoint']['folder']}")
    if changed:
        raise RunFolderError(
            f"{path} holds another evaluation ({', '.join(changed)}): choose another folder with "
            "--out"
        )
    return False


def read_record(path: Path) -> dict[str, Any]:
    """evaluation.json; RunFolderError where it is missing or damaged."""
    record = read_json(path / RECORD)
    try:
        assert isinstance(record["checkpoint"]["checksum"], str), record
        assert isinstance(record["recipe"]["config"], dict), record
    except (KeyError, TypeError, AssertionError) as error:
        raise RunFolderError(
            f"{path / RECORD} is damaged or of another version of tailor_rl: choose another folder "
            "with --out"
        ) from error
    return record


def recipe_of(record: Mapping[str, Any], path: Path) -> RunConfig:
    """The recipe in an evaluation.json that `read_record` has read."""
    try:
        return RunConfig.model_validate_json(json.dumps(record["recipe"]["config"]))
    except ValueError as error:
        raise RunFolderError(
            f"{path / RECORD} does not fit this version of tailor_rl: choose another folder with "
            "--out"
        ) from error


def read_results(path: Path) -> list[ProblemResult]:
    """The rows of a file of ProblemResult; a torn last line is left out, any other is an error."""
    return read_typed_lines(
        path,
        ProblemResult,
        what="no result of a problem",
        fix="remove the line, or name a file of results",
    )


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """What the file system refuses, as one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"there was no room to write in {path} ({error.strerror}); every finished problem "
                "is safe: free some space and run the same command again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR):
            raise RunFolderError(
                f"an evaluation cannot be kept in {path} ({error.strerror}): choose another folder "
                "with --out"
            ) from error
        raise
