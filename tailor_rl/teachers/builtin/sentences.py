"""The sentences of a trace."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])\s+|\n+")


def sentences(text: str) -> list[str]:
    """What ends with a full stop or a line; a point inside a number ends nothing."""
    return [said.strip() for said in _END.split(text) if said.strip()]
