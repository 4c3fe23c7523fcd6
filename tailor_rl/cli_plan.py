"""What a recipe will occupy and cost: the second half of `tailor run --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.config.schema import RunConfig
from tailor_rl.runs.environment import Machine


@dataclass(frozen=True, slots=True)
class Forecast:
    """Counts over the whole run. Dynamic sampling may add to `rl_rollouts`."""

    attempt_rollouts: int
    discovery_requests: int  # at most
    demonstrations: int
    demonstration_requests: tuple[int, int]  # at least, at most
    sft_steps: int
    rl_rollouts: int
    evaluation_rollouts: int

    @property
    def rollouts(self) -> int:
        return self.attempt_rollouts + self.rl_rollouts + self.evaluation_rollouts

    @property
    def teacher_requests(self) -> tuple[int, int]:
        """At least (every first try succeeds) and at most."""
        least, most = self.demonstration_requests
        return least + min(1, self.discovery_requests), most + self.discovery_requests


def forecast(config: RunConfig, splits: Sequence[str]) -> Forecast:
    """`splits` are the task's: test and out of distribution are measured after every stage."""
    tailor, warm = config.initialisation == "tailor", config.initialisation != "none"
    demos, rl, evaluation = config.demonstrations, config.rl, config.evaluation
    ood = evaluation.ood_splits
    if ood is None:
        ood = tuple(split for split in splits if split.startswith("ood/"))
    stages = 3 if warm else 2  # base, SFT, RL
    validations = rl.num_steps // evaluation.every if evaluation.every else 0
    answers = evaluation.samples_per_problem + evaluation.greedy
    examined = stages * answers * sum(map(evaluation.problems_of, ("test", *ood)))
    validated = evaluation.problems_of("validation") * evaluation.samples_per_problem
    attempts = config.attempts
    return Forecast(
        attempt_rollouts=attempts.num_problems * attempts.samples_per_problem if tailor else 0,
        discovery_requests=config.primitives.max_requests if tailor else 0,
        demonstrations=demos.num_problems if warm else 0,
        demonstration_requests=(
            (demos.num_problems, demos.num_problems * demos.max_tries) if tailor else (0, 0)
        ),
        sft_steps=config.sft.epochs * -(-demos.num_problems // config.sft.batch_size)
        if warm
        else 0,
        rl_rollouts=rl.num_steps * rl.groups_per_step * rl.group_size,
        evaluation_rollouts=examined + validations * validated,
    )


def plan_lines(config: RunConfig, splits: Sequence[str], machine: Machine | None) -> list[str]:
    """The plan in words; `machine` is None for a run that joins a Ray cluster."""
    cost = forecast(config, splits)
    rollout, learner = config.rollout, config.learner
    if machine is None:
        where = f"the Ray cluster at {config.cluster.address}"
    else:
        where = (
            f"this machine: {machine.cores} cores, {machine.gpus} GPUs, {machine.memory_gib:g} GiB"
        )
    least, most = cost.teacher_requests
    lines = [
        f"runs on          {where}",
        f"rollout engines  {rollout.engines} x {_share(rollout.gpus_per_engine, rollout.threads)}",
        f"learner ranks    {learner.ranks} x {_share(learner.gpus_per_rank, learner.threads)}, "
        f"ZeRO stage {learner.zero_stage}",
        f"rollouts         about {cost.rollouts:,}: {cost.attempt_rollouts:,} attempts, "
        f"{cost.rl_rollouts:,} in RL, {cost.evaluation_rollouts:,} to evaluate",
        f"SFT              {cost.demonstrations:,} demonstrations, about {cost.sft_steps:,} steps",
        f"RL               {config.rl.num_steps:,} steps of {config.rl.groups_per_step} groups x "
        f"{config.rl.group_size}",
    ]
    if most:
        lines.append(
            f"teacher          {config.teacher.model} at {config.teacher.base_url}: {least:,} to "
            f"{most:,} requests of at most {config.teacher.max_tokens:,} tokens"
        )
    return lines


def _share(gpus: float, threads: int) -> str:
    if gpus:
        return f"{gpus:g} GPU"
    return f"{threads} CPU thread{'' if threads == 1 else 's'}"
