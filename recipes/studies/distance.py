"""Tailor's set, chosen by its distance to the student: of three traces a query, the one that the
student finds most likely, or least.

The three follow three draws of a primitive each from the same 25, so both sets come from one
distribution of strategies and differ in what is picked from it. Whether they are equally diverse is
to be measured (`tailor measures`), not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tailor_rl.batch import collate_demonstrations
from tailor_rl.initialisations.taught import taught
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import following
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.primitives import chosen_primitives
from tailor_rl.types import Demonstration

DRAWS = 3
SCORED_TOGETHER = 256  # demonstrations: bounds the memory


async def near(kit: Kit) -> list[Demonstration]:
    return await _picked(kit, pick=max)


async def far(kit: Kit) -> list[Demonstration]:
    return await _picked(kit, pick=min)


Rated = tuple[float, Demonstration]  # mean log-probability of a token under the student, in nats


async def _picked(kit: Kit, *, pick: Callable[..., Rated]) -> list[Demonstration]:
    primitives = await chosen_primitives(
        kit.cfg,
        task=kit.task,
        teacher=kit.teacher,
        pool=kit.pool,
        grader=kit.grader,
        journal=kit.journal,
    )
    by_query: dict[str, list[Rated]] = {}
    for draw in range(DRAWS):
        seed = derive_seed(kit.cfg.seed, "distance", draw)
        guides = following(kit.prompts, primitives, kit.queries, seed=seed)
        made = await taught(kit, guides, stage=f"demonstrate_{draw}", name=f"traces_{draw}")
        for rated in zip(await _likelihoods(kit, made), made, strict=True):
            by_query.setdefault(rated[1].problem_id, []).append(rated)
    return [pick(rated, key=lambda each: each[0])[1] for rated in by_query.values()]


async def _likelihoods(kit: Kit, made: Sequence[Demonstration]) -> list[float]:
    """Of the student as it was, before any training."""
    found: list[float] = []
    for start in range(0, len(made), SCORED_TOGETHER):
        batch = collate_demonstrations(made[start : start + SCORED_TOGETHER], kit.tokens)
        logprobs_BT = await kit.trainer.logprobs_of(None, batch)
        means = (row[mask].mean() for row, mask in zip(logprobs_BT, batch.mask, strict=True))
        found += map(float, np.array(list(means)))
    return found
