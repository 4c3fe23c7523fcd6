"""N rollout engines behind one queue: routing, token ids in and out, one weight sync for all.

Knows nothing about vLLM or Ray: an engine is an `EngineHandle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from actors.handles import EngineHandle, RawRollout, ReceiveReport
from tailor_rl.concurrency import together
from tailor_rl.errors import ConfigError, EngineError, WeightSyncError
from tailor_rl.protocols import Tokens, WeightChannel
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Draw, Problem, Rollout, Sampling, WeightVersion

# An engine keeps its limits itself and says what it was doing. The pool waits this much longer,
# so that its own, less telling error speaks only when the engine no longer answers at all.
GRACE_S = 10.0


class EnginePool:
    """A RolloutPool. Rollouts of one problem go to one engine: they share the prompt's cache."""

    def __init__(
        self,
        engines: Sequence[EngineHandle],
        tokens: Tokens,
        *,
        max_model_len: int,
        stall_s: float,
        sync_timeout_s: float,
    ) -> None:
        if not engines:
            raise ConfigError("a rollout pool needs at least one engine; set rollout.engines >= 1")
        self._engines = tuple(engines)
        self._tokens = tokens
        self._max_model_len = max_model_len
        self._stall_s = stall_s
        self._sync_timeout_s = sync_timeout_s
        self._sequences = [0] * len(self._engines)  # in flight, of each engine
        self._spent = {"rollouts": 0, "prompt_tokens": 0, "generated_tokens": 0}
        self._reports: tuple[ReceiveReport, ...] = ()

    @property
    def spent(self) -> Mapping[str, int]:
        """Since the start. Prompt tokens count once a group: its rollouts share them."""
        return dict(self._spent)

    @property
    def last_sync(self) -> tuple[ReceiveReport, ...]:
        """What each engine reported of the latest weight sync, in the order of the engines."""
        return self._reports

    async def generate(
        self,
        problem: Problem,
        *,
        num: int,
        sampling: Sampling,
        seed: int,
        draws: Sequence[Draw] | None = None,
    ) -> tuple[Rollout, ...]:
        """`num` rollouts of one problem from the engine with the fewest sequences in flight.

        Raises ConfigError for a prompt that leaves no room for `max_tokens`, or a prefix that
        leaves none of them, and EngineError naming the engine when it fails or stands
        still.
        """
        prompt_ids = self._encode(problem, max_tokens=sampling.max_tokens)
        draws = draws or [Draw()] * num
        assert len(draws) == num, (len(draws), num)
        places = _places(draws)
        for draw in places:
            _check_room(draw, problem, max_tokens=sampling.max_tokens)
        index = self._sequences.index(min(self._sequences))
        self._sequences[index] += num
        try:
            raw = await together(
                [
                    self._drawn(
                        self._engines[index],
                        prompt_ids,
                        draw,
                        num=len(where),
                        sampling=sampling,
                        # A plain draw has the seed that it would have by itself.
                        seed=seed if draw == Draw() else derive_seed(seed, "draw", where[0]),
                    )
                    for draw, where in places.items()
                ]
            )
        finally:
            self._sequences[index] -= num
        self._spent["prompt_tokens"] += len(prompt_ids)
        rollouts: dict[int, Rollout] = {}
        for (draw, where), completions in zip(places.items(), raw, strict=True):
            self._spent["rollouts"] += len(completions)
            self._spent["generated_tokens"] += sum(len(each.token_ids) for each in completions)
            made = (self._rollout(problem.id, prompt_ids, draw, each) for each in completions)
            rollouts |= zip(where, made, strict=True)
        return tuple(rollouts[place] for place in sorted(rollouts))

    async def receive(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Every engine receives and verifies `version`; WeightSyncError names each that failed.

        All engines are heard before the error is raised: none is left in the middle of a load.
        """
        try:
            async with asyncio.timeout(self._sync_timeout_s):
                reference = await channel.accept()
        except TimeoutError as error:
            raise WeightSyncError(
                f"weight version {version.step}: the learner offered nothing within "
                f"{self._sync_timeout_s:g} s (phase: accept)"
            ) from error
        results = await asyncio.gather(
            *(self._receive(engine, version, reference) for engine in self._engines),
            return_exceptions=True,
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise WeightSyncError("; ".join(str(failure) for failure in failures)) from failures[0]
        self._reports = tuple(result for result in results if isinstance(result, ReceiveReport))

    def _encode(self, problem: Problem, *, max_tokens: int) -> tuple[int, ...]:
        prompt_ids = tuple(self._tokens.encode_prompt(problem.prompt))
        if len(prompt_ids) + max_tokens > self._max_model_len:
            raise ConfigError(
                f"the prompt of {problem.id} has {len(prompt_ids)} tokens, which with max_tokens="
                f"{max_tokens} is more than rollout.max_model_len={self._max_model_len}; raise "
                f"max_model_len to {len(prompt_ids) + max_tokens} or lower max_tokens"
            )
        return prompt_ids

    async def _drawn(
        self,
        engine: EngineHandle,
        prompt_ids: tuple[int, ...],
        draw: Draw,
        *,
        num: int,
        sampling: Sampling,
        seed: int,
    ) -> list[RawRollout]:
        """What follows the draw's prefix."""
        own = replace(
            sampling,
            temperature=sampling.temperature if draw.temperature is None else draw.temperature,
            max_tokens=sampling.max_tokens - len(draw.prefix),
        )
        return await self._ask(
            engine, (*prompt_ids, *draw.prefix), num=num, sampling=own, seed=seed
        )

    def _rollout(
        self, problem_id: str, prompt_ids: tuple[int, ...], draw: Draw, raw: RawRollout
    ) -> Rollout:
        """The given tokens and those that were drawn after them, as one completion."""
        token_ids = (*draw.prefix, *raw.token_ids)
        return Rollout(
            problem_id=problem_id,
            prompt_ids=prompt_ids,
            token_ids=token_ids,
            rollout_logprobs=(*(0.0 for _ in draw.prefix), *raw.logprobs),
            text=self._tokens.decode(token_ids) if draw.prefix else raw.text,
            finish_reason=raw.finish_reason,
            first_version=raw.first_version,
            last_version=raw.last_version,
            given=len(draw.prefix),
        )

    async def _ask(
        self,
        engine: EngineHandle,
        prompt_ids: Sequence[int],
        *,
        num: int,
        sampling: Sampling,
        seed: int,
    ) -> list[RawRollout]:
        answer = asyncio.create_task(
            engine.generate(
                prompt_ids,
                num=num,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_tokens,
                seed=seed,
                stall_s=self._stall_s,
            )
        )
        try:
            while not answer.done():
                done, _ = await asyncio.wait([answer], timeout=self._stall_s + GRACE_S)
                if not done:
                    await _check_alive(engine)
            return answer.result()
        finally:
            answer.cancel()

    async def _receive(
        self, engine: EngineHandle, version: WeightVersion, reference: Any
    ) -> ReceiveReport:
        timeout_s = self._sync_timeout_s
        where = f"weight version {version.step} on rollout engine {engine.name}"
        try:
            async with asyncio.timeout(timeout_s + GRACE_S):
                report = await engine.receive(reference, deadline_s=timeout_s)
        except TimeoutError as error:
            raise WeightSyncError(
                f"{where}: no answer within {timeout_s + GRACE_S:g} s (phase: receive)"
            ) from error
        except Exception as error:
            raise WeightSyncError(f"{where}: {error}") from error
        if (report.version.step, report.version.checksum) != (version.step, version.checksum):
            raise WeightSyncError(
                f"{where}: it adopted step {report.version.step}, checksum "
                f"{report.version.checksum}, instead of checksum {version.checksum} (phase: adopt)"
            )
        return report


async def _check_alive(engine: EngineHandle) -> None:
    """An engine that answers keeps the watch over its own steps, long as they may take."""
    try:
        async with asyncio.timeout(GRACE_S):
            await engine.health()
    except TimeoutError as error:
        raise EngineError(
            f"rollout engine {engine.name} no longer answers: it did not say within {GRACE_S:g} s "
            "whether it lives"
        ) from error


def _places(draws: Sequence[Draw]) -> dict[Draw, list[int]]:
    """Which completions are drawn alike: they are one question to the engine."""
    places: dict[Draw, list[int]] = {}
    for place, draw in enumerate(draws):
        places.setdefault(draw, []).append(place)
    return places


def _check_room(draw: Draw, problem: Problem, *, max_tokens: int) -> None:
    if len(draw.prefix) >= max_tokens:
        raise ConfigError(
            f"{len(draw.prefix)} tokens were given to begin an answer to {problem.id} with, which "
            f"leaves none of max_tokens={max_tokens} to draw: give fewer or raise max_tokens"
        )
