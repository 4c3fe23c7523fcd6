"""The boundaries the pipeline talks to. Production hands it Ray-backed implementations, unit tests hand-written fakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tailor_rl.types import Attempt, Batch, Problem, Rollout, Sampling, Update, WeightVersion


class Task(Protocol):
    """Problems that any host can make from (split, index), and a grader. Pure Python; deterministic."""

    name: str

    @property
    def splits(self) -> tuple[str, ...]:
        """("train", "validation", "test", "ood/<axis>", ...), disjoint by construction."""
        ...

    def problem(self, split: str, index: int) -> Problem:
        """The `index`-th problem of a split: the same bytes in every process."""
        ...

    def grade(self, problem: Problem, text: str) -> float:
        """Binary outcome reward of an answer: 1.0 right, 0.0 wrong or unreadable. Raises only on a defect."""
        ...

    def rule_based_trace(self, problem: Problem) -> str:
        """The task's own solver writes the trace (the "rule-based demonstration" baseline)."""
        ...


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """One chat completion to buy. Two requests with equal fields are the same purchase."""

    purpose: str  # "discover" or "demonstrate": the ledger's column
    system: str
    prompt: str
    temperature: float
    max_tokens: int
    sample: int = 0  # tells apart repeated draws of the same prompt


@dataclass(frozen=True, slots=True)
class TeacherReply:
    text: str
    model: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    paid: bool  # False when the answer came from the journal of an earlier run


class Teacher(Protocol):
    """Buys completions: many at a time, each at most once in the life of a run folder."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: TeacherRequest) -> TeacherReply: ...


class WeightChannel(Protocol):
    """Where a learner and the rollout engines meet for one weight sync. The core never looks inside."""

    async def offer(self, payload: Any) -> None: ...

    async def accept(self) -> Any: ...


class RolloutPool(Protocol):
    """N rollout engines behind one queue."""

    async def generate(
        self, problem: Problem, *, num: int, sampling: Sampling, seed: int
    ) -> tuple[Rollout, ...]:
        """`num` completions of one problem. Sample i draws with a generator seeded from (seed, i)."""
        ...

    async def receive(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Every engine pauses, loads, verifies (checksum, version, canary), resets its prefix cache, resumes."""
        ...


class Learner(Protocol):
    """M learner ranks that act as one."""

    async def begin_sft(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule for supervised fine-tuning."""
        ...

    async def begin_rl(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule for RL; the weights at this moment are the KL reference, if one is used."""
        ...

    async def sft_step(self, batch: Batch) -> Update: ...

    async def policy_step(self, batch: Batch) -> Update: ...

    async def version(self) -> WeightVersion:
        """Name (step, checksum) of the weights held now."""
        ...

    async def send(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Offer the weights of `version` on the channel, with checksums and canary log-probabilities."""
        ...

    async def save(self, folder: Path) -> None:
        """Write model (Hugging Face safetensors), optimizer, schedule and random state into an empty folder."""
        ...

    async def restore(self, folder: Path) -> None:
        """Go on from a folder written by `save`, optimizer and all; call after begin_sft/begin_rl."""
        ...


class Tokens(Protocol):
    """Text to token ids and back, with the student's own chat template."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]: ...

    def encode_completion(self, text: str) -> tuple[int, ...]:
        """Ids of the assistant's turn, ending with the end-of-turn token."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str: ...


__all__ = [
    "Attempt",
    "Learner",
    "RolloutPool",
    "Task",
    "Teacher",
    "TeacherReply",
    "TeacherRequest",
    "Tokens",
    "WeightChannel",
]
