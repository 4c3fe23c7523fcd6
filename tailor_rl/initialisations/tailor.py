"""Tailor (arXiv 2511.12429): primitives from the student's failures, demonstrations that follow
them. And the controls that differ from it in one point.
"""

from __future__ import annotations

from tailor_rl.errors import ConfigError
from tailor_rl.initialisations.taught import taught
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import assigned, exchanged, following, pairs
from tailor_rl.primitives.select import Pick
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.primitives import chosen_primitives
from tailor_rl.types import Demonstration, Primitive


async def demonstrations(kit: Kit) -> list[Demonstration]:
    """attempts, candidates, screening, primitives and traces (.jsonl), each made once."""
    return await _follow(kit, await _primitives(kit))


async def one_primitive(kit: Kit) -> list[Demonstration]:
    """Control: the primitive that was selected first, for every query."""
    primitives = await _primitives(kit)
    first = kit.journal.read("selection", Pick)[0]
    return await _follow(kit, [each for each in primitives if each.id == first.primitive_id])


async def paired_primitives(kit: Kit) -> list[Demonstration]:
    """Control: as many primitives as Tailor's, each two of them combined."""
    primitives = await _primitives(kit)
    if len(primitives) < 2:
        raise ConfigError(
            'initialisation = "paired_primitives" combines two primitives and there is'
            f" {len(primitives)}: raise primitives.num_primitives"
        )
    return await _follow(kit, pairs(primitives, num=len(primitives), seed=kit.cfg.seed))


async def wrong_only(kit: Kit) -> list[Demonstration]:
    """Control: Tailor's requests, but of the traces only wrong ones are kept."""
    guides = following(kit.prompts, await _primitives(kit), kit.queries, seed=_seed(kit))
    return await taught(kit, guides, keep="wrong")


async def shuffled_primitives(kit: Kit) -> list[Demonstration]:
    """Control: each query is solved by the primitive that another query was solved by.

    Ours. Where a query's first primitive does not lead to a right trace Tailor takes another, so
    primitives come to fit their queries; here that fit is undone, and nothing else.
    """
    primitives = await _primitives(kit)
    guides = following(kit.prompts, primitives, kit.queries, seed=_seed(kit))
    fitting = await taught(kit, guides, stage="fit", name="fitting")
    by_id = {primitive.id: primitive for primitive in primitives}
    fits = {made.problem_id: made.primitive_id for made in fitting if made.primitive_id}
    others = {
        problem_id: by_id[primitive_id]
        for problem_id, primitive_id in exchanged(fits, seed=kit.cfg.seed).items()
    }
    queries = [query for query in kit.queries if query.id in others]
    return await taught(kit, assigned(kit.prompts, others), queries=queries)


async def _primitives(kit: Kit) -> list[Primitive]:
    return await chosen_primitives(
        kit.cfg,
        task=kit.task,
        teacher=kit.teacher,
        pool=kit.pool,
        grader=kit.grader,
        journal=kit.journal,
    )


async def _follow(kit: Kit, primitives: list[Primitive]) -> list[Demonstration]:
    return await taught(kit, following(kit.prompts, primitives, kit.queries, seed=_seed(kit)))


def _seed(kit: Kit) -> int:
    return derive_seed(kit.cfg.seed, "demonstrate")
