"""The teacher's key: read from the environment, put on the wire, and shown nowhere else."""

from __future__ import annotations

import os
from collections.abc import Generator

import httpx
from pydantic import SecretStr

from tailor_rl.errors import TeacherError

_SECRET_LENGTH = 12


class ApiKey(httpx.Auth):
    """Sends `Authorization: Bearer KEY` if the environment variable is set, nothing if not."""

    def __init__(self, env: str) -> None:
        self.env = env
        value = os.environ.get(env, "").strip()
        # httpx and h11 quote an illegal header in their error, so it must not come that far.
        if not (value.isascii() and value.isprintable()):
            raise TeacherError(
                f"The environment variable {env} holds characters that no API key has"
                " (line breaks or non-ASCII letters); set it to the key alone.",
                before_start=True,
            )
        self._secret = SecretStr(value)

    def __repr__(self) -> str:
        return f"ApiKey({self.env!r}, {'set' if self._secret else 'not set'})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._secret:
            request.headers["Authorization"] = f"Bearer {self._secret.get_secret_value()}"
        yield request

    def redact(self, text: str) -> str:
        """A server's words without the key, which some servers repeat in their errors."""
        return text.replace(self._secret.get_secret_value(), "[key]") if self._secret else text

    def redacted(self, content: bytes) -> bytes:
        """A server's whole answer without the key. A short key is no secret but a placeholder such
        as "EMPTY", and a word of ordinary answers.
        """
        secret = self._secret.get_secret_value().encode()
        return content.replace(secret, b"[key]") if len(secret) >= _SECRET_LENGTH else content

    @property
    def hint(self) -> str:
        """What to do when a server refuses the key."""
        if self._secret:
            return f"set the environment variable {self.env} to a valid key for this endpoint"
        return f"no key was sent: set the environment variable {self.env} to your key"
