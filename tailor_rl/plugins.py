"""Code outside the repository that a recipe names: "path/to/file.py:Name", or "module:Name"."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from tailor_rl.errors import ConfigError


def load_attribute(target: str, *, key: str) -> Any:
    """What `target` names; ConfigError in the terms of the recipe's `key` where there is none."""
    where, _, attribute = target.rpartition(":")
    if not where:
        raise ConfigError(f'{key} = "{target}" must be "path/to/file.py:Name" or "module:Name"')
    module = _from_file(Path(where), key=key) if where.endswith(".py") else _imported(where, key)
    if not hasattr(module, attribute):
        raise ConfigError(f"{key}: {where} defines no {attribute!r}")
    return getattr(module, attribute)


def _imported(name: str, key: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{key}: cannot import {name!r}: {error}") from error


def _from_file(path: Path, *, key: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{key}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"tailor_plugin_{path.stem}", path)
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{key}: {path} cannot be imported: {error!r}") from error
    return module
