"""Supervised fine-tuning on the demonstrations: the student learns the patterns that RL then
amplifies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.schema import SFTConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.protocols import Journal, Learner, Tokens
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Demonstration


async def warm_start(
    cfg: SFTConfig,
    demonstrations: Sequence[Demonstration],
    *,
    seed: int,
    learner: Learner,
    tokens: Tokens,
    journal: Journal,
) -> None:
    """Leave the fine-tuned weights in the learner, and in checkpoints/sft.

    A finished stage is restored from there; one that was killed half-way starts again from the
    student and makes the same steps. Without demonstrations nothing happens: the student is RL's
    start.
    """
    if not demonstrations:
        return
    num_steps = cfg.epochs * ceil(len(demonstrations) / cfg.batch_size)
    await learner.begin_sft(num_steps=num_steps)
    if journal.finished("sft"):
        return await _restore(learner, journal)
    journal.start("sft")
    journal.rewind("metrics", stage="sft", step=0)
    batches = _batches(demonstrations, epochs=cfg.epochs, size=cfg.batch_size, seed=seed)
    for step, chosen in enumerate(batches, start=1):
        batch = collate_demonstrations(chosen, tokens)
        update = await learner.sft_step(batch)
        journal.metrics("sft", step, {**update.metrics, "epoch": step * cfg.epochs / num_steps})
        journal.spend("sft", {"learner_tokens": int(batch.lengths.sum())})
        journal.progress(step, num_steps)
    journal.spend("sft", {"problems": len({made.problem_id for made in demonstrations})})
    await journal.checkpoint("sft", step=num_steps, learner=learner, state={})
    journal.finish("sft")


async def _restore(learner: Learner, journal: Journal) -> None:
    checkpoint = journal.latest_checkpoint("sft")
    if checkpoint is None:
        raise RunFolderError(
            "SFT has finished but its checkpoint (checkpoints/sft) is missing or damaged: "
            "start a new run"
        )
    await learner.restore(checkpoint.folder)


def _batches(
    demonstrations: Sequence[Demonstration], *, epochs: int, size: int, seed: int
) -> Iterator[list[Demonstration]]:
    """Every demonstration once an epoch, in an order of its own; the last batch may be smaller."""
    for epoch in range(epochs):
        rng = np.random.default_rng(derive_seed(seed, "sft", epoch))
        order = rng.permutation(len(demonstrations))
        for start in range(0, len(order), size):
            yield [demonstrations[i] for i in order[start : start + size]]
