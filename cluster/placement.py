"""What a recipe needs of a cluster, and whether one has it. Arithmetic: knows nothing about Ray.

On a CPU the parts of a run take turns for much of the time (engines decode while learners wait for
groups, and the other way round), so a thread is booked as half a logical CPU: two engines and two
ranks fit two cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tailor_rl.config.needs import needs_teacher, teacher_section
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.teachers import hosted_teachers
from tailor_rl.errors import ConfigError

CPUS_PER_THREAD = 0.5
CPUS_BESIDE_A_GPU = 1.0  # feeding a GPU is a whole core's work


@dataclass(frozen=True, slots=True)
class Share:
    """What one actor of a kind books. Teacher services book nothing: they wait for answers."""

    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Hosted:
    """The engines of one teacher that the run hosts, by its name in the recipe."""

    name: str
    engines: int
    engine: Share

    @property
    def section(self) -> str:
        return f"{teacher_section(self.name)}.hosted"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many actors of each kind, and the share of each. `teachers` are services."""

    engines: int
    engine: Share
    ranks: int
    rank: Share
    teachers: int
    hosted: tuple[Hosted, ...] = ()

    @property
    def shares(self) -> tuple[Share, ...]:
        """One of every rank, of every engine, of every hosted teacher's engine: in this order they
        are placed.
        """
        teachers = (share for each in self.hosted for share in (each.engine,) * each.engines)
        return (*(self.rank,) * self.ranks, *(self.engine,) * self.engines, *teachers)

    @property
    def cpus(self) -> float:
        return sum(share.cpus for share in self.shares)

    @property
    def gpus(self) -> float:
        return sum(share.gpus for share in self.shares)


@dataclass(frozen=True, slots=True)
class Node:
    """What one machine of a cluster offers."""

    cpus: float
    gpus: float


def make_plan(cfg: RunConfig) -> Plan:
    """The plan of a recipe. Raises ConfigError where a GPU count contradicts the parallelism."""
    engine_gpus = cfg.rollout.gpus_per_engine
    if engine_gpus > 1 and engine_gpus != int(engine_gpus):
        raise ConfigError(
            f"rollout.gpus_per_engine={engine_gpus:g} is more than one GPU and not a whole number; "
            f"set it to {int(engine_gpus)} or {int(engine_gpus) + 1}"
        )
    if engine_gpus and cfg.rollout.tensor_parallel > engine_gpus:
        raise ConfigError(
            f"rollout.tensor_parallel={cfg.rollout.tensor_parallel} needs as many GPUs in "
            f"each engine, but rollout.gpus_per_engine={engine_gpus:g}; "
            f"set rollout.gpus_per_engine={cfg.rollout.tensor_parallel}"
        )
    return Plan(
        engines=cfg.rollout.engines,
        engine=Share(_cpus(cfg.rollout.threads, engine_gpus), engine_gpus),
        ranks=cfg.learner.ranks,
        rank=Share(
            _cpus(cfg.learner.threads, cfg.learner.gpus_per_rank), cfg.learner.gpus_per_rank
        ),
        teachers=cfg.teacher.actors if needs_teacher(cfg) else 0,
        hosted=tuple(
            Hosted(
                name,
                endpoint.hosted.engines,
                Share(
                    _cpus(endpoint.hosted.threads, endpoint.hosted.gpus_per_engine),
                    endpoint.hosted.gpus_per_engine,
                ),
            )
            for name, endpoint in hosted_teachers(cfg).items()
        ),
    )


def _cpus(threads: int, gpus: float) -> float:
    return CPUS_BESIDE_A_GPU if gpus else CPUS_PER_THREAD * threads


def check_fits(plan: Plan, nodes: Sequence[Node]) -> None:
    """Raise ConfigError, with the arithmetic and a setting that fits, unless the plan fits."""
    if _fits(plan.shares, nodes):
        return
    kinds = ("gpus", "cpus") if plan.gpus else ("cpus",)
    total_cpus, total_gpus = sum(n.cpus for n in nodes), sum(n.gpus for n in nodes)
    offer = {"gpus": _count(total_gpus, "GPU"), "cpus": _count(total_cpus, "CPU")}
    needs = f"the run needs {' and '.join(_sum(plan, kind) for kind in kinds)}"
    has = f"the cluster has {' and '.join(offer[kind] for kind in kinds)}"
    if plan.cpus <= total_cpus and plan.gpus <= total_gpus:
        has += f", but spread over {len(nodes)} machines so that not every actor finds room on one"
    raise ConfigError(f"{needs}; {has}; {_advice(plan, nodes)}")


def runs_that_fit(plan: Plan, nodes: Sequence[Node], *, most: int) -> int:
    """How many runs of this plan have room at the same time, up to `most`; at least 1, since one
    for which there is no room says so itself.
    """
    fitting = (num for num in range(most, 1, -1) if _fits(plan.shares * num, nodes))
    return next(fitting, 1)


def _fits(shares: Sequence[Share], nodes: Sequence[Node]) -> bool:
    """First fit, the biggest first."""
    free = [[node.gpus, node.cpus] for node in nodes]
    for share in sorted(shares, key=lambda share: (share.gpus, share.cpus), reverse=True):
        # 1e-9: halves and tenths of a CPU add up to a little more than their sum
        room = (n for n in free if n[0] + 1e-9 >= share.gpus and n[1] + 1e-9 >= share.cpus)
        node = next(room, None)
        if node is None:
            return False
        node[0] -= share.gpus
        node[1] -= share.cpus
    return True


def _sum(plan: Plan, resource: str) -> str:
    total = getattr(plan, resource)
    each = {
        "rollout engines": (plan.engines, getattr(plan.engine, resource)),
        "learner ranks": (plan.ranks, getattr(plan.rank, resource)),
        **{
            f"engines of {each.section}": (each.engines, getattr(each.engine, resource))
            for each in plan.hosted
        },
    }
    text = _count(total, resource[:-1].upper())
    terms = [f"{num} {what} x {share:g}" for what, (num, share) in each.items() if num and share]
    return f"{text} ({' + '.join(terms)})" if terms else text


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _advice(plan: Plan, nodes: Sequence[Node]) -> str:
    """The largest smaller run that fits: first fewer ranks, then fewer engines too."""
    for smaller in _smaller(plan):
        if _fits(smaller.shares, nodes):
            old, new = _settings(plan), _settings(smaller)
            changes = [f"{key}={num}" for key, num in new.items() if num != old[key]]
            return f"set {' '.join(changes)}, or add machines"
    sections = ["rollout"] * bool(plan.engines) + ["learner"] * bool(plan.ranks)
    sections += [each.section for each in plan.hosted]
    if plan.gpus:
        changes = [
            f"{section}.{'gpus_per_rank' if section == 'learner' else 'gpus_per_engine'}=0"
            for section in sections
        ]
        return f"set {' '.join(changes)} to run on CPUs, or add machines"
    changes = [f"{section}.threads=1" for section in sections]
    return f"set {' '.join(changes)}, or start Ray with a larger --num-cpus"


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with as many actors or fewer, at least one of each kind that there is."""
    most_hosted = max((each.engines for each in plan.hosted), default=1)
    least_ranks = min(plan.ranks, 1)  # an evaluation by itself has no ranks
    for cap in range(most_hosted, 0, -1):
        hosted = tuple(replace(each, engines=min(each.engines, cap)) for each in plan.hosted)
        for engines in range(plan.engines, 0, -1):
            for ranks in range(plan.ranks, least_ranks - 1, -1):
                yield replace(plan, engines=engines, ranks=ranks, hosted=hosted)


def _settings(plan: Plan) -> Mapping[str, int]:
    hosted = {f"{each.section}.engines": each.engines for each in plan.hosted}
    return {"learner.ranks": plan.ranks, "rollout.engines": plan.engines, **hosted}
