"""The schema in words: what a key may hold, which key was meant, one sentence for an error.

Knows nothing about files but their names.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tailor_rl.config.schema import RunConfig

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
_BOUNDS = (
    ("ge", "of at least"),
    ("gt", "above"),
    ("le", "of at most"),
    ("lt", "below"),
    ("min_length", "numbering at least"),
)


def known_keys() -> dict[str, FieldInfo]:
    """Every key of a recipe, dotted, sections included."""
    return dict(_fields(RunConfig, ""))


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")


def nearest_key(key: str) -> str:
    """'; did you mean "rl.group_size"?', or "" where nothing is near."""
    from rapidfuzz import process

    section, _, _ = key.rpartition(".")
    known = list(known_keys())
    inside = [name for name in known if name.rpartition(".")[0] == section]
    for candidates, cutoff in ((inside, 75), (known, 60)):
        nearest = process.extractOne(key, candidates, score_cutoff=cutoff)
        if nearest:
            return f'; did you mean "{nearest[0]}"?'
    return ""


def explain(
    error: ValidationError,
    *,
    file: Path,
    overridden: tuple[str, ...],
    laid_over: Mapping[str, Path] | None = None,
) -> str:
    """One sentence on the first problem; unknown keys first, for they may explain the others.

    `laid_over`: key -> the file that it comes from, where that is not `file`.
    """
    details = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = details[0]
    key = ".".join(map(str, first["loc"]))
    origins = [
        origin
        for name, origin in (laid_over or {}).items()
        if f"{name}.".startswith(f"{key}.") or key.startswith(f"{name}.")
    ]
    where = place(key, file=origins[0] if origins else file, overridden=overridden)
    others = list(dict.fromkeys(".".join(map(str, e["loc"])) for e in details[1:]))
    also = f" (also wrong: {', '.join(others)})" if others else ""
    return _sentence(key, first, where) + also


def place(key: str, *, file: Path, overridden: tuple[str, ...]) -> str:
    """Where the value of a key was written."""
    given = any(f"{key}.".startswith(f"{o}.") or o.startswith(f"{key}.") for o in overridden)
    return f"on the command line (recipe {file})" if given else f"in {file}"


def _sentence(key: str, detail: ErrorDetails, where: str) -> str:
    if detail["type"] == "extra_forbidden":
        hint = nearest_key(key) or f"; known here: {', '.join(_siblings(key))}"
        return f'unknown key "{key}" {where}{hint}'
    field = _field_of(key)
    rule = describe(field) if field else detail["msg"].lower()
    if detail["type"] == "missing":
        return f'the key "{key}" is missing {where}: it must be {rule}; add it'
    value = json.dumps(detail["input"], default=str)
    return f"{key} = {value} {where}: it must be {rule}{_fix(field)}"


def _fix(field: FieldInfo | None) -> str:
    if field is None or field.is_required() or isinstance(field.default, BaseModel):
        return "; correct the value"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "; correct the value or leave the key out"
    return f"; correct the value or leave the key out for {json.dumps(default)}"


def _field_of(key: str) -> FieldInfo | None:
    """The field of a key, or of the key that it is an element of ("evaluation.ood_splits.0")."""
    known = known_keys()
    return known.get(key) or known.get(key.rpartition(".")[0])


def _siblings(key: str) -> list[str]:
    section = key.rpartition(".")[0]
    return [name for name in known_keys() if name.rpartition(".")[0] == section]


def describe(field: FieldInfo) -> str:
    """Example: "a whole number of at least 1"."""
    bounds = [
        f"{words} {value:g}"
        for name, words in _BOUNDS
        if (value := _bound(field, name)) is not None
    ]
    return " ".join([_kind(field.annotation), " and ".join(bounds)]).strip()


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((getattr(m, name) for m in field.metadata if hasattr(m, name)), None)


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _kind(next(a for a in get_args(annotation) if a is not type(None)))
    if origin is Literal:
        return "one of " + ", ".join(json.dumps(a) for a in get_args(annotation))
    if origin is tuple:
        return f"a list, each {_kind(get_args(annotation)[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "a section of keys"
    return _KINDS[annotation]
