"""`tailor keys`: every key of a recipe, what it may be, what it is where nobody says, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tailor_rl.config.describe import describe, known_keys, nearest_key
from tailor_rl.errors import ConfigError


def key_lines(section: str) -> list[str]:
    """Of a section or a single key, dotted; of all where it is "". ConfigError for one unknown."""
    known = known_keys()
    chosen = {
        key: field
        for key, field in known.items()
        if not section or key == section or key.startswith(f"{section}.")
    }
    if not chosen:
        hint = nearest_key(section) or "; `tailor keys` lists all"
        raise ConfigError(f"a recipe has no key {section!r}{hint}")
    return [line for key, field in chosen.items() for line in _lines(key, field)]


def _lines(key: str, field: FieldInfo) -> Iterator[str]:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield f"[{key}]"
        return
    yield f"{key} = {_default(field)}: {describe(field)}"
    if field.description:
        yield f"    {field.description}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(must be given)"
    value = field.get_default(call_default_factory=True)
    return "(none)" if value is None else json.dumps(value, default=str)
