"""What a run is made from that lies outside its folder: hashes of files that its recipe names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tailor_rl.config.schema import RunConfig

LARGE_BYTES = 64 << 20  # of such a file its size and pieces of it stand for the content
PIECES, PIECE_BYTES = 64, 64 << 10  # training changes every tensor: no need to read gigabytes


def hash_inputs(config: RunConfig) -> dict[str, str]:
    """Absolute path -> hash, of every file and folder that a value of the recipe names: student,
    data, libraries, prompts, files of the user's own ("file.py:NAME").
    """
    paths = dict.fromkeys(path for _, path in _paths(config.model_dump(mode="json")))
    return {str(path): _hash(path) for path in paths if path.exists()}


def changed_inputs(config: RunConfig, before: Mapping[str, str]) -> list[str]:
    """Of the paths in `before` (`hash_inputs`) those that are there and hold something else now."""
    now = hash_inputs(config)
    return [path for path, value in before.items() if now.get(path, value) != value]


def is_code(path: str) -> bool:
    """A file of the user's own code."""
    return path.endswith(".py")


def named_inputs(config: RunConfig, inputs: Mapping[str, str]) -> dict[str, str]:
    """Such hashes by what they are in the recipe, wherever they lie: "student knights-qwen2"."""
    named = _paths(config.model_dump(mode="json"))
    return {f"{key} {path.name}": inputs[str(path)] for key, path in named if str(path) in inputs}


def _paths(value: Any, key: str = "") -> Iterator[tuple[str, Path]]:
    """Dotted keys and the absolute paths there."""
    if isinstance(value, str):
        path = Path(value.rpartition(":")[0] if ".py:" in value else value)
        if path.is_absolute():
            yield key, path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _paths(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, key)


def _hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(f"{file.relative_to(path)}\0{_content(file)}\n".encode())
    return digest.hexdigest()


def _content(file: Path) -> str:
    size = file.stat().st_size
    if size <= LARGE_BYTES:
        return hashlib.blake2b(file.read_bytes()).hexdigest()
    digest = hashlib.blake2b(str(size).encode())
    with file.open("rb") as opened:
        for i in range(PIECES):
            opened.seek((size - PIECE_BYTES) * i // (PIECES - 1))
            digest.update(opened.read(PIECE_BYTES))
    return digest.hexdigest()
