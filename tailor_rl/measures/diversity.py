"""How different from each other the traces of a set are. Numpy and rapidfuzz only; knows nothing
about tasks or files.

Legend: N texts, D dimensions of their embedding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from rapidfuzz import fuzz

from tailor_rl.measures.words import words

NUM_PAIRS = 2_000  # pairs of texts that are compared letter by letter
OPENING = 3  # words that make up an opening


def mean_distance(points_ND: np.ndarray) -> float:
    """Mean cosine distance 1 - <x, y> over all pairs of two different texts; 0 for one text.

    With s the sum of the rows, which have norm 1: 1 - (|s|^2 - N) / (N (N - 1)).
    """
    num = len(points_ND)
    if num < 2:
        return 0.0
    total_D = points_ND.sum(axis=0)
    return max(0.0, 1.0 - (float(total_D @ total_D) - num) / (num * (num - 1)))


def vendi_score(points_ND: np.ndarray) -> float:
    """The effective number of different texts (Friedman & Dieng, arXiv 2210.02410, eq. 2; q = 1).

    exp(-sum_i l_i ln l_i) over the eigenvalues l of K / N, K the cosines of all pairs: 1 where all
    are alike, N where no two have anything in common, and the same when the set is doubled. The
    eigenvalues that are not 0 are those of X^T X / N too: the smaller of the two is decomposed, so
    no set has to be thinned out. ValueError without texts.
    """
    if not len(points_ND):
        raise ValueError("the Vendi score of no texts is not defined; give at least one")
    used_NU = points_ND[:, points_ND.any(axis=0)]
    num, num_used = used_NU.shape
    gram = used_NU @ used_NU.T if num <= num_used else used_NU.T @ used_NU
    values = np.linalg.eigvalsh(gram / num)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams (Li et al., arXiv 1510.03055); 0 where there is
    none. Falls with the size of a set: compare sets of equal size only.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        found = words(text)
        grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
        seen.update(grams)
        total += len(grams)
    return len(seen) / total if total else 0.0


def self_similarity(texts: Sequence[str], *, seed: int, num_pairs: int = NUM_PAIRS) -> float:
    """Mean share of letters in common (rapidfuzz's ratio, 0 to 1) of pairs of different texts: all
    pairs, or a random `num_pairs` of them, with repetition. 1 for a single text.
    """
    num = len(texts)
    if num < 2:
        return 1.0
    if num * (num - 1) // 2 <= num_pairs:
        pairs = np.array(list(itertools.combinations(range(num), 2)))
    else:
        rng = np.random.default_rng(seed)
        first = rng.integers(0, num, size=num_pairs)
        # Never a text with itself.
        pairs = np.stack([first, (first + rng.integers(1, num, size=num_pairs)) % num], axis=1)
    return float(np.mean([fuzz.ratio(texts[a], texts[b]) for a, b in pairs])) / 100


def num_openings(abstract: Sequence[Sequence[str]]) -> int:
    """In how many ways the texts begin: distinct first three words."""
    return len({tuple(found[:OPENING]) for found in abstract})
