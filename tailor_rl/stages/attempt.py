"""The student shows how it fails: graded attempts for the teacher to read."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.concurrency import rollout_slots, together
from tailor_rl.config.schema import AttemptConfig
from tailor_rl.grading import grade_rollouts
from tailor_rl.protocols import Grader, Journal, RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.once import once
from tailor_rl.train_problems import warm_start_problems
from tailor_rl.types import Attempt, Grade, Problem, Rollout, Sampling


async def attempt(
    cfg: AttemptConfig,
    *,
    max_tokens: int,
    seed: int,
    task: Task,
    pool: RolloutPool,
    grader: Grader,
    journal: Journal,
) -> list[Attempt]:
    """Right and wrong attempts, in the order of the problems: attempts.jsonl. Those that could not
    be graded are left out.
    """

    async def make() -> Sequence[Attempt]:
        sampling = Sampling(temperature=cfg.temperature, max_tokens=max_tokens)
        problems = warm_start_problems(task, cfg.num_problems)
        slots = rollout_slots(cfg.samples_per_problem)
        done = 0

        async def one(problem: Problem) -> list[Attempt]:
            nonlocal done
            draw = derive_seed(seed, "attempt", problem.id)
            async with slots:
                rollouts = await pool.generate(
                    problem, num=cfg.samples_per_problem, sampling=sampling, seed=draw
                )
            spent.extend(rollouts)
            graded = await grade_rollouts(grader, problem, rollouts)
            done += 1
            journal.progress(done, len(problems))
            pairs = zip(graded.rollouts, graded.grades, strict=True)
            return [_attempt(problem, *pair, i) for i, pair in enumerate(pairs)]

        spent: list[Rollout] = []
        groups = await together([one(problem) for problem in problems])
        journal.spend(
            "attempt",
            {
                "problems": len(problems),
                "rollouts": len(spent),
                "generated_tokens": sum(len(rollout.token_ids) for rollout in spent),
            },
        )
        return [made for group in groups for made in group]

    return await once(journal, "attempt", name="attempts", kind=Attempt, make=make)


def _attempt(problem: Problem, rollout: Rollout, grade: Grade, i: int) -> Attempt:
    return Attempt(
        id=f"{problem.id}/attempt-{i}",
        problem_id=problem.id,
        prompt=problem.prompt,
        text=rollout.text,
        reward=grade.correct,
        finish_reason=rollout.finish_reason,
        num_tokens=len(rollout.token_ids),
    )
