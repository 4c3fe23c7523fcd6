"""Which things there are and what has what: layers of items and the edges between them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from random import Random

from tailor_rl.tasks.igsm.puzzle import Parameter
from tailor_rl.tasks.igsm.words import CHAINS, Chain

_CENTRES = {2: 0.2, 3: 0.5, 4: 0.8}  # the share of the largest size at which each number is likely


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a world may be, and its numbers. Sources: the published "light" sampling."""

    max_edges: int
    layers: tuple[int, ...] = (2, 3, 4)
    widths: tuple[int, ...] = (2, 3, 4)  # items in a layer
    chains: tuple[Chain, ...] = CHAINS
    modulo: int = 23

    @property
    def max_constant(self) -> int:
        return self.modulo - 1 if self.modulo else 9


@dataclass(frozen=True, slots=True)
class World:
    """`kinds` are the layers with their category, from the top; `edges` the instance parameters."""

    kinds: tuple[tuple[str, tuple[str, ...]], ...]
    edges: tuple[Parameter, ...]


def draw_world(rng: Random, shape: Shape, *, ops: int) -> World:
    """A world for a problem of `ops` operations: the more, the larger."""
    share = (ops - 1) / (shape.max_edges - 1)
    depth = _draw_size(rng, shape.layers, share)
    low, high = sorted(_draw_size(rng, shape.widths, share) for _ in range(2))
    fewest, most = (depth - 1) * low, (depth - 1) * high**2
    num_edges = min(rng.randint(fewest, max(fewest, shape.max_edges)) for _ in range(2))
    num_edges = min(max(num_edges, fewest), most)
    sizes = _layer_sizes(rng, depth, low=low, high=high, num_edges=num_edges)
    kinds = _named_layers(rng, rng.choice(shape.chains), sizes)
    return World(kinds, _draw_edges(rng, [items for _, items in kinds], num_edges))


def _draw_size(rng: Random, sizes: tuple[int, ...], share: float) -> int:
    weights = [math.exp(-((share - _CENTRES[size]) ** 2)) for size in sizes]
    return rng.choices(sizes, weights)[0]


def _layer_sizes(rng: Random, depth: int, *, low: int, high: int, num_edges: int) -> list[int]:
    """Layers grow while the edges do not fit, and by chance while every item still gets a
    parent.
    """
    sizes, growth = [low] * depth, rng.random()
    while True:
        most = sum(a * b for a, b in itertools.pairwise(sizes))
        if most >= num_edges and (sum(sizes[1:]) == num_edges or rng.random() >= growth):
            return sizes
        growing = [i for i, size in enumerate(sizes) if size < high]
        if not growing:
            return sizes
        sizes[rng.choice(growing)] += 1


def _named_layers(
    rng: Random, chain: Chain, sizes: list[int]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    start = rng.randint(0, len(chain) - len(sizes))
    window = chain[start : start + len(sizes)]
    return tuple(
        (category, tuple(rng.sample(rng.choice(groups), size)))
        for (category, groups), size in zip(window, sizes, strict=True)
    )


def _draw_edges(
    rng: Random, layers: list[tuple[str, ...]], num_edges: int
) -> tuple[Parameter, ...]:
    """Every item below the top has a parent; the other edges are drawn from the absent pairs."""
    pairs = list(itertools.pairwise(layers))
    edges = [(rng.choice(upper), thing) for upper, lower in pairs for thing in lower]
    present = set(edges)
    absent = [
        (owner, thing)
        for upper, lower in pairs
        for owner in upper
        for thing in lower
        if (owner, thing) not in present
    ]
    return tuple(edges + rng.sample(absent, min(len(absent), max(0, num_edges - len(edges)))))
