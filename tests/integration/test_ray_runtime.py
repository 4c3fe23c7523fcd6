"""Real Ray, vLLM and DeepSpeed through the handles: weights reach every engine, deaths are told.

One Ray for all tests; each test hires a crew of its own, and at most one crew lives at a time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from actors.pool import EnginePool
from cluster.crew import Crew, build_engines, build_ranks, hire
from cluster.handles import EngineHandle, RankHandle
from cluster.local import cluster_nodes, ray_session
from cluster.placement import Plan, Share, check_fits, make_plan
from cluster.watch import guarded
from learners.group import LearnerGroup
from tailor_rl.chat import ChatTokens
from tailor_rl.concurrency import together
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import EngineError, LearnerError
from tailor_rl.sync import sync_weights
from tailor_rl.types import Batch, Problem, Sampling

PROBLEM = Problem(
    id="t:train:0", prompt="2+2=", answer="4", split="train", difficulty=1, metadata={}
)
pytestmark = pytest.mark.timeout(300)  # a crew starts in 15 s, on a busy machine in a minute
SAMPLING = Sampling(temperature=1.0, max_tokens=8)
CANARY = 1e-4


@pytest.fixture(scope="module", autouse=True)
def ray_for_all() -> Iterator[None]:
    share = Share(cpus=0.5, gpus=0)
    with ray_session("local", Plan(engines=2, engine=share, ranks=2, rank=share, teachers=0)):
        yield


class Parts:
    """What the pipeline would be handed, and the processes behind it."""

    def __init__(self, cfg: RunConfig, crew: Crew, student: Path) -> None:
        self.crew = crew
        self.pool = EnginePool(
            [EngineHandle(str(i), actor) for i, actor in enumerate(crew.engines)],
            ChatTokens(student),
            max_model_len=cfg.rollout.max_model_len,
            stall_s=60,
            sync_timeout_s=60,
        )
        self.learner = LearnerGroup(
            [RankHandle(actor) for actor in crew.ranks],
            sft=cfg.sft,
            rl=cfg.rl,
        )


@asynccontextmanager
async def parts(student: Path, *, engines: int, ranks: int, zero: int) -> AsyncIterator[Parts]:
    cfg = RunConfig.model_validate(
        {
            "student": str(student),
            "task": {"name": "knights"},
            "initialisation": "none",
            "rollout": {"engines": engines, "kv_cache_gib": 0.1, "max_model_len": 128},
            "learner": {"ranks": ranks, "zero_stage": zero},
            "sft": {"learning_rate": 1e-2, "schedule": "constant"},
        }
    )
    plan = make_plan(cfg)
    check_fits(plan, cluster_nodes())
    crew = hire(plan, cfg, reserve=False)
    try:
        await together(
            [
                build_engines(crew, cfg, student=str(student)),
                build_ranks(crew, cfg, student=str(student)),
            ]
        )
        yield Parts(cfg, crew, student)
    finally:
        await crew.dismiss(print)


def batch(*, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(3, 200, size=(4, 16), dtype=np.int64)
    mask = np.ones_like(tokens, dtype=bool)
    mask[:, :4] = False
    zeros = np.zeros(tokens.shape, dtype=np.float32)
    lengths = np.full(4, 16, dtype=np.int64)
    return Batch(tokens, mask, rollout_logprobs=zeros, advantages=zeros, lengths=lengths)


async def pid_of(actor: object) -> int:
    return int((await actor.place()).pid)  # type: ignore[attr-defined]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def left_of(pids: list[int]) -> list[str]:
    """The command lines of those that still run after a moment's grace."""
    for _ in range(200):
        pids = [pid for pid in pids if not gone(pid)]
        if not pids:
            break
        await asyncio.sleep(0.1)
    return [f"{pid}: {Path(f'/proc/{pid}/cmdline').read_text()}" for pid in pids]


@pytest.mark.parametrize("zero", [2, 3])
def test_weights_of_two_ranks_reach_two_engines_and_nothing_is_left_behind(
    student: Path, zero: int
) -> None:
    async def law() -> list[int]:
        async with parts(student, engines=2, ranks=2, zero=zero) as run:
            await run.learner.begin_sft(num_steps=4)
            before = await run.learner.version()
            losses = [(await run.learner.sft_step(batch(seed=0))).metrics["loss"] for _ in range(3)]
            assert losses[-1] < losses[0] - 0.1
            version = await sync_weights(run.learner, run.pool, timeout_s=60)
            assert version.step == 3
            assert version.checksum != before.checksum
            assert [report.version for report in run.pool.last_sync] == [version, version]
            assert all(report.canary_difference <= CANARY for report in run.pool.last_sync)
            groups = await asyncio.gather(
                *(run.pool.generate(PROBLEM, num=2, sampling=SAMPLING, seed=i) for i in range(2))
            )
            rollouts = [rollout for group in groups for rollout in group]
            assert {r.first_version for r in rollouts} == {r.last_version for r in rollouts} == {3}
            stats = [await engine.call("stats") for engine in run.crew.engines]
            assert all(each.generated_tokens > 0 for each in stats)
            return [await pid_of(actor) for actor in run.crew.actors]

    async def with_aftermath() -> None:
        assert await left_of(await law()) == []

    asyncio.run(with_aftermath())


def test_a_killed_rank_is_a_learner_error_that_names_it_within_seconds(student: Path) -> None:
    async def law() -> None:
        async with parts(student, engines=1, ranks=2, zero=2) as run:
            await run.learner.begin_sft(num_steps=1000)

            async def train() -> None:
                while True:
                    await run.learner.sft_step(batch(seed=0))

            training = asyncio.create_task(guarded(train(), run.crew.actors))
            pid = await pid_of(run.crew.ranks[1])
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            with pytest.raises(LearnerError, match=f"learner rank 1 died: its process {pid}"):
                await training
            assert time.monotonic() - killed < 10

    asyncio.run(law())


async def engine_drops_what_nobody_waits_for(run: Parts) -> None:
    """A call of 512 sequences, 128 of them decoded at a time, cancelled while it decodes."""
    long = Sampling(temperature=1.0, max_tokens=100)
    asked = asyncio.create_task(run.pool.generate(PROBLEM, num=512, sampling=long, seed=0))
    engine = run.crew.engines[0]
    async with asyncio.timeout(30):
        while (await engine.call("stats")).sequences_in_flight == 0:
            await asyncio.sleep(0.01)
        asked.cancel()
        while (await engine.call("stats")).sequences_in_flight > 0:
            await asyncio.sleep(0.01)
    assert (await engine.call("stats")).generated_tokens < 512 * 100 / 4


def test_an_engine_drops_what_is_cancelled_and_its_death_is_told_even_when_nobody_waits(
    student: Path,
) -> None:
    async def law() -> None:
        async with parts(student, engines=1, ranks=1, zero=0) as run:
            await engine_drops_what_nobody_waits_for(run)
            idle = asyncio.create_task(guarded(asyncio.sleep(60), run.crew.actors))
            os.kill(await pid_of(run.crew.engines[0]), signal.SIGKILL)
            killed = time.monotonic()
            with pytest.raises(EngineError, match="rollout engine 0 died"):
                await idle
            with pytest.raises(EngineError, match="rollout engine 0 died"):
                await run.pool.generate(PROBLEM, num=1, sampling=SAMPLING, seed=0)
            assert time.monotonic() - killed < 10

    asyncio.run(law())


def test_what_goes_wrong_in_an_actor_arrives_as_one_sentence(tmp_path: Path) -> None:
    async def law() -> None:
        async with parts(tmp_path / "nothing here", engines=1, ranks=1, zero=0):
            pass

    with pytest.raises((EngineError, LearnerError)) as failure:
        asyncio.run(law())
    message = str(failure.value)
    assert "nothing here" in message
    assert "\n" not in message
    assert "RayTaskError" not in message
