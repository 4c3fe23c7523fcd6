"""Error patterns: which primitives repair the same one, whatever words the teacher used for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

from tailor_rl.primitives.library import plain
from tailor_rl.types import Primitive

# High, because likeness is passed on: two patterns are one also through a third that is like both.
SAME_TEXT = 90.0  # rapidfuzz ratio
SAME_MEANING = 0.9  # cosine of embeddings

Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An error pattern and the primitives against it, by id. `num_attempts`: the different attempts
    that its primitives were written from, which is how often it is taken to be seen.
    """

    text: str
    primitive_ids: tuple[str, ...]
    num_attempts: int


def group_patterns(primitives: Sequence[Primitive], *, embedder: Embed) -> list[Pattern]:
    """The patterns, the most frequent first, ties by the first id; each primitive is in one.

    Patterns are one when they have the same words, or are alike by text or by meaning. The groups
    are connected components, so they do not depend on the order of `primitives`. A pattern without
    words (a primitive written by hand) stands alone.
    """
    if not primitives:
        return []
    ordered = sorted(primitives, key=lambda primitive: primitive.id)
    keys = [plain(primitive.targets) or f"\0{primitive.id}" for primitive in ordered]
    texts = sorted(set(keys))
    groups = dict(zip(texts, _components(_alike(texts, embedder)), strict=True))
    members: dict[int, list[Primitive]] = {}
    for primitive, key in zip(ordered, keys, strict=True):
        members.setdefault(groups[key], []).append(primitive)
    patterns = [_pattern(group) for group in members.values()]
    return sorted(patterns, key=lambda p: (-p.num_attempts, p.primitive_ids[0]))


def _alike(texts: Sequence[str], embedder: Embed) -> np.ndarray:
    """(N, N) bool: whether two patterns are the same."""
    text_NN = process.cdist(texts, texts, scorer=fuzz.ratio, dtype=np.float64)
    points_ND = embedder(texts)
    alike_NN = (text_NN >= SAME_TEXT) | (points_ND @ points_ND.T >= SAME_MEANING)
    alone_N = np.array([text.startswith("\0") for text in texts])
    alike_NN[alone_N, :] = alike_NN[:, alone_N] = False
    return np.asarray(alike_NN | np.eye(len(texts), dtype=bool))


def _components(alike_NN: np.ndarray) -> list[int]:
    """The number of each one's connected component: that of its first member."""
    component = [-1] * len(alike_NN)
    for start in range(len(alike_NN)):
        waiting = [start] if component[start] < 0 else []
        while waiting:
            i = waiting.pop()
            if component[i] < 0:
                component[i] = start
                waiting += np.flatnonzero(alike_NN[i]).tolist()
    return component


def _pattern(members: Sequence[Primitive]) -> Pattern:
    """Named after its first member; `members` are sorted by id."""
    seen = {attempt for member in members for attempt in member.source_attempt_ids}
    return Pattern(
        text=members[0].targets,
        primitive_ids=tuple(member.id for member in members),
        num_attempts=len(seen),
    )
