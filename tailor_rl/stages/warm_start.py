"""Supervised fine-tuning on the demonstrations: the student learns the patterns that RL then
amplifies.

    demonstrations -> set aside some -> steps, measured and saved on the way -> checkpoints/sft

Checkpoints on the way are "sft-000010"; "sft" holds the weights that go on to RL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.learning import SFTConfig
from tailor_rl.errors import RunFolderError, TailorError
from tailor_rl.kit import Kit
from tailor_rl.protocols import Journal, Learner
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.best import HELD_OUT_LOSS, best_step
from tailor_rl.stages.examples import Examples
from tailor_rl.stages.measure import Examiner
from tailor_rl.stages.memory import MemoryWatch
from tailor_rl.types import Batch, Demonstration

FINAL, CHECKPOINTS = "sft", "sft-"


async def warm_start(kit: Kit, demonstrations: Sequence[Demonstration], examiner: Examiner) -> None:
    """Leave the fine-tuned weights in the learner, and in checkpoints/sft.

    A finished stage is restored from there; one that was killed goes on after its last checkpoint
    (`sft.checkpoint_every`), or starts again from the student, and makes the same steps. With
    `sft.stop_at_accuracy` the policy is measured on validation every `sft.evaluate_every` steps (0:
    after every epoch), and training ends where it has become that good: initialisations can then be
    compared at equal accuracy before RL.
    """
    cfg, learner, journal = kit.cfg.sft, kit.trainer, kit.journal
    held_out, trained = set_aside(demonstrations, num=cfg.held_out, seed=kit.cfg.seed)
    examples = Examples(trained, cfg=cfg, learner=learner, tokens=kit.tokens, seed=kit.cfg.seed)
    await learner.begin_sft(num_steps=examples.num_steps)
    if journal.finished("sft"):
        return await _restore(learner, journal)
    await examples.prepare()
    place = await _begin_or_resume(learner, journal, examples)
    journal.start("sft")
    step = await _train(kit, examples, _Measures(kit, examiner, held_out, examples), place)
    other = await _hand_on(
        kit, examples, step=step, problems=len({made.problem_id for made in trained})
    )
    journal.finish("sft")
    journal.prune_checkpoints(CHECKPOINTS, keep=0, spare=[other])


def set_aside(
    demonstrations: Sequence[Demonstration], *, num: int, seed: int
) -> tuple[list[Demonstration], list[Demonstration]]:
    """(held out, trained on): problem by problem, in an order drawn by the seed, until `num`
    demonstrations are held out. All of one problem go together, so none is seen in training.

    Raises TailorError where nothing would be left to train on.
    """
    problems = sorted({made.problem_id for made in demonstrations})
    rng = np.random.default_rng(derive_seed(seed, "held_out"))
    counts = {problem: 0 for problem in problems}
    for made in demonstrations:
        counts[made.problem_id] += 1
    chosen: set[str] = set()
    for index in rng.permutation(len(problems)):
        if sum(counts[problem] for problem in chosen) >= num:
            break
        chosen.add(problems[index])
    held_out = [made for made in demonstrations if made.problem_id in chosen]
    trained = [made for made in demonstrations if made.problem_id not in chosen]
    if demonstrations and not trained:
        raise TailorError(
            f"sft.held_out = {num} leaves none of the {len(demonstrations)} demonstrations "
            f"({len(problems)} problems) to train on: make it smaller"
        )
    return held_out, trained


@dataclass(frozen=True, slots=True)
class _Measures:
    """What is measured while SFT goes on, and when."""

    kit: Kit
    examiner: Examiner
    held_out: Sequence[Demonstration]
    examples: Examples

    def due(self, step: int) -> bool:
        every = self.kit.cfg.sft.evaluate_every
        return every > 0 and (step % every == 0 or step == self.examples.num_steps)

    async def held_out_loss(self, step: int) -> dict[str, float]:
        if not self.held_out or not self.due(step):
            return {}
        return {HELD_OUT_LOSS: await self.kit.trainer.sft_loss(self._held_out_batch())}

    def _held_out_batch(self) -> Batch:
        return collate_demonstrations(self.held_out, self.kit.tokens)

    async def good_enough(self, step: int) -> bool:
        """Whether SFT ends here; measures the accuracy on validation where it is due."""
        cfg: SFTConfig = self.kit.cfg.sft
        target, every = cfg.stop_at_accuracy, cfg.evaluate_every
        if target is None:
            due = self.due(step) and self.kit.cfg.evaluation.every > 0
        else:
            due = step % (every or self.examples.steps_an_epoch) == 0
        if not due:
            return False
        weights = await self.kit.sync()
        accuracy = await self.examiner.accuracy(weights, stage="sft", step=step)
        if target is None or accuracy < target:
            return False
        self.kit.journal.log(
            f"SFT ends at step {step}: {accuracy:.1%} on validation, as sft.stop_at_accuracy asks"
        )
        return True


@dataclass(frozen=True, slots=True)
class _Place:
    """After `step`; `ended` where training was to end there, though steps were left."""

    step: int
    ended: bool


async def _begin_or_resume(learner: Learner, journal: Journal, examples: Examples) -> _Place:
    """Where training goes on; rows and amounts past it are dropped."""
    checkpoint = journal.latest_checkpoint(CHECKPOINTS)
    place = _Place(step=0, ended=False)
    if checkpoint is not None:
        note = await learner.restore(checkpoint.folder)
        if note:
            journal.log(note)
        examples.load(checkpoint.state["examples"])
        place = _Place(checkpoint.step, checkpoint.state["ended"])
    journal.rewind("metrics", stage="sft", step=place.step)
    journal.rewind("evaluations", stage="sft", step=place.step)
    journal.rewind_ledger("sft", checkpoint)
    return place


async def _train(kit: Kit, examples: Examples, measures: _Measures, place: _Place) -> int:
    """Makes the steps that are left; returns the last one's number."""
    learner, journal = kit.trainer, kit.journal
    step, ended, memory = place.step, place.ended, MemoryWatch()
    while step < examples.num_steps and not ended:
        step += 1
        batch = await examples.batch(step)
        update = await learner.sft_step(batch)
        loss = await measures.held_out_loss(step)
        epoch = {"epoch": step / examples.steps_an_epoch}
        journal.metrics("sft", step, {**update.metrics, **loss, **epoch})
        for note in memory.notes(step, update.metrics):
            journal.log(note)
        journal.spend("sft", {"learner_tokens": int(batch.lengths.sum())})
        journal.progress(step, examples.num_steps)
        ended = await measures.good_enough(step)
        if _due(kit, step=step, measured=measures.due(step)):
            await _save(kit, examples, step=step, ended=ended)
            best = best_step(journal, stage="sft")
            journal.prune_checkpoints(CHECKPOINTS, keep=1, spare=[best])
    return step


def _due(kit: Kit, *, step: int, measured: bool) -> bool:
    """A checkpoint every `checkpoint_every` steps, and where a measurement was the best so far."""
    every = kit.cfg.sft.checkpoint_every
    if every > 0 and step % every == 0:
        return True
    return measured and best_step(kit.journal, stage="sft") == step


async def _save(kit: Kit, examples: Examples, *, step: int, ended: bool) -> None:
    state = {"examples": examples.state(), "ended": ended}
    name = f"{CHECKPOINTS}{step:06d}"
    await kit.journal.checkpoint(name, step=step, learner=kit.trainer, state=state)


async def _hand_on(kit: Kit, examples: Examples, *, step: int, problems: int) -> int | None:
    """checkpoints/sft: the last weights, or with `sft.keep = "best"` the best measured, which then
    are those in the learner. Returns the step of the other of the two, if they differ: it stays as
    a checkpoint on the way.
    """
    learner, journal = kit.trainer, kit.journal
    best = best_step(journal, stage="sft")
    handed, other = step, best
    if kit.cfg.sft.keep == "best" and best is not None and best != step:
        handed, other = best, step
        await _save(kit, examples, step=step, ended=True)
        checkpoint = journal.named_checkpoint(f"{CHECKPOINTS}{best:06d}")
        if checkpoint is None:
            raise RunFolderError(
                f"the checkpoint of the best SFT step (checkpoints/{CHECKPOINTS}{best:06d}) is "
                'missing or damaged: go on with sft.keep = "last" in a new run'
            )
        # Older weights under a newer version: engines take no version twice, and none that is past.
        version = await learner.version()
        await learner.load(checkpoint.folder, step=version.step + 1)
        await learner.begin_sft(num_steps=examples.num_steps)
        journal.log(f"SFT hands on step {best}, the best measured, and not the last ({step})")
    journal.spend("sft", {"problems": problems})
    other = None if other == handed else other
    await journal.checkpoint(FINAL, step=handed, learner=learner, state={"other": other})
    return other


async def _restore(learner: Learner, journal: Journal) -> None:
    checkpoint = journal.named_checkpoint(FINAL)
    if checkpoint is None:
        raise RunFolderError(
            "SFT has finished but its checkpoint (checkpoints/sft) is missing or damaged: "
            "start a new run"
        )
    note = await learner.restore(checkpoint.folder)
    if note and not journal.finished("rl"):
        journal.log(note)
    journal.prune_checkpoints(CHECKPOINTS, keep=0, spare=[checkpoint.state["other"]])
