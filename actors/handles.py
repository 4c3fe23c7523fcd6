"""What passes between the rollout pool and one rollout engine, wherever that engine lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tailor_rl.types import FinishReason, WeightVersion


@dataclass(frozen=True, slots=True)
class RawRollout:
    """One completion as an engine returns it: a Rollout that does not know its problem."""

    token_ids: tuple[int, ...]  # ends with the stop token when finish_reason is "stop"
    logprobs: tuple[float, ...]  # of token_ids, under the distribution they were drawn from
    text: str  # without special tokens
    finish_reason: FinishReason
    first_version: int  # optimizer step of the weights at the first token
    last_version: int


@dataclass(frozen=True, slots=True)
class ReceiveReport:
    """A weight sync that one engine has verified and adopted."""

    version: WeightVersion
    seconds: float  # from the call to adoption
    paused_s: float  # of them, without decoding
    canary_difference: float  # largest |log-probability difference| between learner and engine


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counted since the engine was built."""

    pid: int
    generated_tokens: int
    busy_s: float  # spent inside decoding steps
    sequences_in_flight: int


class EngineHandle(Protocol):
    """One rollout engine.

    `reference` is whatever the weight channel carried: a bundle, or where to get it.
    """

    @property
    def name(self) -> str: ...

    async def generate(
        self,
        prompt_ids: Sequence[int],
        *,
        num: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int,
        stall_s: float,
    ) -> list[RawRollout]: ...

    async def health(self) -> None: ...

    async def receive(self, reference: Any, *, deadline_s: float) -> ReceiveReport: ...
