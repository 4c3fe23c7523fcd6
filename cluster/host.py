"""What runs inside a Ray actor: a plain object that is built there, off the driver.

The constructor does nothing and `build` does the work, because an error in a constructor reaches
the driver only as text inside a dead actor's obituary, while an error of a method arrives as the
exception it was.
"""

from __future__ import annotations

import importlib
import inspect
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor runs."""

    pid: int
    ip: str
    free_port: int  # at the moment of asking


class Host:
    """Blocking methods, one at a time, in the process's main thread: for a learner rank."""

    def __init__(self) -> None:
        self._held: Any = None

    def place(self) -> Place:
        return _place()

    def ping(self) -> None: ...

    def build(self, target: str, kwargs: Mapping[str, Any], secrets: Sequence[str]) -> None:
        for secret in secrets:
            load_secret(secret)
        self._held = _make(target, kwargs)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._held, method)(*args, **kwargs)

    def put(self, method: str, *args: Any, **kwargs: Any) -> tuple[Any, None]:
        """Two results: the value, which stays in the object store, and a small one to wait for."""
        return getattr(self._held, method)(*args, **kwargs), None


class AsyncHost:
    """Coroutines, many at a time on one event loop: for engines and teacher services."""

    def __init__(self) -> None:
        self._held: Any = None

    async def place(self) -> Place:
        return _place()

    async def ping(self) -> None: ...

    async def build(self, target: str, kwargs: Mapping[str, Any], secrets: Sequence[str]) -> None:
        for secret in secrets:
            load_secret(secret)
        self._held = _make(target, kwargs)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self._held, method)(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def _make(target: str, kwargs: Mapping[str, Any]) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)(**kwargs)


def _place() -> Place:
    import ray

    with socket.socket() as probe:
        probe.bind(("", 0))
        port = int(probe.getsockname()[1])
    return Place(pid=os.getpid(), ip=ray.util.get_node_ip_address(), free_port=port)


def load_secret(env: str) -> None:
    """Set the variable `env` from the file that `<env>_FILE` names, where only that is set.

    A key in a runtime environment can be read back in clear through Ray's job API; a path gives
    nothing away. Raises ConfigError for a file that cannot be read.
    """
    path = os.environ.get(f"{env}_FILE") if env else None
    if path and not os.environ.get(env):
        try:
            os.environ[env] = Path(path).expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(
                f"no key can be read from {env}_FILE={path}: {why}; name a file that "
                f"holds it, or set {env} itself"
            ) from error
