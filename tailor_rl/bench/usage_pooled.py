"""What the policies of one arm do over RL, over seeds.

The teacher's primitives differ from seed to seed, so what is pooled are facts about styles (how
many are in use, how many grew or died, how often two are combined), never a style by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tailor_rl.bench.estimates import Estimate, bounded
from tailor_rl.bench.student import student_mean
from tailor_rl.bench.traces import TraceUsage
from tailor_rl.bench.usage import Usage
from tailor_rl.measures.habits import HABITS


@dataclass(frozen=True, slots=True)
class PooledTraces:
    """One kind of traces over the runs that have it."""

    label: str
    step: int | None
    effective: Estimate | None
    effective_expected: Estimate | None
    combined: Estimate | None
    clear: Estimate
    unclear: Estimate
    other: Estimate
    accuracy: Estimate
    mean_words: Estimate
    habits: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class PooledUsage:
    """The runs of one arm in one setting. `grew`, `fell`, `died`: styles a run; None where no run
    has two steps.
    """

    num_runs: int
    num_styles: Estimate
    style_accuracy: Estimate
    style_chance: Estimate
    power: Estimate
    floor: PooledTraces
    examples: PooledTraces | None
    base: PooledTraces | None
    steps: tuple[PooledTraces, ...]
    grew: Estimate | None
    fell: Estimate | None
    died: Estimate | None
    effective_change: Estimate | None  # last step minus first
    combined_change: Estimate | None
    excess: Estimate | None


def pool_usage(usages: Sequence[Usage]) -> PooledUsage:
    """Of one arm in one setting, a run each seed: means with Student's 95 % interval, without one
    for a single run. ValueError without runs.
    """
    if not usages:
        raise ValueError("no run's usage was given: there is nothing to pool")
    floor = _pooled([usage.floor for usage in usages])
    assert floor is not None, usages
    steps = sorted({seen.step for usage in usages for seen in usage.steps if seen.step is not None})
    changed = [usage for usage in usages if usage.changes]
    return PooledUsage(
        num_runs=len(usages),
        num_styles=_amount(usage.quality.num_styles for usage in usages),
        style_accuracy=_share(usage.quality.style_accuracy for usage in usages),
        style_chance=_share(usage.quality.style_chance for usage in usages),
        power=_share(usage.quality.power for usage in usages),
        floor=floor,
        examples=_pooled([usage.examples for usage in usages]),
        base=_pooled([usage.base for usage in usages]),
        steps=tuple(
            pooled
            for step in steps
            if (pooled := _pooled([_at(usage, step) for usage in usages])) is not None
        ),
        grew=_known((_count(usage, "grew") for usage in changed), _amount),
        fell=_known((_count(usage, "fell") for usage in changed), _amount),
        died=_known((_count(usage, "died") for usage in changed), _amount),
        effective_change=_known(_over_rl(usage, lambda seen: seen.effective) for usage in usages),
        combined_change=_known(_over_rl(usage, _combined) for usage in usages),
        excess=_known(usage.excess.value if usage.excess else None for usage in usages),
    )


def without_styles(usage: Usage) -> Usage:
    """What `pool_usage` reads of a run: a hundredth of it."""
    return replace(
        usage,
        run=Path(usage.run).name,
        primitives_of=Path(usage.primitives_of).name,
        styles=(),
        floor=_bare(usage.floor),
        examples=usage.examples and _bare(usage.examples),
        base=usage.base and _bare(usage.base),
        steps=tuple(map(_bare, usage.steps)),
    )


def _bare(seen: TraceUsage) -> TraceUsage:
    return replace(seen, styles=(), combinations=())


def _at(usage: Usage, step: int) -> TraceUsage | None:
    return next((seen for seen in usage.steps if seen.step == step), None)


def _count(usage: Usage, verdict: str) -> int:
    return sum(change.verdict == verdict for change in usage.changes)


def _combined(seen: TraceUsage) -> float | None:
    return seen.combined.value if seen.combined else None


def _over_rl(usage: Usage, fact: Callable[[TraceUsage], float | None]) -> float | None:
    """The last step's fact minus the first's; None unless there are two steps that have it."""
    if len(usage.steps) < 2:
        return None
    first, last = fact(usage.steps[0]), fact(usage.steps[-1])
    return None if first is None or last is None else last - first


def _pooled(several: Iterable[TraceUsage | None]) -> PooledTraces | None:
    seen = [each for each in several if each is not None]
    if not seen:
        return None
    return PooledTraces(
        label=seen[0].label,
        step=seen[0].step,
        effective=_known((each.effective for each in seen), _amount),
        effective_expected=_known((each.effective_expected for each in seen), _amount),
        combined=_known(map(_combined, seen), _share),
        clear=_share(each.clear.value for each in seen),
        unclear=_share(each.unclear.value for each in seen),
        other=_share(each.other.value for each in seen),
        accuracy=_share(each.accuracy.value for each in seen),
        mean_words=_amount(each.mean_words for each in seen),
        habits={habit: _amount(each.habits[habit] for each in seen) for habit in HABITS},
    )


def _known(
    values: Iterable[float | None], pool: Callable[[Iterable[float]], Estimate] | None = None
) -> Estimate | None:
    """Over the runs that have a value; None where none has."""
    known = [value for value in values if value is not None]
    return (pool or _mean)(known) if known else None


def _mean(values: Iterable[float]) -> Estimate:
    return student_mean(list(values)).estimate


def _share(values: Iterable[float]) -> Estimate:
    return bounded(_mean(values), high=1.0)


def _amount(values: Iterable[float]) -> Estimate:
    return bounded(_mean(values))
