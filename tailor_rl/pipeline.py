"""The whole story on one page.

    evaluate the student -> demonstrations (tailor: attempt, discover, demonstrate) -> SFT ->
    evaluate -> RL (DAPO, GRPO, ...) -> evaluate

Talks to protocols only: the same page runs on Ray actors and, in unit tests, on hand-written fakes.
Each stage can be killed and run again; one that has finished is neither repeated nor paid for
twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.initialisations import initialise
from tailor_rl.kit import Kit
from tailor_rl.stages.measure import Examiner, examiner_of
from tailor_rl.stages.reinforce import (
    StepRecord,
    begin_or_resume,
    open_lesson,
    open_stream,
    save_if_due,
)
from tailor_rl.stages.warm_start import warm_start
from tailor_rl.types import Demonstration, WeightVersion


async def tailor(kit: Kit) -> WeightVersion:
    """Run every stage that has not finished yet; returns the name of the final weights."""
    examiner = examiner_of(kit)
    weights = await kit.sync()
    await examiner.examine("base", weights)

    demonstrations = await initialise(kit)
    if demonstrations:
        await warm_start(kit, demonstrations, examiner)
        weights = await kit.sync()
        await examiner.examine("sft", weights)

    weights = await reinforce(kit, examiner)
    await examiner.examine("rl", weights, step=kit.cfg.rl.num_steps)
    return weights


async def make_set(kit: Kit) -> list[Demonstration]:
    """The SFT set and nothing else. Without learners the engines hold the student as it is."""
    if kit.learner is not None:
        await kit.sync()
    return await initialise(kit)


async def train(kit: Kit, demonstrations: Sequence[Demonstration], *, rl: bool) -> None:
    """A run inside the run, for initialisations that train on the way: SFT, and RL after it."""
    examiner = examiner_of(kit)
    if demonstrations:
        await warm_start(kit, demonstrations, examiner)
        await kit.sync()
    if rl:
        await reinforce(kit, examiner)


async def reinforce(kit: Kit, examiner: Examiner) -> WeightVersion:
    """Generate, grade, learn, sync: while one batch is learnt from, the next ones are being
    written.
    """
    cfg, learner, journal = kit.cfg.rl, kit.trainer, kit.journal
    start = await begin_or_resume(cfg, learner=learner, journal=journal)
    weights = await kit.sync()
    if journal.finished("rl"):
        return weights
    journal.start("rl")
    if start.step == 0:
        await examiner.before_rl(weights, stage="sft" if journal.finished("sft") else "base")
    lesson = open_lesson(kit, start)
    async with open_stream(kit, start, lesson, weights=weights) as stream:
        for step in range(start.step + 1, cfg.num_steps + 1):
            record = StepRecord(journal, step=step)
            mix = lesson.mix(step)
            with record.phase("rollout"):
                groups = await stream.take(cfg.groups_per_step) if mix.policy else []
            record.taken(groups, stream)
            with record.phase("learn"):
                learnt = await lesson.learn(step, mix, groups)
            record.learned(learnt)
            with record.phase("sync"):
                weights = await kit.sync()
            stream.advance(weights, idle=not lesson.mix(step + 1).policy)
            record.write(stream.generated if groups else [])
            journal.progress(step, cfg.num_steps)
            await examiner.validate(weights, step=step)
            await save_if_due(
                cfg, step=step, stream=stream, lesson=lesson, learner=learner, journal=journal
            )
    journal.finish("rl")
    return weights
