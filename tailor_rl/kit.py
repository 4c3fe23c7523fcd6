"""A run as its stages and initialisations see it: every part, handed on as one value."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError
from tailor_rl.protocols import (
    BookedTeacher,
    Grader,
    Journal,
    Learner,
    RolloutPool,
    Task,
    Tokens,
)
from tailor_rl.sync import sync_weights
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.train_problems import warm_start_problems
from tailor_rl.types import Demonstration, Problem, WeightVersion


class Train(Protocol):
    """SFT on demonstrations and, if `rl`, RL after it; the policy stays in learner and engines."""

    def __call__(
        self, kit: Kit, demonstrations: Sequence[Demonstration], *, rl: bool
    ) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Kit:
    """A run as an initialisation sees it.

    `learner` is None where only the set is wanted (`tailor demonstrate`): an initialisation that
    trains on the way asks for `trainer`, which says so.
    """

    cfg: RunConfig
    task: Task
    teacher: BookedTeacher
    pool: RolloutPool
    grader: Grader
    learner: Learner | None
    tokens: Tokens
    journal: Journal
    train: Train

    @property
    def queries(self) -> list[Problem]:
        """The problems to demonstrate: the same for every initialisation of a recipe."""
        return warm_start_problems(self.task, self.cfg.demonstrations.num_problems)

    @property
    def prompts(self) -> Prompts:
        return Prompts(self.cfg.prompts.folder)

    @property
    def trainer(self) -> Learner:
        if self.learner is None:
            raise ConfigError(
                f"initialisation = {self.cfg.initialisation!r} trains the student on the way, which"
                " needs learners: use `tailor run`"
            )
        return self.learner

    async def sync(self) -> WeightVersion:
        """Bring every engine to the weights that the learner holds now, and return their name."""
        return await sync_weights(
            self.trainer, self.pool, timeout_s=self.cfg.rollout.sync_timeout_s
        )

    def inside(self, name: str, cfg: RunConfig) -> Kit:
        """The same parts for a run within this one, in the folder `name`, by another recipe."""
        return replace(self, cfg=cfg, journal=self.journal.nested(name))

    async def trained(self) -> None:
        """Write down that the learner holds a policy that was trained on the way.

        When the student comes back its weights get a version of their own after this one, since
        engines take no older one: the same version in every sitting of a run.
        """
        if not self.journal.read("student_again", WeightVersion):
            policy = await self.trainer.version()
            again = WeightVersion(step=policy.step + 1, checksum="")
            self.journal.write("student_again", [again])

    async def back_to_student(self) -> None:
        """Learner and engines hold the student as it was before any training; after `trained`."""
        again = self.journal.read("student_again", WeightVersion)[0]
        await self.trainer.load(None, step=again.step)
        await self.sync()

    async def back_to_student_if_trained(self) -> None:
        """The same in a later sitting, which may find the set finished."""
        if self.journal.read("student_again", WeightVersion):
            await self.back_to_student()
