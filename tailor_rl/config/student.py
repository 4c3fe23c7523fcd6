"""Is `student` something to start from? Reads file names and small JSON files, not weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_DOWNLOADED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt"]
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True, slots=True)
class StudentFiles:
    """What a student's folder says of itself; `folder` is None for one yet to be downloaded."""

    folder: Path | None
    max_position_embeddings: int | None


def check_student(
    student: str, searched: tuple[Path, ...], *, key: str = "student"
) -> StudentFiles:
    """Raises ConfigError for a folder that is missing, no checkpoint, or runs code when loaded.

    `searched` are the folders in which a relative path was looked for; `key` is what the recipe
    names it by.
    """
    folder = Path(student).expanduser()
    if folder.is_dir():
        return _check_folder(folder, key)
    if folder.exists():
        raise ConfigError(
            f"{key} = {student!r} is a file: name the folder with config.json and *.safetensors"
        )
    if _looks_like_hub_id(student, searched):
        return StudentFiles(folder=None, max_position_embeddings=None)
    places = ", ".join(str(base) for base in dict.fromkeys(searched))
    raise ConfigError(
        f"{key} = {student!r} is neither a folder (looked in {places}) nor a model id "
        '"organisation/name": correct the path, or make one with `tailor student build`'
    )


def fetch_student(student: str, *, key: str = "student") -> Path:
    """The absolute folder of a checked student; a model id is downloaded from the hub first.

    Raises ConfigError when it cannot be downloaded, or is then found to be no safe checkpoint.
    """
    folder = Path(student).expanduser()
    if folder.is_dir():
        return folder.resolve()
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        fetched = Path(snapshot_download(student, allow_patterns=_DOWNLOADED))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ConfigError(
            f"{key} = {student!r} cannot be downloaded from the Hugging Face hub ({reason}): "
            "check the name and the network, log in with `hf auth login` where the model asks "
            "for it, or give a local folder"
        ) from error
    _check_folder(fetched, key)
    return fetched


def _looks_like_hub_id(student: str, searched: tuple[Path, ...]) -> bool:
    """ "students/typo" is a misspelt path, not a model of the organisation "students"."""
    first = student.partition("/")[0]
    is_path = any((base / first).is_dir() for base in searched)
    return bool(_HUB_ID.fullmatch(student)) and not is_path


def _check_folder(folder: Path, key: str) -> StudentFiles:
    config = _read(folder / "config.json", folder, key)
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "auto_map" in _read(folder / name, folder, key):
            raise ConfigError(
                f"{key} {folder} asks to run code of its own ({name} has auto_map), which is "
                "never done: use a model of an architecture that transformers and vLLM know"
            )
    _check_weights(folder, key)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ConfigError(
            f"{key} {folder} has no tokenizer ({' or '.join(_TOKENIZERS)}): save the tokenizer "
            "into the same folder"
        )
    longest = config.get("max_position_embeddings")
    return StudentFiles(folder, longest if isinstance(longest, int) else None)


def _check_weights(folder: Path, key: str) -> None:
    if any((folder / name).is_file() for name in _WEIGHTS):
        return
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if pickles:
        raise ConfigError(
            f"{key} {folder} has only pickled weights ({pickles[0]}), which can run any code "
            "when they are loaded: convert them to safetensors"
        )
    raise ConfigError(f"{key} {folder} is no checkpoint: it holds no {_WEIGHTS[0]}")


def _read(path: Path, folder: Path, key: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{key} {folder} is no checkpoint: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key} {folder}: {path.name} cannot be read as JSON") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{key} {folder}: {path.name} holds no JSON object")
    return value
