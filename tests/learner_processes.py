"""Learner ranks in processes of their own, without Ray: a pipe each, one process group for all.

A process goes through many `LearnerRank`s: starting Python and torch takes longer than most tests.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from tailor_rl.errors import LearnerError


class RankProcess:
    """A `RankHandle` (learners/group.py) over a pipe."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        ok, value = await asyncio.to_thread(self._round_trip, (method, args, kwargs))
        if not ok:
            raise LearnerError(value)
        return value

    async def put(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await self.call(method, *args, **kwargs)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        self.kill()
        self._pipe.close()

    def _round_trip(self, request: Any) -> Any:
        try:
            self._pipe.send(request)
            return self._pipe.recv()
        except (EOFError, OSError) as e:
            raise LearnerError(f"a learner rank died: exit code {self._process.exitcode}") from e


class RankProcesses:
    """`world_size` processes that can be ranks again and again."""

    def __init__(self, world_size: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.handles = [RankProcess() for _ in range(world_size)]

    async def start(self, **values: Any) -> list[RankProcess]:
        """New ranks in the old processes."""
        common = {
            "world_size": len(self.handles),
            "master_addr": "127.0.0.1",
            "master_port": self._port,
            "threads": 1,
            "device": "cpu",
            "seed": 0,
            "dtype": "float32",
            "gradient_checkpointing": False,
        }
        await self.all("new", **{**common, **values})
        return self.handles

    async def all(self, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Of every rank; "do" calls a module's function with the rank and the other arguments."""
        own = [{"rank": i} if method == "new" else {} for i in range(len(self.handles))]
        calls = [h.call(method, *args, **kwargs, **own[i]) for i, h in enumerate(self.handles)]
        return list(await asyncio.gather(*calls))

    def close(self) -> None:
        for handle in self.handles:
            handle.close()


def _serve(pipe: Connection) -> None:
    from learners.rank import LearnerRank

    rank: Any = None
    while True:
        try:
            method, args, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            if method == "new":
                rank, value = LearnerRank(*args, **kwargs), None
            elif method == "first_moments":
                value = _first_moments(rank._engine, zero_stage=rank._layout.zero_stage)
            elif method == "do":
                value = args[0](rank, *args[1:])
            elif method == "critic_moments":
                value = _first_moments(rank._critic, zero_stage=rank._layout.zero_stage)
            else:
                value = getattr(rank, method)(*args, **kwargs)
            pipe.send((True, value))
        except Exception:
            pipe.send((False, traceback.format_exc()))


def _first_moments(engine: Any, *, zero_stage: int) -> dict[str, np.ndarray]:
    """Adam's first moments, whole, by trained parameter: after a step, a tenth of the clipped
    gradient.
    """
    from deepspeed.utils import safe_get_full_optimizer_state

    moments = {}
    for name, parameter in engine.model.named_parameters():
        if not parameter.requires_grad:
            continue
        if zero_stage == 0:
            moment = engine._engine.basic_optimizer.state[parameter]["exp_avg"]
        else:
            moment = safe_get_full_optimizer_state(parameter, "exp_avg")
        moments[name] = moment.detach().float().numpy().copy()
    return moments
