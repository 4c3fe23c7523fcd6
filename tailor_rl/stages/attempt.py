"""The student shows how it fails: graded attempts for the teacher to read."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.concurrency import rollout_slots, together
from tailor_rl.config.schema import AttemptConfig
from tailor_rl.grading import grade
from tailor_rl.protocols import Journal, RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.once import once
from tailor_rl.stages.problems import warm_start_problems
from tailor_rl.types import Attempt, Problem, Rollout, Sampling


async def attempt(
    cfg: AttemptConfig,
    *,
    max_tokens: int,
    seed: int,
    task: Task,
    pool: RolloutPool,
    journal: Journal,
) -> list[Attempt]:
    """Right and wrong attempts, in the order of the problems: attempts.jsonl."""

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
            done += 1
            journal.progress(done, len(problems))
            return [_attempt(task, problem, rollout, i) for i, rollout in enumerate(rollouts)]

        groups = await together([one(problem) for problem in problems])
        attempts = [made for group in groups for made in group]
        journal.spend(
            "attempt",
            {
                "problems": len(problems),
                "rollouts": len(attempts),
                "generated_tokens": sum(made.num_tokens for made in attempts),
            },
        )
        return attempts

    return await once(journal, "attempt", name="attempts", kind=Attempt, make=make)


def _attempt(task: Task, problem: Problem, rollout: Rollout, i: int) -> Attempt:
    return Attempt(
        id=f"{problem.id}/attempt-{i}",
        problem_id=problem.id,
        prompt=problem.prompt,
        text=rollout.text,
        reward=grade(task, problem, rollout.text),
        finish_reason=rollout.finish_reason,
        num_tokens=len(rollout.token_ids),
    )
