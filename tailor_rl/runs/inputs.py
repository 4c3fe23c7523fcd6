"""What a run is made from that lies outside its folder: hashes of files that its recipe names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tailor_rl.config.schema import RunConfig

LARGE_BYTES = 64 << 20  # of such a file, size and time of change stand for its content


def hash_inputs(config: RunConfig) -> dict[str, str]:
    """Absolute path -> hash, of every file and folder that a value of the recipe names: student,
    data, libraries, prompts, files of the user's own ("file.py:NAME").
    """
    values = dict.fromkeys(_texts(config.model_dump(mode="json")))
    paths = (Path(text.rpartition(":")[0] if ".py:" in text else text) for text in values)
    return {str(path): _hash(path) for path in paths if path.is_absolute() and path.exists()}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(f"{file.relative_to(path)}\0{_content(file)}\n".encode())
    return digest.hexdigest()


def _content(file: Path) -> str:
    about = file.stat()
    if about.st_size > LARGE_BYTES:
        return f"{about.st_size} {about.st_mtime_ns}"
    return hashlib.blake2b(file.read_bytes()).hexdigest()
