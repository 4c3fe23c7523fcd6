"""k of the primitives: every error pattern first, then as different from each other as can be.

The choice is the beginning of one ranking, which does not depend on k: the 4 that are selected are
among the 8, and those among the 16, so an ablation over k adds primitives and exchanges none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from tailor_rl.errors import TailorError
from tailor_rl.primitives.patterns import Embed, Pattern, group_patterns
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Primitive

_DIGITS = 9  # of a distance: beyond them machines differ, and ties would fall differently


class NotEnoughPrimitives(TailorError, ValueError):
    """Fewer primitives are left than are to be selected."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Pick:
    """Why a primitive was selected. `turn` is its place among the primitives against its pattern,
    `distance` the cosine distance to the nearest one selected before it (1.0 for the first).
    """

    primitive_id: str
    rank: int
    pattern: str
    num_attempts: int  # that the pattern was seen in
    turn: int
    distance: float

    @property
    def reason(self) -> str:
        """One sentence for people."""
        seen = f"seen in {self.num_attempts} attempts" if self.num_attempts else "of no attempt"
        if self.turn == 1:
            return f"the first against its pattern ({seen})"
        return f"number {self.turn} against its pattern, {self.distance:.2f} from the nearest"


@dataclass(frozen=True, slots=True)
class Selection:
    """The primitives in the order of their ranks, and why each was picked."""

    primitives: list[Primitive]
    picks: list[Pick]


def select(primitives: Sequence[Primitive], *, k: int, embedder: Embed, seed: int) -> Selection:
    """`k` primitives, the same whatever the order of `primitives`.

    In turns: each error pattern gives one before any gives two, the most frequent first. Of the
    primitives whose turn it is, the one farthest (cosine of the instructions' embeddings) from all
    that are selected is taken: Gonzalez's farthest-point rule. The very first is the one nearest to
    the others whose turn it is. `seed` decides between equals.
    Raises NotEnoughPrimitives where there are fewer than `k`, ValueError where an id comes twice.
    """
    if k < 1:
        raise ValueError(f"k is {k}, and must be at least 1.")
    if len(primitives) < k:
        raise NotEnoughPrimitives(
            f"{k} primitives are to be selected, but only {len(primitives)} are there: lower"
            " primitives.num_primitives or bring more candidates"
        )
    # One order whatever was given: also the last digits of an embedding may depend on its place.
    ordered = sorted(primitives, key=lambda primitive: primitive.id)
    by_id = {primitive.id: primitive for primitive in ordered}
    if len(by_id) < len(ordered):
        raise ValueError("Two primitives have the same id.")
    picks = _ranking(ordered, embedder, seed=seed)[:k]
    return Selection([by_id[pick.primitive_id] for pick in picks], picks)


def _ranking(ordered: Sequence[Primitive], embedder: Embed, *, seed: int) -> list[Pick]:
    """Every primitive once, by turns, then by the frequency of its pattern, then by distance."""
    points_ND = embedder([primitive.instruction for primitive in ordered])
    distance_NN = np.round(1.0 - points_ND @ points_ND.T, _DIGITS)
    nearest_N = np.full(len(ordered), np.inf)  # distance to the nearest that was picked
    luck = [derive_seed(seed, primitive.id) for primitive in ordered]
    index = {primitive.id: i for i, primitive in enumerate(ordered)}
    patterns = group_patterns(ordered, embedder=embedder)
    left = {pattern: [index[name] for name in pattern.primitive_ids] for pattern in patterns}
    picks: list[Pick] = []
    for turn, waiting in _turns(patterns):
        while waiting:
            pool = {i: pattern for pattern in waiting for i in left[pattern]}
            score_N = nearest_N if picks else -distance_NN[:, list(pool)].sum(axis=1)
            best = min(pool, key=lambda i: (-score_N[i], luck[i], ordered[i].id))
            distance = float(nearest_N[best]) if picks else 1.0
            picks.append(_pick(ordered[best], pool[best], len(picks) + 1, turn, distance))
            nearest_N = np.minimum(nearest_N, distance_NN[best])
            left[pool[best]].remove(best)
            waiting.remove(pool[best])
    return picks


def _turns(patterns: Sequence[Pattern]) -> Iterator[tuple[int, list[Pattern]]]:
    """(turn, patterns that are seen equally often and have so many primitives), in order."""
    most = max((len(pattern.primitive_ids) for pattern in patterns), default=0)
    for turn in range(1, most + 1):
        able = [pattern for pattern in patterns if len(pattern.primitive_ids) >= turn]
        for _, equals in groupby(able, key=lambda pattern: pattern.num_attempts):
            yield turn, list(equals)


def _pick(primitive: Primitive, pattern: Pattern, rank: int, turn: int, distance: float) -> Pick:
    return Pick(
        primitive_id=primitive.id,
        rank=rank,
        pattern=pattern.text,
        num_attempts=pattern.num_attempts,
        turn=turn,
        distance=max(0.0, distance),
    )
