"""What the teacher is told at each try at each query: which primitive it follows, if any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tailor_rl.seeds import derive_seed
from tailor_rl.teachers.prompts import Asked, Prompts
from tailor_rl.types import Primitive, Problem


@dataclass(frozen=True, slots=True)
class Guide:
    """One request for a trace. `label` tells apart demonstrations of one problem."""

    asked: Asked
    label: str
    primitive_id: str | None = None


Guides = Callable[[Problem, int], Guide]  # of a problem and the number of the try, from 0


def unguided(prompts: Prompts) -> Guides:
    """Plain step-by-step thinking."""
    return lambda problem, sample: Guide(
        prompts.demonstrate(problem.prompt, instruction=None), "plain"
    )


def with_habits(prompts: Prompts) -> Guides:
    """All four habits of "Four Habits of Highly Effective STaRs"."""
    return lambda problem, sample: Guide(prompts.habits(problem.prompt), "habits")


def following(
    prompts: Prompts, primitives: Sequence[Primitive], problems: Sequence[Problem], *, seed: int
) -> Guides:
    """A sampled primitive for each problem (arXiv 2511.12429).

    First draws are balanced: no primitive is given to two problems more than another. A further
    try takes the next primitive of an order that `seed` and the problem's id decide.
    """
    first = deal(problems, len(primitives), seed=seed)

    def guide(problem: Problem, sample: int) -> Guide:
        order = _order(problem.id, first[problem.id], len(primitives), seed=seed)
        return _followed(prompts, problem, primitives[order[sample % len(order)]])

    return guide


def assigned(prompts: Prompts, primitives: Mapping[str, Primitive]) -> Guides:
    """The primitive given for each problem's id, at every try."""
    return lambda problem, sample: _followed(prompts, problem, primitives[problem.id])


def exchanged(assignment: Mapping[str, str], *, seed: int) -> dict[str, str]:
    """Each problem gets another problem's primitive: {problem id: primitive id}.

    The same primitives as often as before, and as few problems with their own as there can be.
    """
    ids = sorted(assignment, key=lambda name: derive_seed(seed, "exchange", name))
    ids.sort(key=lambda name: assignment[name])  # stable: problems of one primitive are neighbours
    most = max(Counter(assignment.values()).values(), default=0)
    # Moved on by the longest run of one primitive, nobody meets the own one again, unless most have
    # the same.
    after = {name: assignment[ids[(i + most) % len(ids)]] for i, name in enumerate(ids)}
    # Moved on, all problems of one primitive would have another one together: mixed, they do not.
    rng = np.random.default_rng(derive_seed(seed, "mix"))
    for one, place in zip(ids, rng.permutation(len(ids)), strict=True):
        other = ids[place]
        if assignment[one] != after[other] and assignment[other] != after[one]:
            after[one], after[other] = after[other], after[one]
    return after


def pairs(primitives: Sequence[Primitive], *, num: int, seed: int) -> list[Primitive]:
    """`num` primitives made of two each, or all pairs where there are fewer.

    In a seeded order in which every primitive comes about equally often.
    """
    every = list(combinations(primitives, 2))
    order = np.random.default_rng(derive_seed(seed, "pairs")).permutation(len(every))
    used = dict.fromkeys((primitive.id for primitive in primitives), 0)
    left = [every[i] for i in order]
    chosen: list[Primitive] = []
    while left and len(chosen) < num:
        pair = min(left, key=lambda two: used[two[0].id] + used[two[1].id])
        left.remove(pair)
        chosen.append(_combined(*pair))
        for primitive in pair:
            used[primitive.id] += 1
    return chosen


def followed(primitive_id: str | None, known: Collection[str]) -> tuple[str, ...]:
    """Those of the `known` ids that a trace's id speaks of: its own, or both of a pair's."""
    name = primitive_id or ""
    if name in known:
        return (name,)
    return tuple(k for k in known if name.startswith(f"{k}+") or name.endswith(f"+{k}"))


def deal(problems: Sequence[Problem], num: int, *, seed: int) -> dict[str, int]:
    """A number below `num` for each problem id: the ids in a seeded order, dealt out like cards."""
    ids = sorted((p.id for p in problems), key=lambda name: derive_seed(seed, name))
    cards = np.random.default_rng(seed).permutation(num)
    return {problem_id: int(cards[i % num]) for i, problem_id in enumerate(ids)}


def _order(problem_id: str, first: int, num: int, *, seed: int) -> list[int]:
    """Every primitive once: the balanced draw, then the others in this problem's own order."""
    rng = np.random.default_rng(derive_seed(seed, problem_id))
    return [first, *(int(i) for i in rng.permutation(num) if i != first)]


def _followed(prompts: Prompts, problem: Problem, primitive: Primitive) -> Guide:
    asked = prompts.demonstrate(problem.prompt, instruction=primitive.instruction)
    return Guide(asked, label=primitive.id, primitive_id=primitive.id)


def _combined(one: Primitive, other: Primitive) -> Primitive:
    return Primitive(
        id=f"{one.id}+{other.id}",
        name=f"{one.name}; {other.name}",
        instruction=f"{one.instruction} {other.instruction}",
        targets=f"{one.targets} {other.targets}",
        source_attempt_ids=(*one.source_attempt_ids, *other.source_attempt_ids),
        teacher=one.teacher,
        temperature=one.temperature,
        prompt_version=one.prompt_version,
        parents=(one.id, other.id),
    )
