"""Writing that survives kills: whole files by rename, rows by flushed appends.

Knows nothing about what is written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tailor_rl.errors import RunFolderError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Row = TypeVar("Row")

# Disk full, quota reached, and a file that has hit the limit of its process (ulimit -f).
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class DiskFullError(RunFolderError):
    """No space is left for the run folder: not wrong input, for the run was fine until then."""

    exit_code = 3


class NoLongerWritableError(RunFolderError):
    """Likewise, a folder that this user could write to when the run began."""

    exit_code = 3


def resume_command(run: Path) -> str:
    """What to type to go on: relative to the current directory where that is shorter."""
    shown = os.path.relpath(run)
    return f"python -m tailor_rl run --resume {run if shown.startswith('..') else shown}"


@contextlib.contextmanager
def explaining_disk_errors(run: Path, what: str) -> Iterator[None]:
    """Turns "no space left" and "not allowed to write" into one sentence; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise disk_full(run, what, error) from error
        if error.errno in NOT_ALLOWED:
            raise not_writable(run, what, error) from error
        raise


def disk_full(run: Path, what: str, error: BaseException) -> DiskFullError:
    reason = _reason(error, NO_SPACE)
    return DiskFullError(
        f"there was no room to write {what} in {run} ({reason}); every finished row and checkpoint "
        f"is safe: free some space and go on with `{resume_command(run)}`"
    )


def not_writable(run: Path, what: str, error: BaseException) -> RunFolderError:
    return RunFolderError(
        f"{what} cannot be written in {run} ({_reason(error, NOT_ALLOWED)}): make the folder "
        "writable for this user, or choose another one with --runs-dir"
    )


def no_longer_writable(run: Path, what: str, error: BaseException) -> NoLongerWritableError:
    return NoLongerWritableError(
        f"{what} cannot be written in {run} ({_reason(error, NOT_ALLOWED)}); every finished row "
        "and checkpoint is safe: make the folder writable for this user again and go on with "
        f"`{resume_command(run)}`"
    )


def is_one_of(codes: Collection[int], error: BaseException) -> bool:
    """Whether an error of the system is behind it, also one that another process put into words."""
    return getattr(error, "errno", None) in codes or bool(_reason(error, codes))


def _reason(error: BaseException, codes: Collection[int]) -> str:
    if isinstance(error, OSError) and error.errno in codes and error.strerror:
        return error.strerror
    return next((os.strerror(n) for n in sorted(codes) if os.strerror(n) in str(error)), "")


def read_typed(path: Path, kind: type[Row], *, what: str, fix: str) -> Row:
    """A file of JSON as a dataclass or a model. RunFolderError says that it is `what`, and the
    `fix`.
    """
    from pydantic import TypeAdapter

    return _typed(path.read_bytes(), TypeAdapter(kind), where=str(path), what=what, fix=fix)


def read_typed_lines(path: Path, kind: type[Row], *, what: str, fix: str) -> list[Row]:
    """The rows of a .jsonl file likewise; a torn last line is left out."""
    from pydantic import TypeAdapter

    rows = TypeAdapter(kind)
    return [
        _typed(line, rows, where=f"{path}, line {number}", what=what, fix=fix)
        for number, line in enumerate(read_lines(path), start=1)
    ]


def _typed(text: str | bytes, kind: TypeAdapter[Row], *, where: str, what: str, fix: str) -> Row:
    from pydantic import ValidationError

    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "all of it"
        raise RunFolderError(f"{where} is {what} ({key}: {first['msg']}): {fix}") from error


def write_atomic(path: Path, text: str) -> None:
    """Replace `path`: a kill or a power cut at any moment leaves the old file or the new one."""
    beside = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` of an indented JSON object."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object. RunFolderError where it is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(f"{path} is missing: {path.parent} is no run folder") from error
    except (json.JSONDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}): restore it or start a new run"
        ) from error
    if not isinstance(value, dict):
        raise RunFolderError(f"{path} is damaged (no JSON object): restore it or start a new run")
    return value


def read_tables(path: Path) -> dict[str, dict[str, Any]]:
    """A file that holds one JSON object of JSON objects; {} where there is none."""
    tables = read_json(path) if path.exists() else {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise RunFolderError(
                f"{path} is damaged ({name!r} is no JSON object): restore it or start a new run"
            )
    return tables


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Add one line and wait until the disk has it. A torn line left by a kill is cut off first."""
    assert "\n" not in line, line
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        end = _end_of_last_line(descriptor)
        if end != os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, end)
        try:
            data = f"{line}\n".encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:  # a full disk takes half a line: take it back while we can
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def _end_of_last_line(descriptor: int) -> int:
    """Offset just behind the last newline; 0 where there is none."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def read_lines(path: Path) -> list[str]:
    """The finished lines of a file, [] where there is none; a torn last line is left out."""
    if not path.is_file():
        return []
    # Not splitlines(): text inside JSON may hold U+2028 and friends, which it splits at.
    return path.read_bytes().decode("utf-8", errors="replace").split("\n")[:-1]
