"""Drawing the style of a rule-made trace at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from random import Random
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Style = TypeVar("Style")


def drawn_style(style: type[Style], rng: Random, *, numbers: Mapping[str, Sequence[int]]) -> Style:
    """A style (a dataclass of bool, Literal and int fields) with every field drawn evenly.

    `numbers` are the choices of the int fields.
    """
    hints = get_type_hints(style)
    choices = {
        field.name: numbers.get(field.name) or _choices(hints[field.name])
        for field in fields(style)  # type: ignore[arg-type]  # every Style is a dataclass
    }
    return style(**{name: rng.choice(values) for name, values in choices.items()})


def _choices(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    assert kind is bool, kind
    return (False, True)
