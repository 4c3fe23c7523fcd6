"""Supervised fine-tuning on the demonstrations: the student learns the patterns that RL then
amplifies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil

import numpy as np

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.schema import SFTConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.kit import Kit
from tailor_rl.protocols import Journal, Learner
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.measure import Examiner
from tailor_rl.sync import sync_weights
from tailor_rl.types import Demonstration


async def warm_start(kit: Kit, demonstrations: Sequence[Demonstration], examiner: Examiner) -> None:
    """Leave the fine-tuned weights in the learner, and in checkpoints/sft.

    A finished stage is restored from there; one that was killed half-way starts again from the
    student and makes the same steps. With `sft.stop_at_accuracy` the policy is measured on
    validation after every epoch, and training ends where it has become that good: initialisations
    can then be compared at equal accuracy before RL.
    """
    cfg, learner, journal = kit.cfg.sft, kit.trainer, kit.journal
    steps_an_epoch = ceil(len(demonstrations) / cfg.batch_size)
    num_steps = cfg.num_steps or cfg.epochs * steps_an_epoch
    await learner.begin_sft(num_steps=num_steps)
    if journal.finished("sft"):
        return await _restore(learner, journal)
    journal.start("sft")
    journal.rewind("metrics", stage="sft", step=0)
    journal.rewind("evaluations", stage="sft", step=0)
    batches = _batches(demonstrations, num_steps=num_steps, size=cfg.batch_size, seed=kit.cfg.seed)
    step = 0
    for step, chosen in enumerate(batches, start=1):
        batch = collate_demonstrations(chosen, kit.tokens)
        update = await learner.sft_step(batch)
        epoch = step / steps_an_epoch
        journal.metrics("sft", step, {**update.metrics, "epoch": epoch})
        journal.spend("sft", {"learner_tokens": int(batch.lengths.sum())})
        journal.progress(step, num_steps)
        if step % steps_an_epoch == 0 and await _good_enough(cfg, kit, examiner, step=step):
            break
    journal.spend("sft", {"problems": len({made.problem_id for made in demonstrations})})
    await journal.checkpoint("sft", step=step, learner=learner, state={})
    journal.finish("sft")


async def _good_enough(cfg: SFTConfig, kit: Kit, examiner: Examiner, *, step: int) -> bool:
    if cfg.stop_at_accuracy is None:
        return False
    weights = await sync_weights(kit.trainer, kit.pool)
    accuracy = await examiner.accuracy(weights, stage="sft", step=step)
    if accuracy < cfg.stop_at_accuracy:
        return False
    kit.journal.log(
        f"SFT ends at step {step}: {accuracy:.1%} on validation, as sft.stop_at_accuracy asks"
    )
    return True


async def _restore(learner: Learner, journal: Journal) -> None:
    checkpoint = journal.latest_checkpoint("sft")
    if checkpoint is None:
        raise RunFolderError(
            "SFT has finished but its checkpoint (checkpoints/sft) is missing or damaged: "
            "start a new run"
        )
    await learner.restore(checkpoint.folder)


def _batches(
    demonstrations: Sequence[Demonstration], *, num_steps: int, size: int, seed: int
) -> Iterator[list[Demonstration]]:
    """Every demonstration once an epoch, in an order of its own; the last batch of an epoch may be
    smaller. `num_steps` batches in all, so the last epoch may be cut off.
    """
    made = 0
    for epoch in count():
        rng = np.random.default_rng(derive_seed(seed, "sft", epoch))
        order = rng.permutation(len(demonstrations))
        for start in range(0, len(order), size):
            if made == num_steps:
                return
            made += 1
            yield [demonstrations[i] for i in order[start : start + size]]
