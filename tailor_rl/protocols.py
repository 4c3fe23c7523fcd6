"""The boundaries the pipeline talks to. Production hands it Ray-backed implementations, unit tests
hand-written fakes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from tailor_rl.types import (
    Batch,
    Demonstration,
    Draw,
    Evaluation,
    Grade,
    Problem,
    Rollout,
    Sampling,
    Scores,
    Update,
    WeightVersion,
)

if TYPE_CHECKING:
    from tailor_rl.curation.lineage import Lineage

Row = TypeVar("Row")


class Task(Protocol):
    """Problems that any host can make from (split, index), and a grader. Pure Python;
    deterministic.
    """

    name: str

    @property
    def splits(self) -> tuple[str, ...]:
        """("train", "validation", "test", "ood/<axis>", ...), disjoint by construction."""
        ...

    def problem(self, split: str, index: int) -> Problem:
        """The `index`-th problem of a split: the same bytes in every process."""
        ...

    def grade(self, problem: Problem, text: str) -> float:
        """How right an answer is: 1.0 right, 0.0 wrong or unreadable, between them partly right.
        Only 1.0 counts as solved. Raises only on a defect, which is set aside and never scored 0.
        """
        ...


class Grader(Protocol):
    """Grades completions where a grader that hangs, dies or raises harms nobody."""

    async def grade(self, problem: Problem, texts: Sequence[str]) -> list[Grade | None]:
        """One grade a text, in order; None where the grader failed: set aside, never scored 0.

        Raises GradeError when too many failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """One chat completion to buy. Two requests with equal fields are the same purchase."""

    purpose: str  # "discover", "demonstrate", "trial", "guard", "judge": the ledger's column
    system: str
    prompt: str
    temperature: float
    max_tokens: int
    sample: int = 0  # tells apart repeated draws of the same prompt
    schema: str = ""  # JSON schema of the answer, sent to endpoints that take one
    teacher: str = ""  # by its name in the recipe; empty: drawn by the teachers' shares


@dataclass(frozen=True, slots=True)
class TeacherReply:
    text: str
    model: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    paid: bool  # False when the answer came from the journal of an earlier run
    retries: int = 0  # tries of this purchase that failed before this one
    seconds: float = 0.0  # from its turn to its answer
    cost: float = 0.0  # money, by the prices of the recipe


@dataclass(frozen=True, slots=True)
class TeacherSpent:
    """What one purpose has cost so far, over the whole life of the purchase book."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    unusable: int  # without a text: paid for, or a question that was refused
    sent_again: int  # requests repeated after a kill: at most this many were paid for twice
    retries: int = 0
    seconds: float = 0.0  # of all requests, though many waited at the same time
    cost: float = 0.0  # money, by the prices of the day


class Teacher(Protocol):
    """Buys completions: many at a time, each at most once in the life of a run folder."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Raises UnusableAnswer where no text came, BudgetSpent where the budget forbids it, else
        TeacherError.
        """
        ...


class BookedTeacher(Teacher, Protocol):
    """A teacher that knows what it was paid for, whoever asked and whether or not they waited."""

    async def spent(self) -> Mapping[str, TeacherSpent]:
        """By purpose, over the whole life of the purchase book."""
        ...


class WeightChannel(Protocol):
    """Where a learner and the rollout engines meet for one weight sync. The core never looks
    inside.
    """

    async def offer(self, payload: Any) -> None: ...

    async def accept(self) -> Any: ...


class RolloutPool(Protocol):
    """N rollout engines behind one queue."""

    async def generate(
        self,
        problem: Problem,
        *,
        num: int,
        sampling: Sampling,
        seed: int,
        draws: Sequence[Draw] | None = None,
    ) -> tuple[Rollout, ...]:
        """`num` completions of one problem. Sample i draws with the seed (seed, i).

        `draws`, one a completion, says what each begins with and how it is drawn; the k-th plain
        one is the k-th without `draws`. `max_tokens` counts given tokens too.
        """
        ...

    async def receive(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Every engine pauses, loads, verifies (checksum, version, canary), resets its prefix
        cache, resumes.
        """
        ...


class Learner(Protocol):
    """M learner ranks that act as one."""

    async def begin_sft(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule for supervised fine-tuning."""
        ...

    async def begin_rl(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule for RL; the weights at this moment are the KL reference, if
        one is used.
        """
        ...

    async def sft_step(self, batch: Batch) -> Update: ...

    async def sft_loss(self, batch: Batch) -> float:
        """Mean cross-entropy of the trained tokens, in nats; nothing is learnt."""
        ...

    async def sft_features(self, batch: Batch) -> np.ndarray:
        """What the SFT method's `features` says of each sequence: float32 (B, F)."""
        ...

    async def logprobs_of(self, folder: Path | None, batch: Batch) -> np.ndarray:
        """Log-probabilities of the trained tokens under the model in `folder` (None: the student's
        own, before any training), at temperature 1: float32 (B, T).
        """
        ...

    async def score(self, batch: Batch) -> Scores:
        """Before an RL step: see `Scores`. Nothing is learnt."""
        ...

    async def policy_step(self, batch: Batch, *, kl_coefficient: float = 0.0) -> Update:
        """`kl_coefficient` is that of the loss: 0 where KL is a part of the reward, or absent."""
        ...

    async def version(self) -> WeightVersion:
        """Name (step, checksum) of the weights held now."""
        ...

    async def send(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Offer the weights of `version` on the channel, with checksums and canary
        log-probabilities.
        """
        ...

    async def save(self, folder: Path) -> None:
        """Write model (Hugging Face safetensors), optimizer, schedule and random state into an
        empty folder.
        """
        ...

    async def restore(self, folder: Path) -> str | None:
        """Go on from a folder written by `save`, optimizer and all; after begin_sft or begin_rl.

        Returns a sentence on what keeps the run from going on bit for bit, such as another number
        of ranks; None: nothing does.
        """
        ...

    async def load(self, folder: Path | None, *, step: int) -> None:
        """Take over the weights of a Hugging Face folder (None: the student's own) under the name
        of `step`; no stage has begun afterwards.
        """
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint folder and the pipeline's own state (JSON) that was saved with it."""

    step: int
    folder: Path
    state: Mapping[str, Any]


class Journal(Protocol):
    """The run folder as the pipeline sees it: what is finished, measured and spent. Nothing is held
    only in memory.
    """

    def finished(self, stage: str) -> bool:
        """Whether `finish(stage)` was ever called for this run folder."""
        ...

    def start(self, stage: str) -> None:
        """A stage begins (or goes on after a kill): shown, and its seconds are counted until
        `finish`.
        """
        ...

    def finish(self, stage: str) -> None: ...

    def write(self, name: str, rows: Sequence[Any]) -> None:
        """Replace NAME.jsonl by these dataclass rows, atomically."""
        ...

    def append(self, name: str, row: Any) -> None:
        """Add one dataclass row (or a JSON-able mapping) to NAME.jsonl; survives a kill right after
        the call.
        """
        ...

    def read(self, name: str, kind: type[Row]) -> list[Row]:
        """The rows of NAME.jsonl as dataclasses; [] where there is no such file. A torn last line
        is dropped.
        """
        ...

    def rewind(self, name: str, *, stage: str, step: int) -> None:
        """Drop rows of NAME.jsonl whose "stage" is `stage` and whose "step" is beyond `step`
        (before RL goes on).
        """
        ...

    def rewind_ledger(self, stage: str, checkpoint: Checkpoint | None) -> None:
        """What the stage, and validation within it, spent after a checkpoint (None: at all) moves
        to the ledger's row "STAGE_lost": it will be spent again.
        """
        ...

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """One row of metrics.jsonl, and the live screen."""
        ...

    def evaluation(self, row: Evaluation) -> None:
        """One row of evaluations.jsonl, and the live screen."""
        ...

    def spent(self, stage: str) -> Mapping[str, float]:
        """What a stage has spent so far, in all sittings."""
        ...

    def record(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace the file NAME, one JSON object, atomically."""
        ...

    def page(self, name: str, text: str) -> None:
        """Replace NAME.md, a page for people, atomically."""
        ...

    def publish(self, demonstrations: Sequence[Demonstration], lineage: Lineage) -> None:
        """The SFT set for others: lineage.jsonl, and the folder `dataset` of the library
        `datasets`, with a card.
        """
        ...

    def spend(self, stage: str, amounts: Mapping[str, float]) -> None:
        """Add to ledger.json: problems, rollouts, generated_tokens, learner_tokens,
        teacher_requests, ...
        """
        ...

    def settle(self, stage: str, amounts: Mapping[str, float]) -> None:
        """These are what the stage has spent in all: they replace what `spend` made of them. For
        sums that are known as a whole, so that a stage made again after a kill counts them once.
        """
        ...

    def progress(self, done: int, total: int, note: str = "") -> None:
        """The live screen's bar for the stage that was started last; no file."""
        ...

    def log(self, line: str) -> None:
        """One line for the person who watches; no file."""
        ...

    def nested(self, name: str) -> Journal:
        """The journal of a run inside this one, in the folder NAME: stages, ledger, checkpoints of
        its own.
        """
        ...

    async def checkpoint(
        self, name: str, *, step: int, learner: Learner, state: Mapping[str, Any]
    ) -> Path:
        """checkpoints/NAME: written beside, with a manifest of sizes and hashes, synced, then
        renamed.
        """
        ...

    def latest_checkpoint(self, prefix: str) -> Checkpoint | None:
        """The highest step among checkpoints whose name starts with `prefix` and whose manifest
        verifies.
        """
        ...

    def named_checkpoint(self, name: str) -> Checkpoint | None:
        """checkpoints/NAME, if it is there and its manifest verifies."""
        ...

    def prune_checkpoints(
        self, prefix: str, *, keep: int, spare: Collection[int | None] = ()
    ) -> None:
        """Keep the `keep` highest steps of the prefix, and those of `spare`."""
        ...


class Screen(Protocol):
    """What a person watches: a live rich screen on a terminal, plain lines elsewhere, nothing in
    tests.
    """

    def stage(self, name: str) -> None: ...

    def progress(self, done: int, total: int, note: str) -> None: ...

    def metrics(self, stage: str, step: int, metrics: Mapping[str, float]) -> None: ...

    def evaluation(self, row: Evaluation) -> None: ...

    def log(self, line: str) -> None: ...


class Tokens(Protocol):
    """Text to token ids and back, with the student's own chat template."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]: ...

    def encode_completion(self, text: str) -> tuple[int, ...]:
        """Ids of the assistant's turn, ending with the end-of-turn token."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str: ...
