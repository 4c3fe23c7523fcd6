"""EnginePool over fake engines: routing, counting, and errors that name the engine and the fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from actors.handles import RawRollout, ReceiveReport
from actors.pool import EnginePool
from tailor_rl.errors import ConfigError, EngineError, WeightSyncError
from tailor_rl.seeds import derive_seed
from tailor_rl.sync import MeetingChannel
from tailor_rl.types import Draw, Problem, Sampling, WeightVersion

SAMPLING = Sampling(temperature=1.0, max_tokens=4)
VERSION = WeightVersion(step=3, checksum="abc")


class CharTokens:
    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return tuple(ord(c) for c in prompt)

    def encode_completion(self, text: str) -> tuple[int, ...]:
        return (*self.encode_prompt(text), 0)

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(i) for i in token_ids if i)


class FakeEngine:
    """Answers when `gate` opens: sample i is "ab" with seed + i as its second log-probability."""

    def __init__(
        self, name: str, *, error: Exception | None = None, adopts: WeightVersion = VERSION
    ):
        self.name = name
        self.error = error
        self.adopts = adopts
        self.gate = asyncio.Event()
        self.gate.set()
        self.lives = asyncio.Event()
        self.lives.set()
        self.asked_after = 0
        self.asked: list[dict[str, Any]] = []
        self.received: list[Any] = []

    async def generate(self, prompt_ids: Sequence[int], **how: Any) -> list[RawRollout]:
        self.asked.append({"prompt_ids": tuple(prompt_ids), **how})
        await self.gate.wait()
        if self.error:
            raise self.error
        return [
            RawRollout((97, 98, 0), (-1.0, -float(how["seed"] + i), -0.5), "ab", "stop", 2, 3)
            for i in range(how["num"])
        ]

    async def health(self) -> None:
        self.asked_after += 1
        await self.lives.wait()

    async def receive(self, reference: Any, *, deadline_s: float) -> ReceiveReport:
        self.received.append(reference)
        await self.gate.wait()
        if self.error:
            raise self.error
        return ReceiveReport(self.adopts, seconds=0.1, paused_s=0.1, canary_difference=1e-6)


def problem(prompt: str = "why") -> Problem:
    return Problem(id="t:train:0", prompt=prompt, answer="", split="train", difficulty=1)


def with_pool(
    engines: list[FakeEngine],
    scenario: Callable[[EnginePool], Coroutine[Any, Any, Any]],
    *,
    stall_s: float = 5,
) -> Any:
    pool = EnginePool(engines, CharTokens(), max_model_len=16, stall_s=stall_s, sync_timeout_s=0.2)
    return asyncio.run(scenario(pool))


async def sync(pool: EnginePool) -> None:
    channel = MeetingChannel()
    await asyncio.gather(channel.offer("reference"), pool.receive(VERSION, channel))


def test_a_rollout_carries_its_problem_the_prompt_and_what_the_engine_said() -> None:
    engine = FakeEngine("0")

    async def scenario(pool: EnginePool) -> Any:
        return await pool.generate(problem(), num=2, sampling=SAMPLING, seed=5)

    first, second = with_pool([engine], scenario)
    assert (first.problem_id, first.prompt_ids) == ("t:train:0", tuple(map(ord, "why")))
    assert (first.token_ids, first.text, first.finish_reason) == ((97, 98, 0), "ab", "stop")
    assert (first.rollout_logprobs, second.rollout_logprobs) == ((-1, -5, -0.5), (-1, -6, -0.5))
    assert (first.first_version, first.last_version) == (2, 3)
    assert engine.asked[0] == {
        "prompt_ids": first.prompt_ids,
        "num": 2,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 4,
        "seed": 5,
        "stall_s": 5,
    }


def test_a_draw_continues_what_is_given_and_both_are_the_completion() -> None:
    engine = FakeEngine("0")
    draws = [Draw(), Draw(prefix=(120, 121)), Draw(), Draw(temperature=0.5)]

    async def scenario(pool: EnginePool) -> Any:
        rollouts = await pool.generate(problem(), num=4, sampling=SAMPLING, seed=5, draws=draws)
        return rollouts, pool.spent

    (first, given, second, cool), spent = with_pool([engine], scenario)
    assert (given.token_ids, given.text, given.given) == ((120, 121, 97, 98, 0), "xyab", 2)
    assert given.prompt_ids == first.prompt_ids
    assert given.rollout_logprobs[:3] == (0.0, 0.0, -1.0)
    assert (given.num_drawn, first.num_drawn, spent["generated_tokens"]) == (3, 3, 12)
    # Plain ones are drawn as they are without the others; those have seeds of their own.
    assert [r.rollout_logprobs[1] for r in (first, second)] == [-5, -6]
    plain, after, other = engine.asked
    assert (plain["num"], plain["seed"], plain["max_tokens"]) == (2, 5, 4)
    assert (after["num"], after["seed"], after["max_tokens"]) == (1, derive_seed(5, "draw", 1), 2)
    assert after["prompt_ids"] == (*first.prompt_ids, 120, 121)
    assert (other["temperature"], other["max_tokens"], cool.given) == (0.5, 4, 0)


def test_a_prefix_must_leave_something_to_draw() -> None:
    async def scenario(pool: EnginePool) -> Any:
        draws = [Draw(prefix=(1, 2, 3, 4))]
        return await pool.generate(problem(), num=1, sampling=SAMPLING, seed=0, draws=draws)

    with pytest.raises(ConfigError, match=r"4 tokens were given .* none of max_tokens=4"):
        with_pool([FakeEngine("0")], scenario)


def test_a_group_goes_to_the_engine_with_the_fewest_sequences_in_flight() -> None:
    engines = [FakeEngine("0"), FakeEngine("1")]

    async def scenario(pool: EnginePool) -> None:
        for engine in engines:
            engine.gate.clear()
        running = []
        for num in (8, 2, 2, 2, 4):
            running.append(
                asyncio.create_task(pool.generate(problem(), num=num, sampling=SAMPLING, seed=0))
            )
            await asyncio.sleep(0)
        for engine in engines:
            engine.gate.set()
        await asyncio.gather(*running)
        await pool.generate(problem(), num=1, sampling=SAMPLING, seed=0)  # both are idle again

    with_pool(engines, scenario)
    assert [call["num"] for call in engines[0].asked] == [8, 1]
    assert [call["num"] for call in engines[1].asked] == [2, 2, 2, 4]


def test_a_failed_group_leaves_no_load_behind_and_is_not_counted() -> None:
    engines = [FakeEngine("0", error=EngineError("step failed")), FakeEngine("1")]

    async def scenario(pool: EnginePool) -> Any:
        for _ in range(3):
            with pytest.raises(EngineError, match="step failed"):
                await pool.generate(problem(), num=4, sampling=SAMPLING, seed=0)
        return pool.spent

    spent = with_pool(engines, scenario)
    assert len(engines[0].asked) == 3
    assert set(spent.values()) == {0}


def test_spent_counts_rollouts_their_tokens_and_one_prompt_a_group() -> None:
    async def scenario(pool: EnginePool) -> Any:
        await pool.generate(problem("why"), num=4, sampling=SAMPLING, seed=0)
        await pool.generate(problem("how?"), num=1, sampling=SAMPLING, seed=0)
        return pool.spent

    spent = with_pool([FakeEngine("0")], scenario)
    assert spent == {"rollouts": 5, "prompt_tokens": 7, "generated_tokens": 15}


def test_a_prompt_without_room_for_its_answer_is_refused_before_any_engine_is_asked() -> None:
    engine = FakeEngine("0")

    async def scenario(pool: EnginePool) -> None:
        await pool.generate(problem("x" * 12), num=1, sampling=SAMPLING, seed=0)  # 12 + 4 = 16
        with pytest.raises(ConfigError, match=r"13 tokens.*max_model_len to 17"):
            await pool.generate(problem("x" * 13), num=1, sampling=SAMPLING, seed=0)

    with_pool([engine], scenario)
    assert len(engine.asked) == 1


def test_every_engine_receives_what_the_channel_carried() -> None:
    engines = [FakeEngine("0"), FakeEngine("1")]

    async def scenario(pool: EnginePool) -> Any:
        await sync(pool)
        return pool.last_sync

    reports = with_pool(engines, scenario)
    assert [engine.received for engine in engines] == [["reference"], ["reference"]]
    assert [report.version for report in reports] == [VERSION, VERSION]


def test_a_failed_sync_names_the_engine_after_all_engines_were_heard() -> None:
    slow = FakeEngine("slow")
    broken = FakeEngine("broken", error=WeightSyncError("checksum (phase: verify)"))

    async def scenario(pool: EnginePool) -> bool:
        slow.gate.clear()
        running = asyncio.create_task(sync(pool))
        await asyncio.sleep(0.02)
        heard_all = not running.done()
        slow.gate.set()
        with pytest.raises(WeightSyncError, match="version 3 on rollout engine broken: checksum"):
            await running
        return heard_all

    assert with_pool([slow, broken], scenario)


def test_an_engine_that_adopts_other_weights_fails_the_sync() -> None:
    other = FakeEngine("0", adopts=WeightVersion(step=3, checksum="xyz"))
    with pytest.raises(WeightSyncError, match=r"engine 0: it adopted step 3, checksum\s+xyz"):
        with_pool([other], sync)


def test_an_engine_with_much_to_do_is_asked_whether_it_lives_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.pool.GRACE_S", 0.05)
    engine = FakeEngine("0")
    engine.gate.clear()

    async def scenario(pool: EnginePool) -> int:
        asyncio.get_running_loop().call_later(0.4, engine.gate.set)
        return len(await pool.generate(problem(), num=2, sampling=SAMPLING, seed=5))

    assert with_pool([engine], scenario, stall_s=0.05) == 2
    assert engine.asked_after >= 2


def test_an_engine_that_does_not_even_say_that_it_lives_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.pool.GRACE_S", 0.05)
    engine = FakeEngine("7")
    engine.gate.clear()
    engine.lives.clear()

    async def scenario(pool: EnginePool) -> None:
        await pool.generate(problem(), num=2, sampling=SAMPLING, seed=5)

    with pytest.raises(EngineError, match="rollout engine 7 no longer answers"):
        with_pool([engine], scenario, stall_s=0.05)


def test_a_learner_that_never_offers_is_named_by_phase() -> None:
    async def scenario(pool: EnginePool) -> None:
        await pool.receive(VERSION, MeetingChannel())

    with pytest.raises(WeightSyncError, match=r"offered nothing within 0.2 s \(phase: accept\)"):
        with_pool([FakeEngine("0")], scenario)


def test_a_pool_without_engines_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(ConfigError, match=r"rollout.engines >= 1"):
        EnginePool([], CharTokens(), max_model_len=8, stall_s=1, sync_timeout_s=1)
