"""What a recipe will occupy and cost: the second half of `tailor run --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.config.algorithms import algorithm_in_words
from tailor_rl.config.forecast import forecast
from tailor_rl.config.memory import memory_lines
from tailor_rl.config.needs import asks_teachers, needed_teachers
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.teachers import hosted_teachers
from tailor_rl.runs.environment import Machine


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
        *_hosted_lines(config),
        *memory_lines(config, machine),
        f"rollouts         about {cost.rollouts:,}: {cost.attempt_rollouts:,} attempts, "
        f"{cost.sampled_rollouts:,} written for the set, {cost.rl_rollouts:,} in RL, "
        f"{cost.evaluation_rollouts:,} to evaluate",
        f"SFT              {cost.demonstrations:,} demonstrations, about {cost.sft_steps:,} steps",
        f"RL               {config.rl.num_steps:,} steps of {config.rl.groups_per_step} groups x "
        f"{config.rl.group_size}",
        f"                 {algorithm_in_words(config.rl)}",
    ]
    return lines + _teacher_lines(config, least, most)


def _hosted_lines(config: RunConfig) -> list[str]:
    """What the teachers occupy that the run hosts itself."""
    return [
        f"teacher engines  {each.hosted.engines} x "
        f"{_share(each.hosted.gpus_per_engine, each.hosted.threads)}"
        f"{_split(each.hosted.tensor_parallel)} for {each.model}"
        for each in hosted_teachers(config).values()
    ]


def _teacher_lines(config: RunConfig, least: int, most: int) -> list[str]:
    """Who is asked, by how many services, and what for."""
    teacher, needed = config.teacher, needed_teachers(config)
    if not needed:
        return []
    drawn = sum(each.share for each in needed.values()) if asks_teachers(config) else 0.0
    lines = []
    for name, each in needed.items():
        part = f"{each.share / drawn:.0%} of the requests" if drawn and each.share else "when named"
        label = "teacher" if name == "teacher" else f"teacher {name}"
        lines.append(f"{label:<16} {each.model} at {each.base_url}, {part}")
    requests = f"{least:,} to {most:,} requests" if most else "as many requests as it is named in"
    lines.append(
        f"                 {requests}, of at most {teacher.max_tokens:,} tokens; "
        f"{teacher.actors} x {teacher.requests_in_flight} in flight"
    )
    return lines


def _split(tensor_parallel: int) -> str:
    return f", tensor parallel {tensor_parallel}," if tensor_parallel > 1 else ""


def _share(gpus: float, threads: int) -> str:
    if gpus:
        return f"{gpus:g} GPU{'' if gpus == 1 else 's'}"
    return f"{threads} CPU thread{'' if threads == 1 else 's'}"
