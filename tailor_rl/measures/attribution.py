"""Which of several known ways of reasoning a trace follows, by its words: naive Bayes over the
pieces that it has.

A piece is a run of one to three words without the problem's content (see words.py); in its place
stands where the trace turns to in the prompt. Numpy only; knows nothing about primitives or files.

Legend: N texts, V pieces of the vocabulary, K classes (ways of reasoning), S styles (groups of
classes that are not told apart, see styles.py).
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.measures.words import FUNCTION_WORDS, NAME, NUMBER, REASONING_WORDS, words

MAX_PIECES = 4096  # the most common ones: a matrix of 5,000 texts stays under 100 MB
FEWEST = 2  # texts that have a piece, for it to be one of the vocabulary
LONGEST = 3  # words of a piece
START, END = "^", "$"
SMOOTHING = 1.0  # Laplace's: one text more of every class in which every piece stands
LAPSES = (0.001, 0.003, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)
RARE = 1.0  # percentile of demonstrations below which a trace is unlike them

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")

Piece = tuple[str, ...]


def pieces_of(text: str, prompt: str) -> frozenset[Piece]:
    """The distinct pieces of a whole trace, its beginning "^" and its end "$" among the words."""
    tokens = list(itertools.chain.from_iterable(_sentences(text, prompt)))
    return _grams([START, *tokens, END])


def halves_of(text: str, prompt: str) -> list[frozenset[Piece]]:
    """The distinct pieces of a trace's halves, cut between sentences; a trace of one sentence, or
    one sentence that is nearly all of it, has a single "half".
    """
    sentences = _sentences(text, prompt)
    total = sum(map(len, sentences))
    halves: tuple[list[str], list[str]] = ([], [])
    before = 0
    for found in sentences:
        halves[2 * before + len(found) >= total].extend(found)
        before += len(found)
    filled = [half for half in halves if half] or [[]]
    filled[0].insert(0, START)
    filled[-1].append(END)
    return [_grams(half) for half in filled]


def _sentences(text: str, prompt: str) -> list[list[str]]:
    """Words without the problem's content: numbers are "0", and a word of the prompt is "X>",
    "X<" or "X=": it stands there behind, before or at the one that the trace named last.

    So "the last claim first" is a way of reasoning that can be seen, whatever is claimed.
    """
    places: dict[str, int] = {}
    for i, word in enumerate(words(prompt)):
        if word not in FUNCTION_WORDS and word not in REASONING_WORDS:
            places.setdefault(word, i)
    last, found = -1, []
    for sentence in _SENTENCE_END.split(text):
        tokens = []
        for word in words(sentence):
            place = places.get(word.removesuffix("'s"), places.get(word))
            if word.isdigit():
                tokens.append(NUMBER)
            elif place is not None:
                tokens.append(NAME + (">" if place > last else "<" if place < last else "="))
                last = place
            elif len(word) == 1 and word.isalpha() and word not in "ai":
                tokens.append(NAME)
            else:
                tokens.append(word)
        found.append(tokens)
    return found


def _grams(tokens: Sequence[str]) -> frozenset[Piece]:
    return frozenset(
        tuple(tokens[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(tokens) - n + 1)
    )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The pieces that FEWEST texts or more have, the most common first."""

    columns: dict[Piece, int]

    @classmethod
    def of(cls, texts: Iterable[frozenset[Piece]]) -> Vocabulary:
        counts = Counter(piece for pieces in texts for piece in pieces)
        # By name where counts are equal: the order of a set differs from process to process.
        common = sorted((-count, piece) for piece, count in counts.items() if count >= FEWEST)
        return cls({piece: i for i, (_, piece) in enumerate(common[:MAX_PIECES])})

    def presence(self, texts: Sequence[frozenset[Piece]]) -> Presence:
        has_NV = np.zeros((len(texts), len(self.columns)), dtype=np.float32)
        for row_V, pieces in zip(has_NV, texts, strict=True):
            row_V[[self.columns[piece] for piece in pieces if piece in self.columns]] = 1.0
        return Presence(has_NV, np.array([len(pieces) for pieces in texts], dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Presence:
    """Which pieces of the vocabulary a text has, and how many it has in all, unknown ones too."""

    has_NV: np.ndarray  # float32, 0 or 1
    num_N: np.ndarray

    def of(self, rows_N: np.ndarray, columns_V: np.ndarray) -> Presence:
        """Some of the texts (bool) in a vocabulary of some of the pieces (bool)."""
        return Presence(self.has_NV[np.ix_(rows_N, columns_V)], self.num_N[rows_N])


@dataclass(frozen=True, slots=True)
class Bayes:
    """Multinomial naive Bayes over presence (McCallum & Nigam, 1998; Schneider, 2004, on
    presence): p(piece | class) = (texts of the class with it + 1) / (their pieces + V + 1).
    """

    logp_KV: np.ndarray
    logp_unknown_K: np.ndarray

    @classmethod
    def fit(cls, texts: Presence, labels_N: np.ndarray, num_classes: int) -> Bayes:
        members_KN = (labels_N == np.arange(num_classes)[:, None]).astype(np.float32)
        counts_KV = (members_KN @ texts.has_NV).astype(np.float64) + SMOOTHING
        totals_K1 = counts_KV.sum(axis=1, keepdims=True) + SMOOTHING
        return cls(np.log(counts_KV / totals_K1), np.log(SMOOTHING / totals_K1[:, 0]))

    def scores(self, texts: Presence) -> np.ndarray:
        """(N, K) log-likelihoods of the known pieces."""
        return (texts.has_NV @ self.logp_KV.T.astype(np.float32)).astype(np.float64)

    def typicality(self, texts: Presence) -> np.ndarray:
        """(N,) mean log-likelihood of a piece under the likeliest class, unknown pieces too."""
        unknown_N1 = (texts.num_N - texts.has_NV.sum(axis=1))[:, None]
        totals_NK = self.scores(texts) + unknown_N1 * self.logp_unknown_K
        return np.asarray(totals_NK.max(axis=1) / np.maximum(texts.num_N, 1.0))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Every text scored by a classifier that did not learn from its problem."""

    scores_NK: np.ndarray
    typicality_N: np.ndarray
    num_N: np.ndarray


def held_out(
    texts: Presence, labels_N: np.ndarray, problems_N: Sequence[str], *, seed: int, folds: int = 10
) -> HeldOut:
    """Cross-validation over problems: no problem is both learnt from and judged. ValueError for
    fewer than two problems.
    """
    names = list(dict.fromkeys(problems_N))
    if len(names) < 2:
        raise ValueError(f"{len(names)} problem: nothing is left to learn from; give at least two")
    num_classes = int(labels_N.max()) + 1
    turns = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold_of = dict(zip(names, turns.tolist(), strict=True))
    fold_N = np.array([fold_of[name] for name in problems_N])
    scores_NK = np.zeros((len(labels_N), num_classes))
    typicality_N = np.zeros(len(labels_N))
    for fold in np.unique(fold_N):
        inside = fold_N == fold
        # What the others do not have in common is no piece of their vocabulary. If it were, texts
        # held out would look more like the others than new texts ever can.
        known_V = texts.has_NV[~inside].sum(axis=0) >= FEWEST
        model = Bayes.fit(texts.of(~inside, known_V), labels_N[~inside], num_classes)
        judged = texts.of(inside, known_V)
        scores_NK[inside] = model.scores(judged)
        typicality_N[inside] = model.typicality(judged)
    return HeldOut(scores_NK, typicality_N, texts.num_N)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become posteriors: divided by `temperature`, since naive Bayes counts overlapping
    pieces as if each were news (temperature scaling: Guo et al., arXiv 1706.04599, section 4.2);
    and a share `lapse` of texts follows its class in no way that shows.
    """

    temperature: float
    lapse: float


def calibrate(
    scores_NK: np.ndarray, labels_N: np.ndarray, groups: Sequence[Sequence[int]]
) -> Calibration:
    """The likeliest of a grid, for held-out scores: then posteriors of styles are as sure as they
    are right.
    """
    rows, style_N = np.arange(len(labels_N)), styles_of(labels_N, groups)
    best = (math.inf, Calibration(1.0, LAPSES[0]))
    for temperature in (2.0 ** (i / 3) for i in range(25)):  # 1 to 256
        sure_N = np.exp(log_posteriors(scores_NK, Calibration(temperature, 0.0), groups))[
            rows, style_N
        ]
        prior_N = _priors(groups)[style_N]
        for lapse in LAPSES:
            surprise = -float(np.log((1 - lapse) * sure_N + lapse * prior_N).mean())
            best = min(best, (surprise, Calibration(temperature, lapse)), key=lambda pair: pair[0])
    return best[1]


def styles_of(labels_N: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """(N,) the style of every class in `labels_N`."""
    style_of = {k: s for s, group in enumerate(groups) for k in group}
    return np.array([style_of[int(k)] for k in labels_N], dtype=int)


def _priors(groups: Sequence[Sequence[int]]) -> np.ndarray:
    """(S,) every class is as likely beforehand."""
    sizes_S = np.array([len(group) for group in groups], dtype=np.float64)
    return np.asarray(sizes_S / sizes_S.sum())


def log_posteriors(
    scores_NK: np.ndarray, calibration: Calibration, groups: Sequence[Sequence[int]]
) -> np.ndarray:
    """(N, S) log-probabilities of the styles: a style is as likely as its classes together."""
    scaled_NK = scores_NK / calibration.temperature
    logs_NS = np.stack([_log_sum_exp(scaled_NK[:, list(group)]) for group in groups], axis=1)
    logs_NS = logs_NS - _log_sum_exp(scaled_NK)[:, None]
    if not calibration.lapse:
        return np.asarray(logs_NS)
    seen, unseen_S = math.log1p(-calibration.lapse), np.log(calibration.lapse * _priors(groups))
    return np.asarray(np.logaddexp(seen + logs_NS, unseen_S))


def _log_sum_exp(values_NK: np.ndarray) -> np.ndarray:
    highest_N1 = values_NK.max(axis=1, keepdims=True)
    sums_N = np.exp(values_NK - highest_N1).sum(axis=1)
    return np.asarray(highest_N1[:, 0] + np.log(sums_N))


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a text must be like to follow any style: not rarer in its pieces, and not of fewer, than
    all but 1 % of the demonstrations.
    """

    typicality: float
    num_pieces: float

    @classmethod
    def of(cls, found: HeldOut) -> Likeness:
        return cls(
            float(np.percentile(found.typicality_N, RARE)), float(np.percentile(found.num_N, RARE))
        )

    def holds(self, typicality_N: np.ndarray, num_N: np.ndarray) -> np.ndarray:
        """(N,) bool."""
        return (typicality_N >= self.typicality) & (num_N >= self.num_pieces)
