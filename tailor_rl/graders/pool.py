"""Grading in worker processes, each answer under a time limit after which its worker is killed.

    grade(problem, texts) -> one worker, all texts at once
                               | in time: done
                               + late, or the worker died: each text alone, with a limit of its own,
                                 so that one bad answer costs nobody else their grade

A grader may hang, crash its interpreter, or eat memory: the driver sees a GradeFailure. Workers
make the task themselves, from its name and options, and grade in their main thread (math-verify
needs that).
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil
from pebble import ProcessExpired, ProcessPool

from tailor_rl.config.schema import RewardConfig, TaskConfig
from tailor_rl.errors import GradeError
from tailor_rl.graders.rewards import Rewards
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Grade, GradeFailure, Problem

_KEPT = 20_000  # characters of an answer that a failure keeps


class GraderPool:
    """A bench of worker processes; use as a context manager.

    `timeout_s` is for one answer; `memory_mib` is what a worker may take besides the loaded task.
    """

    def __init__(self, task: TaskConfig, reward: RewardConfig) -> None:
        self._timeout_s = reward.timeout_s
        self._pool = ProcessPool(
            max_workers=reward.workers,
            initializer=_prepare,
            initargs=(task, reward),
            # Not forked: the driver has threads, and a fork would copy their locks as they are.
            context=multiprocessing.get_context("spawn"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]  # at once: nobody waits for the rest
        self._pool.join()

    async def __call__(self, problem: Problem, texts: Sequence[str]) -> list[Grade | GradeFailure]:
        if len(texts) > 1:
            with contextlib.suppress(_Lost):
                return await self._schedule(problem, texts)
        return [await self._alone(problem, text) for text in texts]

    async def _alone(self, problem: Problem, text: str) -> Grade | GradeFailure:
        try:
            return (await self._schedule(problem, [text]))[0]
        except _Lost as lost:
            return GradeFailure(problem_id=problem.id, text=text[:_KEPT], error=str(lost))

    async def _schedule(self, problem: Problem, texts: Sequence[str]) -> list[Grade | GradeFailure]:
        future = self._pool.schedule(_grade, args=(problem, list(texts)), timeout=self._timeout_s)
        try:
            return await asyncio.wrap_future(future)
        except (FutureTimeoutError, TimeoutError) as error:
            raise _Lost(
                f"grading took longer than reward.timeout_s={self._timeout_s:g} s and was killed"
            ) from error
        except ProcessExpired as error:
            raise _Lost(f"the grading process died (exit code {error.exitcode})") from error


class _Lost(Exception):
    """The worker that graded is gone."""


@dataclass(slots=True)
class _Worker:
    """What one worker process holds. Loading may fail: every answer then says why."""

    rewards: Rewards | None = None
    error: str = "this process was never prepared"


_worker = _Worker()


def _prepare(task: TaskConfig, reward: RewardConfig) -> None:
    """Runs in the worker, once and without a time limit: a data set may take a while to load."""
    try:
        _worker.rewards = make_rewards(task, reward)
    except Exception as error:
        _worker.error = f"{type(error).__name__}: {error}"
    used = psutil.Process().memory_info().vms
    limit = used + (reward.memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def make_rewards(task: TaskConfig, reward: RewardConfig) -> Rewards:
    loaded = load_task(task.name, seed=task.seed, options=task.options)
    return Rewards(loaded, weights=reward.weights, functions=reward.functions)


def _grade(problem: Problem, texts: Sequence[str]) -> list[Grade | GradeFailure]:
    """Runs in the worker."""
    return [_grade_one(problem, text) for text in texts]


def _grade_one(problem: Problem, text: str) -> Grade | GradeFailure:
    def failed(error: Any) -> GradeFailure:
        return GradeFailure(problem_id=problem.id, text=text[:_KEPT], error=str(error))

    if _worker.rewards is None:
        return failed(_worker.error)
    try:
        return _worker.rewards(problem, text)
    except GradeError as error:
        return failed(error)
