"""Graded groups for RL, made ahead of the learner by a bounded number of weight versions.

        admit()                   _produce(order), one asyncio task each              take(n)
    order = 0, 1, 2 ...  -->  pool.generate -> grade -> settle:                -->  in the order
    while a slot is free        equal rewards, dynamic sampling: slot freed         started
          ^                     else: kept until taken                                 |
          +------------- advance(): slots of the taken groups are freed <--------------+

A slot is held from the start of a group until it is discarded, or until the `advance()` after it
was taken. At most (max_lag + 1) * groups_per_step slots exist, and groups are taken in the order
they were started; so a group is taken at most `max_lag` versions after the one it was started with.
Nothing is ever dropped for being stale: that would favour short, easy problems. `max_lag=0` is
synchronous training. No group is started for a step that takes none (`idle`), but those in flight
then wait one version longer.

Knows nothing about learners, advantages or files.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tailor_rl.errors import TailorError
from tailor_rl.grading import grade_rollouts
from tailor_rl.methods.hooks import RLMethod
from tailor_rl.protocols import Grader, RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.train_problems import train_problem
from tailor_rl.types import Group, Sampling, WeightVersion

PATIENCE = 64  # groups passed over for each group asked for, after which RL gives up


@dataclass(frozen=True, slots=True)
class Spent:
    """What generation has cost, uninformative groups included: the x-axis of learning curves."""

    groups: int = 0
    uninformative_groups: int = 0
    rollouts: int = 0
    generated_tokens: int = 0
    truncated: int = 0
    ungraded: int = 0  # rollouts set aside because the grader failed

    def plus(self, group: Group) -> Spent:
        return Spent(
            groups=self.groups + 1,
            uninformative_groups=self.uninformative_groups + (not group.informative),
            rollouts=self.rollouts + len(group.generated),
            generated_tokens=self.generated_tokens + sum(r.num_drawn for r in group.generated),
            truncated=self.truncated + sum(r.finish_reason == "length" for r in group.generated),
            ungraded=self.ungraded + len(group.ungraded),
        )


class GroupStream:
    """Groups of rollouts of the train split, from group number `position` on.

    Group `order` is `group_size` rollouts of train problem `order`, drawn with a seed from (seed,
    order): a stream that goes on at `position` makes the same groups as one that never stopped. A
    method may choose other problems, and how rollouts are drawn.

    Args:
        num_groups: how many groups will be taken in all, at most: near the end no more are started
        than needed. version: the weights the engines hold now. idle: as in `advance`.
        position, spent: as another stream's properties of that name said when the run was saved.
    """

    def __init__(
        self,
        task: Task,
        pool: RolloutPool,
        grader: Grader,
        *,
        num_groups: int,
        groups_per_step: int,
        group_size: int,
        max_lag: int,
        dynamic_sampling: bool,
        sampling: Sampling,
        seed: int,
        version: WeightVersion,
        position: int = 0,
        spent: Spent | None = None,
        method: RLMethod | None = None,
        idle: bool = False,
    ) -> None:
        self._task = task
        self._pool = pool
        self._grader = grader
        self._group_size = group_size
        self._slots = (max_lag + 1) * groups_per_step
        self._dynamic_sampling = dynamic_sampling
        self._sampling = sampling
        self._seed = seed
        self._method = method or RLMethod()
        self._idle = idle
        self._versions = [version.step]
        self._position = position
        self._next_order = position
        self._wanted = num_groups  # groups not taken yet, and those taken since the last advance
        self._taken = 0  # since the last advance: they still hold their slots
        self._discarded = 0  # finished but beyond `position`: they hold no slot
        self._running: dict[int, asyncio.Task[Group]] = {}
        self._spent = spent or Spent()
        self._generated: list[Group] = []

    @property
    def position(self) -> int:
        """The first group that is neither taken nor passed over: where a resumed stream goes on."""
        return self._position

    @property
    def spent(self) -> Spent:
        """The cost of all groups before `position`, since the beginning of RL."""
        return self._spent

    @property
    def generated(self) -> list[Group]:
        """Every group of the last `take`, in order: the taken ones and those passed over."""
        return self._generated

    def lag(self, group: Group) -> int:
        """Weight versions between the first token of the group and the weights held now."""
        oldest = min(rollout.first_version for rollout in group.rollouts)
        return len(self._versions) - 1 - self._versions.index(oldest)

    async def __aenter__(self) -> Self:
        self._admit()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def take(self, num: int) -> list[Group]:
        """The next `num` groups worth learning from, in the order they were started.

        Consumes groups in order, waits for the oldest one that is open, is unblocked by its last
        rollout or by any group's failure (raised here), and passes over what was discarded. Raises
        TailorError when group after group has equal rewards: no step could ever be made.
        """
        assert self._taken + num <= min(self._slots, self._wanted), (self._taken, num, self._wanted)
        taken: list[Group] = []
        self._generated = []
        while len(taken) < num:
            group = await self._next()
            self._generated.append(group)
            self._spent = self._spent.plus(group)
            self._method.saw(group)
            if not self._discards(group):
                taken.append(group)
                self._taken += 1
            elif len(self._generated) - len(taken) >= PATIENCE * num:
                raise self._nothing_to_learn()
        return taken

    def advance(self, version: WeightVersion, *, idle: bool = False) -> None:
        """The engines hold `version` now: the slots of the groups taken before are free again.

        `idle`: the next step takes no groups, so none are started before the next `advance`.
        """
        if version.step != self._versions[-1]:  # a step without an update makes no new one
            self._versions.append(version.step)
        self._wanted -= self._taken
        self._taken = 0
        self._idle = idle
        self._admit()

    async def _next(self) -> Group:
        while True:
            for task in self._running.values():
                if task.done():
                    task.result()  # a failure anywhere ends the wait for a slow oldest group
            if self._running[self._position].done():
                group = self._running.pop(self._position).result()
                self._discarded -= self._discards(group)
                self._position += 1
                return group
            open_tasks = [task for task in self._running.values() if not task.done()]
            await asyncio.wait(open_tasks, return_when=asyncio.FIRST_COMPLETED)

    def _admit(self) -> None:
        if self._idle:
            return
        limit = min(self._slots, self._wanted)
        while len(self._running) - self._discarded + self._taken < limit:
            order = self._next_order
            self._running[order] = asyncio.create_task(self._produce(order))
            self._next_order += 1

    async def _produce(self, order: int) -> Group:
        problem = train_problem(self._task, self._method.problem(order))
        rollouts = await self._pool.generate(
            problem,
            num=self._group_size,
            sampling=self._sampling,
            seed=derive_seed(self._seed, "rl", order),
            draws=self._method.draws(
                order,
                problem,
                group_size=self._group_size,
                seed=derive_seed(self._seed, "draws", order),
            ),
        )
        graded = await grade_rollouts(self._grader, problem, rollouts)
        group = Group(
            problem=problem,
            rollouts=graded.rollouts,
            grades=graded.grades,
            order=order,
            ungraded=graded.ungraded,
        )
        if self._discards(group):
            self._discarded += 1
            self._admit()
        return group

    def _discards(self, group: Group) -> bool:
        """Equal rewards, or none at all, which not even synchronous GRPO could learn from."""
        return not group.rollouts or (self._dynamic_sampling and not group.informative)

    def _nothing_to_learn(self) -> TailorError:
        rewards = [reward for group in self._generated for reward in group.rewards]
        mean = sum(rewards) / max(1, len(rewards))
        return TailorError(
            f"{len(self._generated)} groups in a row gave too few with differing rewards (mean "
            f"reward {mean:.3f}): there is nothing to learn from; make the "
            "task easier or harder, warm the student up longer, or set rl.dynamic_sampling = false"
        )
