"""Hand-written stand-ins for everything the pipeline talks to: deterministic, in memory, quick.

A student's whole mind is its `skill`, the chance that an answer is right. A learner's weights have
a checksum over everything it was ever told, so two learners are equal only if they saw the same
data in the same order. Every call passes `Fault.point`, where a test can kill the run.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tailor_rl.errors import GradeError
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.rewards import Rewards
from tailor_rl.protocols import (
    Task,
    TeacherReply,
    TeacherRequest,
    TeacherSpent,
    WeightChannel,
)
from tailor_rl.teachers.prompts import (
    Draft,
    format_primitives,
    parse_demonstrate_prompt,
    parse_discover_prompt,
    parse_habits_prompt,
)
from tailor_rl.types import (
    Batch,
    Draw,
    Grade,
    GradeFailure,
    Problem,
    Rollout,
    Sampling,
    Scores,
    Update,
    WeightVersion,
)

END_OF_TURN = 1


class Killed(Exception):
    pass


class Fault:
    """Raises Killed at the `kill_at`-th point that is passed, and at none where it is None."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.points = 0

    def point(self, name: str) -> None:
        self.points += 1
        if self.points == self.kill_at:
            raise Killed(f"{name}, point {self.points}")


class FakeTask:
    """Additions: the answer is the text."""

    name = "addition"
    splits = ("train", "validation", "test", "ood/large")

    def problem(self, split: str, index: int) -> Problem:
        a, b = index % 97, 3 + index % 89
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=f"{a}+{b}",
            answer=str(a + b),
            split=split,
            difficulty=1,
        )

    def grade(self, problem: Problem, text: str) -> float:
        return float(text == problem.answer)

    def rule_based_trace(self, problem: Problem) -> str:
        return problem.answer


class FakeGrader(CountingGrader):
    """Grades in this process, by the task alone. Failures are allowed as in production: too many
    raise.
    """

    def __init__(self, task: Task | None = None, *, max_error_share: float = 0.0) -> None:
        self.failures: list[GradeFailure] = []
        rewards = Rewards(task or FakeTask(), weights={"correct": 1.0}, functions={})

        async def bench(problem: Problem, texts: Sequence[str]) -> list[Grade | GradeFailure]:
            return [self._graded(rewards, problem, text) for text in texts]

        super().__init__(bench, max_error_share=max_error_share, on_failure=self.failures.append)

    def _graded(self, rewards: Rewards, problem: Problem, text: str) -> Grade | GradeFailure:
        try:
            return rewards(problem, text)
        except GradeError as error:
            return GradeFailure(problem_id=problem.id, text=text, error=str(error))


class FakeTokens:
    """A token is a character."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return tuple(ord(character) for character in prompt)

    def encode_completion(self, text: str) -> tuple[int, ...]:
        return (*self.encode_prompt(text), END_OF_TURN)

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(token_id) for token_id in token_ids if token_id != END_OF_TURN)


class PurchaseBook:
    """What was bought, by request: outlives a teacher, as the file beside a run does."""

    def __init__(self) -> None:
        self.replies: dict[TeacherRequest, TeacherReply] = {}
        self.num_paid = 0


class FakeTeacher:
    """Buys nothing twice. Always right, but for the first draw where `wrong_at_first`."""

    name = "fake-teacher"

    def __init__(
        self,
        book: PurchaseBook | None = None,
        fault: Fault | None = None,
        *,
        wrong_at_first: bool = False,
    ) -> None:
        self.book = book or PurchaseBook()
        self.wrong_at_first = wrong_at_first
        self._fault = fault or Fault()

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        self._fault.point(f"teacher.{request.purpose}")
        await asyncio.sleep(0)
        known = self.book.replies.get(request)
        if known is not None:
            return dataclasses.replace(known, paid=False)
        reply = TeacherReply(
            text=self._answer(request),
            model=self.name,
            finish_reason="stop",
            prompt_tokens=len(request.prompt),
            completion_tokens=7,
            paid=True,
        )
        self.book.replies[request] = reply
        self.book.num_paid += 1
        self._fault.point(f"teacher.{request.purpose} paid")
        return reply

    async def spent(self) -> dict[str, TeacherSpent]:
        bought: dict[str, list[TeacherReply]] = {}
        for request, reply in self.book.replies.items():
            bought.setdefault(request.purpose, []).append(reply)
        return {
            purpose: TeacherSpent(
                requests=len(replies),
                prompt_tokens=sum(reply.prompt_tokens for reply in replies),
                completion_tokens=sum(reply.completion_tokens for reply in replies),
                unusable=0,
                sent_again=0,
            )
            for purpose, replies in bought.items()
        }

    def _answer(self, request: TeacherRequest) -> str:
        if request.purpose == "demonstrate":
            a, b = _problem(request.prompt).split("+")
            wrong = self.wrong_at_first and request.sample == 0
            return str(int(a) + int(b) + wrong)
        asked = parse_discover_prompt(request.prompt)
        words = ["backwards", "columns", "estimates", "checking", "splitting", "carrying"]
        drafts = [
            Draft(
                targets=f"The student never thinks of {word}.",
                name=f"Think with {word}",
                instruction=f"Solve it by {word * 3}, and say so in every {word} line.",
            )
            for word in (words * 2)[request.sample :][: asked.num_primitives]
        ]
        return format_primitives(drafts)


def _problem(prompt: str) -> str:
    try:
        return parse_demonstrate_prompt(prompt).problem
    except ValueError:
        return parse_habits_prompt(prompt)


class FakePool:
    """Rollouts depend on (problem, seed, skill) alone; `hold` keeps a problem from finishing."""

    def __init__(self, *, fault: Fault | None = None, skill: float = 0.5, step: int = 0) -> None:
        self._fault = fault or Fault()
        self.skill = skill
        self.step = step
        self._held: WeightVersion | None = None
        self.started: list[str] = []
        self.num_open = 0
        self.hold: dict[str, asyncio.Event] = {}
        self.fail: set[str] = set()

    async def generate(
        self,
        problem: Problem,
        *,
        num: int,
        sampling: Sampling,
        seed: int,
        draws: Sequence[Draw] | None = None,
    ) -> tuple[Rollout, ...]:
        self._fault.point("pool.generate")
        self.started.append(problem.id)
        self.num_open += 1
        first_version, skill = self.step, self.skill
        rng = np.random.default_rng(seed)
        try:
            for _ in range(int(rng.integers(0, 5))):
                await asyncio.sleep(0)
            if problem.id in self.hold:
                await self.hold[problem.id].wait()
            if problem.id in self.fail:
                raise RuntimeError(f"engine 0 failed at {problem.id}")
        finally:
            self.num_open -= 1
        texts = [problem.answer if rng.random() < skill else "unknown" for _ in range(num)]
        return tuple(
            self._rollout(problem, text, first_version, sampling, draw.prefix)
            for text, draw in zip(texts, draws or [Draw()] * num, strict=True)
        )

    def _rollout(
        self,
        problem: Problem,
        text: str,
        first_version: int,
        sampling: Sampling,
        prefix: tuple[int, ...] = (),
    ) -> Rollout:
        tokens = FakeTokens()
        token_ids = (*prefix, *tokens.encode_completion(text)[len(prefix) :])
        cut = len(token_ids) > sampling.max_tokens
        token_ids = token_ids[: sampling.max_tokens]
        return Rollout(
            problem_id=problem.id,
            prompt_ids=tokens.encode_prompt(problem.prompt),
            token_ids=token_ids,
            rollout_logprobs=tuple(0.0 if i < len(prefix) else -0.5 for i in range(len(token_ids))),
            text=tokens.decode(token_ids),
            finish_reason="length" if cut else "stop",
            first_version=first_version,
            last_version=self.step,
            given=len(prefix),
        )

    async def receive(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Like an engine: no older weights, and no others by the name of those that it has."""
        self._fault.point("pool.receive")
        assert version.step >= self.step, f"step {version.step} is older than {self.step}"
        if self._held is not None and version.step == self._held.step:
            assert version.checksum == self._held.checksum, f"two weights of step {version.step}"
        self._held = version
        self.step, self.skill = await channel.accept()
        assert self.step == version.step


class FakeLearner:
    """Learns a little from every step. `restore` leaves the KL reference of `begin_rl` as it is."""

    def __init__(self, fault: Fault | None = None, *, skill: float = 0.3) -> None:
        self._fault = fault or Fault()
        self.step = 0
        self.skill = self._student = skill
        self.checksum = "student"
        self.reference = ""
        self.stage = ""
        self.sft_sizes: list[int] = []

    async def begin_sft(self, *, num_steps: int) -> None:
        self._fault.point("learner.begin_sft")
        self.stage = f"sft of {num_steps}"

    async def begin_rl(self, *, num_steps: int) -> None:
        self._fault.point("learner.begin_rl")
        self.stage = f"rl of {num_steps}"
        self.reference = self.checksum

    async def sft_step(self, batch: Batch) -> Update:
        self._fault.point("learner.sft_step")
        assert self.stage.startswith("sft")
        self.sft_sizes.append(batch.num_sequences)
        return await self._learn(batch, gain=0.02)

    async def sft_loss(self, batch: Batch) -> float:
        return 1.0 - self.skill

    async def sft_features(self, batch: Batch) -> np.ndarray:
        return batch.lengths[:, None].astype(np.float32)

    async def logprobs_of(self, folder: Path | None, batch: Batch) -> np.ndarray:
        return np.where(batch.mask, np.float32(-1.0), np.float32(0.0))

    async def score(self, batch: Batch) -> Scores:
        self._fault.point("learner.score")
        logprobs = np.where(batch.mask, np.float32(-1.0), np.float32(0.0))
        return Scores(
            learner_logprobs=logprobs,
            entropies=-logprobs,
            reference_logprobs=1.5 * logprobs,
            values=None,
        )

    async def policy_step(self, batch: Batch, *, kl_coefficient: float = 0.0) -> Update:
        self._fault.point("learner.policy_step")
        assert self.stage.startswith("rl")
        return await self._learn(batch, gain=0.01)

    async def _learn(self, batch: Batch, *, gain: float) -> Update:
        await asyncio.sleep(0)
        told = (self.checksum, self.reference, self.stage, *map(np.ndarray.tobytes, _arrays(batch)))
        self.checksum = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        self.step += 1
        self.skill = min(self.skill + gain, 0.9)
        metrics = {"loss": 1.0 / self.step, "grad_norm": 2.0 / self.step, "seconds": 0.5}
        return Update(step=self.step, metrics=metrics)

    async def version(self) -> WeightVersion:
        return WeightVersion(step=self.step, checksum=self.checksum)

    async def send(self, version: WeightVersion, channel: WeightChannel) -> None:
        self._fault.point("learner.send")
        await channel.offer((version.step, self.skill))

    async def load(self, folder: Path | None, *, step: int) -> None:
        self._fault.point("learner.load")
        self.step, self.skill, self.checksum = step, self._student, "student"
        if folder is not None:
            state = json.loads((folder / "learner.json").read_text())
            self.skill, self.checksum = state["skill"], state["checksum"]
        self.stage = self.reference = ""

    async def save(self, folder: Path) -> None:
        self._fault.point("learner.save")
        state = {"step": self.step, "skill": self.skill, "checksum": self.checksum}
        (folder / "learner.json").write_text(json.dumps({**state, "stage": self.stage}))

    async def restore(self, folder: Path) -> str | None:
        self._fault.point("learner.restore")
        state = json.loads((folder / "learner.json").read_text())
        assert state["stage"] == self.stage, "restored in another stage than it was saved in"
        self.step, self.skill = state["step"], state["skill"]
        self.checksum = state["checksum"]
        return None


def _arrays(batch: Batch) -> tuple[np.ndarray, ...]:
    return (batch.tokens, batch.mask, batch.rollout_logprobs, batch.advantages, batch.lengths)
