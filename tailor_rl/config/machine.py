"""Whether one machine carries the engines, ranks and hosted teachers of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tailor_rl.config.memory import check_adapter_targets, check_learner_memory
from tailor_rl.config.needs import teacher_section
from tailor_rl.config.schema import HostedConfig, RolloutConfig, RunConfig
from tailor_rl.config.teachers import hosted_teachers
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine


@dataclass(frozen=True, slots=True)
class Part:
    """The actors of one kind, by the keys of the recipe that say how many and how large."""

    count_key: str
    count: int
    gpus_key: str
    gpus: float  # of each
    threads_key: str
    threads: int  # of each

    @property
    def all_gpus(self) -> float:
        return self.count * self.gpus

    @property
    def all_threads(self) -> int:
        """On cores: what runs on a GPU leaves them alone."""
        return 0 if self.gpus else self.count * self.threads


def check_machine(config: RunConfig, machine: Machine) -> None:
    """Raises ConfigError unless cores, GPUs and memory suffice."""
    ranks, *engines = parts_of(config)
    _check_tensor_parallel(config)
    _check_gpus([*engines, ranks], machine)
    _check_cores(ranks, engines, machine.cores)
    _check_memory(config, machine)
    check_adapter_targets(config)
    check_learner_memory(config, machine)


def parts_of(config: RunConfig) -> Iterator[Part]:
    """Ranks, rollout engines, then the engines of each hosted teacher that the run needs."""
    learner, rollout = config.learner, config.rollout
    yield Part(
        "learner.ranks", learner.ranks,
        "learner.gpus_per_rank", learner.gpus_per_rank,
        "learner.threads", learner.threads,
    )  # fmt: skip
    yield Part(
        "rollout.engines", rollout.engines,
        "rollout.gpus_per_engine", rollout.gpus_per_engine,
        "rollout.threads", rollout.threads,
    )  # fmt: skip
    for name, endpoint in hosted_teachers(config).items():
        where, hosted = f"{teacher_section(name)}.hosted", endpoint.hosted
        yield Part(
            f"{where}.engines", hosted.engines,
            f"{where}.gpus_per_engine", hosted.gpus_per_engine,
            f"{where}.threads", hosted.threads,
        )  # fmt: skip


def _check_tensor_parallel(config: RunConfig) -> None:
    rollout = config.rollout
    if rollout.tensor_parallel > 1 and rollout.gpus_per_engine < rollout.tensor_parallel:
        raise ConfigError(
            f"rollout.tensor_parallel={rollout.tensor_parallel} needs as many GPUs in each engine, "
            f"not rollout.gpus_per_engine={rollout.gpus_per_engine:g}: set rollout.gpus_per_engine="
            f"{rollout.tensor_parallel}, or rollout.tensor_parallel=1 on a CPU"
        )


def _check_gpus(parts: Sequence[Part], machine: Machine) -> None:
    asked = sum(part.all_gpus for part in parts)
    if asked > machine.gpus:
        terms = [
            f"{part.count_key}={part.count} x {part.gpus_key}={part.gpus:g}"
            for part in parts
            if part.gpus
        ]
        raise ConfigError(
            f"{' and '.join(terms)} ask for {asked:g} GPUs and this machine has {machine.gpus}: "
            "ask for fewer (0 runs on the CPU)"
        )


def _check_cores(ranks: Part, engines: Sequence[Part], cores: int) -> None:
    """Ranks wait for each other, so each needs its core; engines and ranks take turns."""
    if ranks.all_threads > cores:
        raise ConfigError(
            f"{_threads(ranks)} is more than this machine's {cores} cores, and ranks wait for each "
            "other: lower one of them"
        )
    total = sum(part.all_threads for part in (ranks, *engines))
    if total > 2 * cores:
        busy = [part for part in (ranks, *engines) if part.all_threads]
        most = max((part for part in engines if part.all_threads), key=lambda p: p.all_threads)
        raise ConfigError(
            f"{' and '.join(map(_threads, busy))} are {total} threads on {cores} cores, where at "
            f"most {2 * cores} take turns well: lower {most.count_key} or {most.threads_key}"
        )


def _threads(part: Part) -> str:
    return f"{part.count_key}={part.count} x {part.threads_key}={part.threads}"


def _check_memory(config: RunConfig, machine: Machine) -> None:
    """Of the caches, which are reserved at once; weights are not known before they are loaded."""
    kinds: dict[str, RolloutConfig | HostedConfig] = {"rollout": config.rollout}
    for name, endpoint in hosted_teachers(config).items():
        kinds[f"{teacher_section(name)}.hosted"] = endpoint.hosted
    on_cpu = {where: each for where, each in kinds.items() if not each.gpus_per_engine}
    if sum(each.engines * each.kv_cache_gib for each in on_cpu.values()) > machine.memory_gib:
        terms = [
            f"{where}.engines={each.engines} x {where}.kv_cache_gib={each.kv_cache_gib:g}"
            for where, each in on_cpu.items()
        ]
        raise ConfigError(
            f"{' and '.join(terms)} {'is' if len(terms) == 1 else 'are'} more than this machine's "
            f"{machine.memory_gib:g} GiB of memory: lower one of them"
        )
