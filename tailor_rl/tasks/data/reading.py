"""Rows from files: JSON lines, JSON, CSV, Parquet, Arrow; which files a folder has for a split.

Knows nothing of questions and answers. Every complaint is one sentence with file and line (of
Parquet and Arrow: the row).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import process

_UTF8_MARK = b"\xef\xbb\xbf"
_DESCRIPTIONS = ("dataset_info.json", "state.json", "dataset_dict.json")  # of save_to_disk
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands: "train.jsonl:17"."""

    where: str
    values: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        """ValueError names the nearest column where there is none of this name."""
        if column in self.values:
            return self.values[column]
        nearest = process.extractOne(column, list(self.values))
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"{self.where}: there is no column {column!r}{hint} It has "
            f"{', '.join(map(repr, self.values)) or 'none'}."
        )

    def text(self, column: str) -> str:
        """A column that must hold text or a number, and not be empty."""
        value = self[column]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(
                f"{self.where}: {column} must be text or a number, not {_shown(value)}"
            )
        if not str(value).strip():
            raise ValueError(f"{self.where}: {column} is empty; fill it in or leave the row out")
        return str(value)


def read_rows(files: list[Path]) -> Iterator[Row]:
    """The rows of files, in order, one at a time."""
    for file in files:
        if not file.is_file():
            raise ValueError(f"there is no file {file}{_beside(file)}")
        reader = _READERS.get(file.suffix)
        if reader is None:
            raise ValueError(f"{file}: {_KINDS}, not {file.suffix or 'a file without a suffix'}")
        for number, values in reader(file):
            yield Row(f"{file}:{number}", values)


def files_of(folder: Path, split: str) -> list[Path]:
    """A folder's files of one split: `test.jsonl`, `test-00000-of-00002.parquet`, or all in
    `test/`, at any depth, by name.
    """
    beside = [*folder.glob(f"{split}.*"), *folder.glob(f"{split}-*")]
    return sorted(
        file
        for file in (*beside, *(folder / split).rglob("*"))
        if file.suffix in _READERS and file.is_file() and file.name not in _DESCRIPTIONS
    )


def cached_dataset(name: str, subset: str) -> Path:
    """The folder of a data set in the Hugging Face cache. Nothing is downloaded: a run must not
    depend on the network, nor read another revision than it began with.
    """
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except Exception as error:
        raise ValueError(
            f"task.options.name: the data set {name!r} is not in the local cache "
            f"({type(error).__name__}); get it with `hf download --repo-type dataset {name}`, or "
            "give files with task.options.path"
        ) from error
    for folder in (found / subset, found / "data" / subset, found):
        if files_of(folder, "train") or files_of(folder, "test"):
            return folder
    inside = sorted(f.name for f in found.iterdir() if f.is_dir() and files_of(f, "train"))
    raise ValueError(
        f"task.options.subset = {subset!r}: the data set {name!r} has no train or test files "
        f"there; its subsets are {', '.join(inside) or 'none that can be read'}"
    )


def _jsonl(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1:
                line = _without_mark(line, file)
            text = _decoded(line, f"{file}:{number}")
            if not text.strip():
                continue
            try:
                values = json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{file}:{number}: this line is no JSON: {error}") from error
            yield number, _object(values, f"{file}:{number}")


def _json(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """One object (a row), or a list of them."""
    text = _decoded(_without_mark(file.read_bytes(), file), str(file))
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{file}: this is no JSON: {error}") from error
    for number, values in enumerate(content if isinstance(content, list) else [content], 1):
        yield number, _object(values, f"{file}:{number}")


def _csv(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = _decoded(_without_mark(file.read_bytes(), file), str(file))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for values in reader:
            if None in values or None in values.values():
                raise ValueError(
                    f"{file}:{reader.line_num}: this row has not as many fields as the first line"
                )
            yield reader.line_num, values
    except csv.Error as error:
        raise ValueError(f"{file}:{reader.line_num}: this is no CSV: {error}") from error


def _parquet(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    try:
        yield from _numbered(ParquetFile(file).iter_batches())
    except ArrowException as error:
        raise ValueError(f"{file}: this is no Parquet file: {error}") from error


def _arrow(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    from pyarrow import ArrowException, ipc

    try:
        with file.open("rb") as stream:
            yield from _numbered(ipc.open_stream(stream))
    except ArrowException as error:
        raise ValueError(f"{file}: this is no Arrow stream: {error}") from error


def _numbered(batches: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


def _without_mark(start: bytes, file: Path) -> bytes:
    if start.startswith(_UTF16_MARKS):
        raise ValueError(f"{file}: this is UTF-16; save it as UTF-8")
    return start.removeprefix(_UTF8_MARK)


def _decoded(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: byte {error.start + 1} is no UTF-8 ({error.reason}); save the file as UTF-8"
        ) from error


def _object(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: a row must be an object of columns, not {_shown(values)}")
    return values


def _beside(file: Path) -> str:
    near = [f.name for f in file.parent.glob("*")] if file.parent.is_dir() else []
    found = process.extractOne(file.name, near, score_cutoff=60)
    return f"; did you mean {found[0]!r}?" if found else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Mapping[str, Any]]]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
_KINDS = f"a file of data ends in {', '.join(_READERS)}"
