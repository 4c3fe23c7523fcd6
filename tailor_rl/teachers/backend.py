"""What stands behind one teacher of a service: a remote endpoint, or a model that the run hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tailor_rl.protocols import TeacherReply, TeacherRequest


class Backend(Protocol):
    """Answers one request at a time or many; knows nothing of the purchase book, prices or shares.

    It bounds by itself how many requests it has open, and ends every one of them in the end.
    """

    @property
    def name(self) -> str:
        """The model: a part of what names a purchase, the same on every host and in every run."""
        ...

    async def complete(
        self, request: TeacherRequest, *, before_sending: Callable[[], None] | None = None
    ) -> TeacherReply:
        """One completion with its token counts. Raises UnusableAnswer where no text came, else
        TeacherError.

        `before_sending` is called exactly once, when the request has its turn and before anything
        is paid for. What it raises ends the request and is passed on.
        """
        ...

    async def check(self) -> None:
        """Raises TeacherError (exit code 2) where no request could succeed."""
        ...

    async def aclose(self) -> None: ...
