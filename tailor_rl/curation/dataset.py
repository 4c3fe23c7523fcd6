"""An SFT set as a folder that others can read without this project.

    README.md                             the card, with the front matter of the Hugging Face hub
    lineage.json                          where the set comes from
    data/train-00000-of-00001.parquet     for `load_dataset(folder)`, the hub and TRL
    dataset_dict.json, train/             the same rows for `load_from_disk(folder)["train"]`

Knows nothing about runs and the network: see hub.py for publishing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_rl.curation.card import write_card
from tailor_rl.curation.lineage import Lineage, set_sha256
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, read_json, sync_folder, write_json
from tailor_rl.types import Demonstration

PARQUET = "data/train-00000-of-00001.parquet"
CARD, LINEAGE = "README.md", "lineage.json"


def write_dataset(folder: Path, demonstrations: Sequence[Demonstration], lineage: Lineage) -> None:
    """Make `folder`, or replace it if it is such a folder already: all of it or nothing.

    Columns: those of `Demonstration`, but "prompt" and "completion" (the trace) are turns of a
    chat, and "messages" is both. Equal sets give equal bytes. ConfigError where something else is
    in the way; RunFolderError on a full disk.
    """

    def fill(beside: Path) -> None:
        _write_rows(beside, demonstrations)
        write_json(beside / LINEAGE, dataclasses.asdict(lineage))
        write_card(beside / CARD, lineage, demonstrations, parquet=PARQUET)

    _replace(folder, fill)


def export_dataset(folder: Path, out: Path) -> None:
    """A copy of a data set folder at `out`, whole or not at all; it replaces an older copy.

    ConfigError where something else is there.
    """
    check_dataset(folder)
    out, folder = out.resolve(), folder.resolve()
    if out.is_relative_to(folder) or folder.is_relative_to(out):
        raise ConfigError(f"{out} and the data set {folder} lie within each other: choose another")
    there = [out.name] if out.is_file() else sorted(p.name for p in out.glob("*"))
    own = {path.name for path in folder.iterdir()}
    if foreign := [name for name in there if out.is_file() or name not in own]:
        raise ConfigError(
            f"{out} holds {foreign[0]}, which is no part of a data set and would be lost: name a "
            "new folder"
        )
    _replace(out, lambda beside: shutil.copytree(folder, beside, dirs_exist_ok=True))


def check_dataset(folder: Path) -> Lineage:
    """The lineage of a folder whose rows are those that it speaks of; RunFolderError says why not.

    Rows are compared by hash, so an edited or truncated file is found.
    """
    lineage = read_lineage(folder)
    found = set_sha256(read_dataset(folder))
    if found != lineage.set_sha256:
        raise RunFolderError(
            f"{folder / PARQUET} is not the set that {LINEAGE} speaks of (sha256 {found[:12]}... "
            f"instead of {lineage.set_sha256[:12]}...): it was edited; restore it, or export the "
            "run's data set again"
        )
    return lineage


def read_lineage(folder: Path) -> Lineage:
    """lineage.json of a data set folder. RunFolderError where there is none, or a damaged one."""
    from pydantic import TypeAdapter, ValidationError

    path = folder / LINEAGE
    if not path.is_file():
        raise RunFolderError(
            f"{folder} is no data set: it has no {LINEAGE}; name a run that has made one, or the "
            "folder of one"
        )
    try:
        return TypeAdapter(Lineage).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise RunFolderError(
            f"{path} is damaged or of another version of tailor_rl "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}): restore it"
        ) from error


def read_dataset(folder: Path) -> list[Demonstration]:
    """The rows of a data set folder, as they were made. RunFolderError where they are damaged."""
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    path = folder / PARQUET
    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
        return [_demonstration(row) for row in rows]
    except (OSError, pyarrow.ArrowException, KeyError, IndexError, TypeError) as error:
        raise RunFolderError(
            f"{path} is missing, damaged or of another version of tailor_rl: restore it, or export "
            "the run's data set again"
        ) from error


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """The bars of `datasets` and `huggingface_hub` are off inside, and then as they were."""
    import datasets
    import huggingface_hub.utils as hub

    shown = [
        enable
        for disabled, enable in (
            (datasets.are_progress_bars_disabled(), datasets.enable_progress_bars),
            (hub.are_progress_bars_disabled(), hub.enable_progress_bars),
        )
        if not disabled
    ]
    datasets.disable_progress_bars()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        for enable in shown:
            enable()


def _write_rows(folder: Path, demonstrations: Sequence[Demonstration]) -> None:
    from datasets import Dataset, DatasetDict, Features, Value

    turns = [{"role": Value("string"), "content": Value("string")}]
    columns: dict[str, Any] = {
        "id": Value("string"),
        "problem_id": Value("string"),
        "messages": turns,
        "prompt": turns,
        "completion": turns,
        "reward": Value("float64"),
        "origin": Value("string"),
        "primitive_id": Value("string"),
        "teacher": Value("string"),
        "temperature": Value("float64"),
        "prompt_tokens": Value("int64"),
        "completion_tokens": Value("int64"),
        "prompt_version": Value("string"),
    }
    rows = [_row(made) for made in demonstrations]
    table = Dataset.from_dict(
        {name: [row[name] for row in rows] for name in columns},
        features=Features(columns),
        split="train",
    )
    with without_bars():
        DatasetDict({"train": table}).save_to_disk(folder)
        (folder / PARQUET).parent.mkdir()
        table.to_parquet(folder / PARQUET)


def _row(made: Demonstration) -> dict[str, Any]:
    """TRL takes the format of a row from any one of the three columns, so all are chats."""
    prompt = [{"role": "user", "content": made.prompt}]
    completion = [{"role": "assistant", "content": made.trace}]
    row = dataclasses.asdict(made) | {"prompt": prompt, "completion": completion}
    del row["trace"]
    return row | {"messages": prompt + completion}


def _demonstration(row: Mapping[str, Any]) -> Demonstration:
    plain = {key: value for key, value in row.items() if key not in ("messages", "completion")}
    return Demonstration(
        **plain | {"prompt": row["prompt"][0]["content"], "trace": row["completion"][0]["content"]}
    )


def _replace(folder: Path, fill: Callable[[Path], object]) -> None:
    """Fill a folder beside, then rename it: a kill at any moment leaves the old one or the new one,
    under its own name or one that the next call finds.
    """
    if folder.exists() and not (folder / LINEAGE).is_file() and not _is_empty(folder):
        raise ConfigError(
            f"{folder} exists and is no data set of tailor_rl: choose another folder, or empty it"
        )
    new = folder.with_name(f".tailor-new-{folder.name}")
    old = folder.with_name(f".tailor-old-{folder.name}")
    with explaining_disk_errors(folder.parent, folder.name):
        _put_back(old, folder)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            fill(new)
            _sync(new)
            if folder.exists():  # a folder that is not empty cannot be renamed over
                folder.rename(old)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            _put_back(old, folder)
        sync_folder(folder.parent)


def _put_back(old: Path, folder: Path) -> None:
    """Undo a replacement that did not end, or clear up after one that did."""
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
