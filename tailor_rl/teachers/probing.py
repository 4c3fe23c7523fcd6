"""Finds a wrong URL, key or model before a run starts: one GET, or a completion of one token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stamina

from tailor_rl.errors import TeacherError
from tailor_rl.printable import one_line
from tailor_rl.teachers.faults import Refused, Transient, retry_wait
from tailor_rl.teachers.transport import Transport
from tailor_rl.teachers.wire import COMPLETIONS, probe_body, read_models

_TRIES = 2  # a wrong URL is told within seconds


async def find_model(transport: Transport, model: str, *, section: str) -> None:
    """Return if the endpoint answers for `model`; `section` is its place in the recipe.

    Raises Transient or Refused as the exchange does, TeacherError where it lists other models only.
    """
    offered = await _offered_models(transport)
    if model in offered:
        return
    try:
        await _ask(transport, "POST", COMPLETIONS, probe_body(model))
    except Refused as refused:
        if refused.status not in (400, 404, 422) or not offered:
            raise
        names = ", ".join(offered[:8]) + (", ..." if len(offered) > 8 else "")
        raise TeacherError(
            f"The teacher at {transport.base_url} has no model {model!r} ({refused});"
            f" set {section}.model to one of: {one_line(names, 300)}.",
            before_start=True,
        ) from None


async def _offered_models(transport: Transport) -> list[str]:
    """Model names, as far as the endpoint tells; many list none or not all."""
    try:
        payload = await _ask(transport, "GET", "/models")
    except Refused as refused:
        if refused.status in (404, 405):
            return []
        raise
    return read_models(payload)


async def _ask(
    transport: Transport, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    async for again in stamina.retry_context(
        on=retry_wait, attempts=_TRIES, timeout=None, wait_initial=0.5
    ):
        with again:
            try:
                return await transport.exchange(method, path, body)
            except Transient as fault:
                raise fault.counted(again.num) from None
    raise AssertionError("stamina returns or raises")
