"""Two libraries beside each other: what a merge keeps, and where they differ.

Knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz import fuzz, process

from tailor_rl.primitives.library import plain
from tailor_rl.types import Primitive

SAME = 100.0


@dataclass(frozen=True, slots=True)
class Source:
    """A library with the label by which its primitives are told from another's."""

    label: str
    primitives: Sequence[Primitive]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A primitive that a merge left out, and the one that it is `likeness` (0 to 100) like.

    `origin` and `like` are "label/id" in the libraries, `kept_id` the new id of the one like it.
    """

    origin: str
    instruction: str
    like: str
    kept_id: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Merged:
    primitives: list[Primitive]
    dropped: list[Dropped]


@dataclass(frozen=True, slots=True)
class Pair:
    """A primitive of each library and their likeness, 0 to 100."""

    first: Primitive
    second: Primitive
    likeness: float


@dataclass(frozen=True, slots=True)
class Difference:
    """`same`: pairs with the same words. Every primitive is in exactly one of the four."""

    same: list[Pair]
    alike: list[Pair]
    only_first: list[Primitive]
    only_second: list[Primitive]


def merge(sources: Sequence[Source], *, max_similarity: float) -> Merged:
    """The primitives of all libraries, numbered anew in their order.

    One that is more than `max_similarity` like an earlier one is dropped. `parents` of a kept one
    begins with where it came from: "label/id".
    """
    kept: list[Primitive] = []
    dropped: list[Dropped] = []
    for source in sources:
        for primitive in source.primitives:
            origin = f"{source.label}/{primitive.id}"
            known = [other.instruction for other in kept]
            best = process.extractOne(
                primitive.instruction, known, scorer=fuzz.ratio, processor=plain
            )
            if best is not None and best[1] > max_similarity:
                like = kept[best[2]]
                dropped.append(
                    Dropped(origin, primitive.instruction, like.parents[0], like.id, best[1])
                )
                continue
            kept.append(
                replace(
                    primitive,
                    id=f"primitive-{len(kept) + 1:03d}",
                    parents=(origin, *primitive.parents),
                )
            )
    return Merged(kept, dropped)


def diff(
    first: Sequence[Primitive], second: Sequence[Primitive], *, min_likeness: float
) -> Difference:
    """Pair the primitives of two libraries, the most alike first, down to `min_likeness`.

    Each is in one pair at most; ties go by id.
    """
    pairs: list[Pair] = []
    left_first = {primitive.id: primitive for primitive in first}
    left_second = {primitive.id: primitive for primitive in second}
    for likeness, one, other in _candidates(first, second, min_likeness):
        if one.id in left_first and other.id in left_second:
            pairs.append(Pair(left_first.pop(one.id), left_second.pop(other.id), likeness))
    return Difference(
        same=[pair for pair in pairs if pair.likeness >= SAME],
        alike=[pair for pair in pairs if pair.likeness < SAME],
        only_first=list(left_first.values()),
        only_second=list(left_second.values()),
    )


def _candidates(
    first: Sequence[Primitive], second: Sequence[Primitive], min_likeness: float
) -> list[tuple[float, Primitive, Primitive]]:
    likeness_FS = process.cdist(
        [plain(p.instruction) for p in first],
        [plain(p.instruction) for p in second],
        scorer=fuzz.ratio,
        dtype=np.float64,
    )
    found = [
        (float(likeness_FS[i, j]), first[i], second[j])
        for i, j in np.argwhere(likeness_FS >= min_likeness)
    ]
    return sorted(found, key=lambda row: (-row[0], row[1].id, row[2].id))
