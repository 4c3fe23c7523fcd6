"""Candidates that say what an earlier one says, in its words or in others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tailor_rl.measures.embedding import Embedder
from tailor_rl.primitives.library import copies, similarity
from tailor_rl.primitives.safety import Refusal
from tailor_rl.printable import one_line
from tailor_rl.types import Primitive


def duplicates(
    primitives: Sequence[Primitive],
    *,
    problems: Sequence[str],
    embedder: Embedder,
    max_similarity: float,
    max_meaning_similarity: float,
) -> dict[int, Refusal]:
    """Refusals by place: the earliest of those that are alike stays.

    Reasons: "copied-problem" (repeats a passage of `problems`), "near-duplicate" (rapidfuzz ratio
    of the instructions above `max_similarity`, 0 to 100), "meaning-duplicate" (cosine of their
    embeddings above `max_meaning_similarity`).
    """
    refused: dict[int, Refusal] = {}
    if not primitives:
        return refused
    points_ND = embedder([primitive.instruction for primitive in primitives])
    cosines_NN = points_ND @ points_ND.T
    kept: list[int] = []
    for place, primitive in enumerate(primitives):
        if copies(primitive.instruction, problems):
            refused[place] = Refusal("copied-problem", "repeats a passage of a problem")
        elif found := _alike(place, kept, primitives, cosines_NN, max_similarity,
                             max_meaning_similarity):  # fmt: skip
            refused[place] = found
        else:
            kept.append(place)
    return refused


def _alike(
    place: int,
    kept: Sequence[int],
    primitives: Sequence[Primitive],
    cosines_NN: np.ndarray,
    max_similarity: float,
    max_meaning_similarity: float,
) -> Refusal | None:
    if not kept:
        return None
    instruction = primitives[place].instruction
    ratios = [similarity(instruction, primitives[other].instruction) for other in kept]
    closest = int(np.argmax(ratios))
    if ratios[closest] > max_similarity:
        said = f"is {ratios[closest]:.0f} % like {_named(primitives[kept[closest]])} in its words"
        return Refusal("near-duplicate", said)
    nearest = max(kept, key=lambda other: cosines_NN[place, other])
    cosine = float(cosines_NN[place, nearest])
    if cosine > max_meaning_similarity:
        said = f"means the same as {_named(primitives[nearest])} (cosine {cosine:.3f})"
        return Refusal("meaning-duplicate", said)
    return None


def _named(primitive: Primitive) -> str:
    return f"{one_line(primitive.id, 60)} ({one_line(primitive.name, 60)})"
