"""From the student's failures to the primitives that demonstrations follow.

attempt -> discover until enough pass the screen (or a library file) -> screen -> select k
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tailor_rl.config.schema import RunConfig
from tailor_rl.measures.embedding import load_embedder
from tailor_rl.primitives.discover import discover
from tailor_rl.primitives.guard import NO_VERDICT
from tailor_rl.primitives.library import read_library, to_markdown
from tailor_rl.primitives.screen import Screening, screen
from tailor_rl.primitives.select import NotEnoughPrimitives, select
from tailor_rl.protocols import BookedTeacher, Grader, Journal, RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.attempt import attempt
from tailor_rl.stages.metered import MeteredTeacher
from tailor_rl.stages.once import once
from tailor_rl.teachers.faults import BudgetSpent
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.train_problems import trial_problems
from tailor_rl.types import Attempt, Primitive

Screener = Callable[[Sequence[Primitive]], Awaitable[list[Screening]]]


async def chosen_primitives(
    cfg: RunConfig,
    *,
    task: Task,
    teacher: BookedTeacher,
    pool: RolloutPool,
    grader: Grader,
    journal: Journal,
) -> list[Primitive]:
    """attempts.jsonl, candidates.jsonl, screening.jsonl, primitives.jsonl: each made once.

    Raises NotEnoughPrimitives with the reasons of the screen where fewer than k are left, and
    BudgetSpent where that is the budget's doing.
    """
    metered = MeteredTeacher(teacher, journal)
    prompts = Prompts(cfg.prompts.folder)
    screener = _screener(cfg, metered, prompts, task, grader, journal)
    if cfg.primitives.library:
        candidates = await _borrowed(cfg.primitives.library, journal)
    else:
        attempts = await attempt(
            cfg.attempts,
            max_tokens=cfg.rl.max_tokens,
            seed=cfg.seed,
            task=task,
            pool=pool,
            grader=grader,
            journal=journal,
        )
        candidates = await _discover(cfg, attempts, metered, prompts, screener, journal)
    verdicts = await _screen(cfg, candidates, metered, screener, journal)
    return await _select(cfg, candidates, verdicts, journal)


async def _borrowed(library: str, journal: Journal) -> list[Primitive]:
    """The primitives of a file, as they are: another run's, or edited by hand."""

    async def make() -> Sequence[Primitive]:
        return read_library(Path(library))

    return await once(journal, "discover", name="candidates", kind=Primitive, make=make)


async def _discover(
    cfg: RunConfig,
    attempts: Sequence[Attempt],
    teacher: MeteredTeacher,
    prompts: Prompts,
    screener: Screener,
    journal: Journal,
) -> list[Primitive]:
    """The teacher reads attempts and writes instructions, until enough of them pass the screen."""

    async def num_refused(candidates: Sequence[Primitive]) -> int:
        return sum(not verdict.accepted for verdict in await screener(candidates))

    async def make() -> Sequence[Primitive]:
        found = await discover(
            attempts,
            teacher,
            prompts=prompts,
            num_primitives=cfg.primitives.candidates,
            attempts_per_request=cfg.primitives.attempts_per_request,
            primitives_per_request=cfg.primitives.primitives_per_request,
            max_requests=cfg.primitives.max_requests,
            temperature=cfg.primitives.temperature,
            max_similarity=cfg.primitives.max_similarity,
            seed=derive_seed(cfg.seed, "discover"),
            max_tokens=cfg.teacher.max_tokens,
            num_refused=num_refused,
            on_progress=journal.progress,
        )
        if found.counts.stopped:
            num = len(found.primitives)
            if num - await num_refused(found.primitives) < cfg.primitives.num_primitives:
                raise BudgetSpent(found.counts.stopped)  # unfinished: a larger budget goes on
            journal.log(f"{found.counts.stopped} The stage ends with {num} primitives.")
        await teacher.settle("discover")
        journal.write("discovery", [found.counts])
        journal.write("refused", found.refused)
        return found.primitives

    return await once(journal, "discover", name="candidates", kind=Primitive, make=make)


async def _screen(
    cfg: RunConfig,
    candidates: Sequence[Primitive],
    teacher: MeteredTeacher,
    screener: Screener,
    journal: Journal,
) -> list[Screening]:
    """Which of them may be used, and why the others may not. What discovery has bought for it comes
    from the purchase book.
    """

    async def make() -> Sequence[Screening]:
        verdicts = await screener(candidates)
        await teacher.settle("guard", "trial")
        unseen = [verdict.detail for verdict in verdicts if verdict.reason == NO_VERDICT]
        if unseen and sum(v.accepted for v in verdicts) < cfg.primitives.num_primitives:
            raise BudgetSpent(unseen[0])  # unfinished: a larger budget goes on
        return verdicts

    return await once(journal, "screen", name="screening", kind=Screening, make=make)


def _screener(
    cfg: RunConfig,
    teacher: MeteredTeacher,
    prompts: Prompts,
    task: Task,
    grader: Grader,
    journal: Journal,
) -> Screener:
    return lambda candidates: screen(
        candidates,
        teacher=teacher,
        guard=cfg.primitives.guard,
        problems=trial_problems(task, cfg),
        grader=grader,
        prompts=prompts,
        embedder=load_embedder(cfg.measures.embedder),
        max_similarity=cfg.primitives.max_similarity,
        max_meaning_similarity=cfg.primitives.max_meaning_similarity,
        trial_problems=cfg.primitives.trial_problems,
        min_trial_accuracy=cfg.primitives.min_trial_accuracy,
        temperature=cfg.demonstrations.temperature,
        seed=derive_seed(cfg.seed, "screen"),
        max_tokens=cfg.teacher.max_tokens,
        on_progress=journal.progress,
    )


async def _select(
    cfg: RunConfig,
    candidates: Sequence[Primitive],
    verdicts: Sequence[Screening],
    journal: Journal,
) -> list[Primitive]:
    """k of the survivors, in the order in which they were discovered: primitives.jsonl, and
    primitives.md for people. Their ranks are in selection.jsonl.
    """
    accepted = {verdict.primitive_id for verdict in verdicts if verdict.accepted}
    survivors = [candidate for candidate in candidates if candidate.id in accepted]
    k = cfg.primitives.num_primitives

    async def make() -> Sequence[Primitive]:
        try:
            chosen = select(
                survivors,
                k=k,
                embedder=load_embedder(cfg.measures.embedder),
                seed=derive_seed(cfg.seed, "select"),
            )
        except NotEnoughPrimitives as error:
            raise NotEnoughPrimitives(_shortage(k, candidates, verdicts, cfg)) from error
        picked = {pick.primitive_id for pick in chosen.picks}
        in_order = [survivor for survivor in survivors if survivor.id in picked]
        journal.page("primitives", to_markdown(in_order))
        journal.write("selection", chosen.picks)
        return in_order

    return await once(journal, "select", name="primitives", kind=Primitive, make=make)


def _shortage(
    k: int, candidates: Sequence[Primitive], verdicts: Sequence[Screening], cfg: RunConfig
) -> str:
    """How many survived and why the others fell."""
    reasons = Counter(verdict.reason for verdict in verdicts if not verdict.accepted)
    fell = ", ".join(f"{num} {reason}" for reason, num in reasons.most_common())
    left = sum(verdict.accepted for verdict in verdicts)
    where, more = "the teacher", "raise primitives.max_requests"
    if cfg.primitives.library:
        where, more = cfg.primitives.library, "add primitives to it"
    return (
        f"primitives.num_primitives={k}, but {where} gave {len(candidates)} candidates and {left}"
        f" survived the screen{f' (refused: {fell})' if fell else ''}: lower"
        f" primitives.num_primitives, or {more}"
    )
