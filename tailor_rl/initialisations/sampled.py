"""Demonstrations that the policy itself writes: right answers to the queries, one each."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.concurrency import rollout_slots, together
from tailor_rl.errors import GradeError
from tailor_rl.grading import grade_rollouts
from tailor_rl.kit import Kit
from tailor_rl.protocols import Journal
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.once import once
from tailor_rl.types import Demonstration, Problem, Rollout, Sampling


async def sampled(
    kit: Kit, *, samples: int, temperature: float, seed: int, charge: Journal
) -> list[Demonstration]:
    """traces.jsonl: the first right answer to each query of those that the engines' policy samples.

    Queries without one are left out. `charge` is the journal whose ledger pays for the rollouts.
    Raises GradeError where not one answer is right: there is nothing to learn from.
    """
    cfg, journal = kit.cfg, kit.journal

    async def make() -> Sequence[Demonstration]:
        sampling = Sampling(temperature=temperature, max_tokens=cfg.rl.max_tokens)
        slots, queries, done = rollout_slots(samples), kit.queries, 0
        spent: list[Rollout] = []

        async def one(query: Problem) -> Demonstration | None:
            nonlocal done
            async with slots:
                rollouts = await kit.pool.generate(
                    query, num=samples, sampling=sampling, seed=derive_seed(seed, query.id)
                )
            spent.extend(rollouts)
            graded = await grade_rollouts(kit.grader, query, rollouts)
            done += 1
            journal.progress(done, len(queries))
            for rollout, grade in zip(graded.rollouts, graded.grades, strict=True):
                if grade.correct >= 1.0 and rollout.finish_reason == "stop":
                    return _demonstration(query, rollout, temperature)
            return None

        made = [kept for kept in await together(one(query) for query in queries) if kept]
        charge.spend(
            "demonstrate",
            {
                "problems": len(queries),
                "rollouts": len(spent),
                "generated_tokens": sum(len(rollout.token_ids) for rollout in spent),
            },
        )
        if not made:
            raise GradeError(
                f"not one of {len(spent)} answers of the policy to {len(queries)} queries is right,"
                f" so initialisation = {cfg.initialisation!r} has nothing to learn from: take an"
                " easier task, more samples_per_problem, or another initialisation"
            )
        return made

    return await once(journal, "demonstrate", name="traces", kind=Demonstration, make=make)


def _demonstration(query: Problem, rollout: Rollout, temperature: float) -> Demonstration:
    return Demonstration(
        id=f"{query.id}/policy-{rollout.first_version}",
        problem_id=query.id,
        prompt=query.prompt,
        trace=rollout.text.strip(),
        reward=1.0,
        origin="student",
        primitive_id=None,
        prompt_tokens=0,
        completion_tokens=0,
        temperature=temperature,
    )
