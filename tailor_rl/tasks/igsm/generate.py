"""Draw a problem of exactly so many operations, as the published iGSM generator does.

Sources: Ye et al., "Physics of Language Models: Part 2.1" (arXiv 2407.20311), its light sampling;
re-derived from a description. Four stages:

    core      which parameters the question will need (abstract ones first, then instances)
    order     backwards from the question, with the edges that make all of them needed
    operands  further operands until the operations are exactly `ops`
    rest      sentences for every other instance parameter: distractors

Differences: a problem's template is also blind to the order of definitions and summands, and what
no attempt can satisfy is drawn again as a whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tailor_rl.tasks.igsm.puzzle import Definition, Formulas, Parameter, Puzzle
from tailor_rl.tasks.igsm.structure import Shape, World, draw_world

MAX_OPERANDS = 4  # of one sentence, the constant among them
MAX_ANSWER = 1000  # with modulo 0, answers stay below it
_MAX_VALUE = 10**6  # ... and what is computed on the way below this
_RETRIES = 100  # published: 1000; a core that fails so often is nearly always hopeless

Definitions = dict[Parameter, Definition]


@dataclass(frozen=True, slots=True)
class Draft:
    """A problem before its distractors: enough to tell its split and its answer."""

    world: World
    order: tuple[Parameter, ...]  # what the question needs, operands first; the question is last
    definitions: Definitions
    template: str
    answer: int


def draw_draft(rng: Random, shape: Shape, *, ops: int) -> Draft:
    """A draft whose solution takes exactly `ops` operations."""
    while True:
        world = draw_world(rng, shape, ops=ops)
        implied = _implied(world)
        core = _draw_core(rng, world, implied, ops=ops)
        drawn = _draw_order(rng, core, implied)
        if drawn is None:
            continue
        order, links = drawn
        extra = _spread(rng, order, implied, ops - sum(_base_ops(p, implied) for p in order))
        if extra is None:
            continue
        definitions = _draw_operands(rng, order, implied, links, extra, shape=shape)
        formulas = Formulas(definitions.items(), world.kinds, modulo=shape.modulo)
        assert sum(len(formulas.steps(p)) for p in order) == ops, (ops, order)
        values = formulas.values(order)
        answer = values[order[-1]]
        if not shape.modulo and (
            abs(answer) >= MAX_ANSWER or max(map(abs, values.values())) >= _MAX_VALUE
        ):
            continue
        return Draft(world, tuple(order), definitions, formulas.template(order), answer)


def finish(rng: Random, draft: Draft, shape: Shape) -> Puzzle:
    """The problem as it is told: distractors added, sentences shuffled."""
    definitions = {**draft.definitions, **_distractors(rng, draft, shape)}
    sentences = list(definitions.items())
    rng.shuffle(sentences)
    named = {name for parameter in definitions for name in parameter}
    kinds = tuple(
        (category, tuple(sorted(item for item in items if item in named)))
        for category, items in draft.world.kinds
    )
    return Puzzle(tuple(sentences), draft.order[-1], kinds, shape.modulo)


Implied = dict[Parameter, tuple[Parameter, ...]]  # abstract parameter -> its operands


def _implied(world: World) -> Implied:
    blank = ((edge, Definition(constant=0)) for edge in world.edges)
    formulas = Formulas(blank, world.kinds, modulo=0)
    return {parameter: formulas.operands(parameter) for parameter in formulas.abstract()}


def _base_ops(parameter: Parameter, implied: Implied) -> int:
    """Operations before any operand is added: the sum, or the sum of products, or one sentence."""
    return max(1, len(implied.get(parameter, ())) - 1)


def _draw_core(rng: Random, world: World, implied: Implied, *, ops: int) -> list[Parameter]:
    """Abstract parameters with all that they imply, those that reach furthest first, then instance
    parameters, within a share of `ops` that is drawn.
    """
    room = max(rng.randint(1, ops), rng.randint(1, ops))
    most = rng.randint(room, ops)
    depth = {item: i for i, (_, items) in enumerate(world.kinds) for item in items}
    level = {category: i for i, (category, _) in enumerate(world.kinds)}
    by_reach = rng.sample(list(implied), len(implied))
    by_reach.sort(key=lambda parameter: depth[parameter[0]] - level[parameter[1]])
    core: dict[Parameter, None] = {}
    spent = 0
    for parameter in by_reach:
        fresh = [p for p in _closure(parameter, implied) if p not in core]
        cost = sum(_base_ops(p, implied) for p in fresh)
        if spent + cost <= room:
            core.update(dict.fromkeys(fresh))
            spent += cost
    others = [edge for edge in world.edges if edge not in core]
    core.update(dict.fromkeys(rng.sample(others, min(len(others), most - spent))))
    return list(core)


def _closure(parameter: Parameter, implied: Implied) -> list[Parameter]:
    found = [parameter]
    for member in found:  # grows while it is walked
        found.extend(p for p in implied.get(member, ()) if p not in found)
    return found


Links = dict[Parameter, Parameter]  # instance parameter -> the operand that it must have


def _draw_order(
    rng: Random, core: Sequence[Parameter], implied: Implied
) -> tuple[list[Parameter], Links] | None:
    """The core with operands first, and links so that the question, its last, needs all of it."""
    eagerness, to_abstract, to_new = rng.random(), abs(rng.gauss(0, 1)), abs(rng.gauss(0, 1))

    def weight(parameter: Parameter, is_new: bool) -> float:
        return math.exp(to_abstract * (parameter in implied) + to_new * is_new)

    total_users = Counter(operand for p in core for operand in implied.get(p, ()))
    for _ in range(_RETRIES):
        users = total_users.copy()
        loose = [p for p in core if p not in users]  # nothing needs them yet
        available = [loose.pop(rng.randrange(len(loose)))]
        placed: list[Parameter] = []
        links: Links = {}
        while available:
            parameter = available.pop(rng.randrange(len(available)))
            placed.append(parameter)
            for operand in implied.get(parameter, ()):
                users[operand] -= 1
                if not users[operand]:
                    available.append(operand)
            candidates = [*available, *loose]
            unneeded = available and rng.random() >= eagerness
            if parameter in implied or not candidates or unneeded:
                continue
            weights = [weight(p, i >= len(available)) for i, p in enumerate(candidates)]
            links[parameter] = chosen = rng.choices(candidates, weights)[0]
            if chosen in loose:
                loose.remove(chosen)
                available.append(chosen)
        if len(placed) == len(core):
            return placed[::-1], links
    return None


def _spread(
    rng: Random, order: Sequence[Parameter], implied: Implied, ops: int
) -> Counter[Parameter] | None:
    """`ops` operations more than the base ones, over the sentences that have room for them."""
    if ops < 0:
        return None
    room = {
        parameter: min(MAX_OPERANDS - 2, place - 1)  # operands: what comes before, and a constant
        for place, parameter in enumerate(order)
        if place > 1 and parameter not in implied
    }
    extra = Counter[Parameter]()
    for _ in range(ops):
        if not room:
            return None
        parameter = rng.choice(list(room))
        extra[parameter] += 1
        if extra[parameter] == room[parameter]:
            del room[parameter]
    return extra


def _draw_operands(
    rng: Random,
    order: Sequence[Parameter],
    implied: Implied,
    links: Links,
    extra: Counter[Parameter],
    *,
    shape: Shape,
) -> Definitions:
    """The needed sentences: 2 operands more than the extra operations, or 1 or 2 without them."""
    definitions = {}
    for place, parameter in enumerate(order):
        if parameter in implied:
            continue
        count = extra[parameter] + 2 if extra[parameter] else rng.choice((1, 2))
        count = min(count, place + 1)
        chosen: list[Parameter | None] = [links[parameter]] if parameter in links else []
        if len(chosen) < count and rng.random() < 0.5:
            chosen.append(None)  # the constant
        others = [p for p in (None, *order[:place]) if p not in chosen]
        chosen.extend(rng.sample(others, count - len(chosen)))
        definitions[parameter] = _draw_definition(rng, chosen, shape)
    return definitions


def _distractors(rng: Random, draft: Draft, shape: Shape) -> Definitions:
    """A sentence for every other instance parameter; half depend on other such ones alone."""
    placed, independent = list(draft.order), list[Parameter]()
    definitions = {}
    others = [edge for edge in draft.world.edges if edge not in draft.definitions]
    for parameter in rng.sample(others, len(others)):
        alone = rng.random() < 0.5
        pool = independent if alone else placed
        count = 1
        while count < MAX_OPERANDS and rng.random() < 0.5:
            count += 1
        chosen: list[Parameter | None] = [None] if not pool or rng.random() < 0.5 else []
        chosen.extend(rng.sample(pool, min(len(pool), count - len(chosen))))
        definitions[parameter] = _draw_definition(rng, chosen, shape)
        placed.append(parameter)
        if alone:
            independent.append(parameter)
    return definitions


def _draw_definition(rng: Random, chosen: Sequence[Parameter | None], shape: Shape) -> Definition:
    """The sentence over these operands; None is the constant."""
    operands = [operand for operand in chosen if operand is not None]
    rng.shuffle(operands)
    minus = len(operands) == 2 and rng.random() < 0.5
    if None not in chosen:
        return Definition(tuple(operands), minus=minus)
    times = bool(operands) and rng.random() < 0.5
    constant = rng.randint(1 if times else 0, shape.max_constant)
    return Definition(tuple(operands), constant, times=times, minus=minus)
