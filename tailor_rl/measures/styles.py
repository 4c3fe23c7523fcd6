"""Ways of reasoning that can be told apart, found from labelled traces, and other traces
attributed to them.

A style is a group of classes. Numpy only; knows nothing about primitives, runs or files. Legend:
see attribution.py; H halves of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.measures.attribution import (
    Bayes,
    HeldOut,
    Likeness,
    Piece,
    Vocabulary,
    calibrate,
    halves_of,
    held_out,
    log_posteriors,
    pieces_of,
    styles_of,
)
from tailor_rl.measures.combining import HalfJudge, Halved, bar_of, power_of
from tailor_rl.seeds import derive_seed

CONFUSION = 0.1  # two styles are merged while more than this share of the two is mistaken
CLEAR = 0.8  # posterior from which a trace is said to follow a style
VISIBLE = 0.5  # a style of whose own texts fewer are clear is not one that can be seen
UNCLEAR, OTHER = -1, -2  # in place of a style

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    prompt: str
    problem_id: str


@dataclass(frozen=True, slots=True)
class Followed:
    """What a trace follows: a style, UNCLEAR or OTHER; the styles of its halves where these are
    two. `halved`: it has two halves, each like some demonstration's.
    """

    style: int
    halved: bool
    combined: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of texts judged by classifiers that did not learn from their problems. Balanced: the mean
    over classes, or styles, of the share of each that is found (recall). `power`: see
    combining.power_of.
    """

    classes: float
    styles: float
    recalls: tuple[float, ...]  # a style each, without regard to how clear it is ...
    clear: tuple[float, ...]  # ... and with
    clear_share: float
    clear_accuracy: float  # 0 where nothing is clear
    power: float


@dataclass(frozen=True, slots=True)
class _Learnt:
    """A classifier of texts of one size, whole traces or halves, and those that it learnt from as
    scored by two cuts into folds.

    What is chosen (groups, temperature, bounds) is chosen by `first`, what is reported is seen by
    `second`: the luck of a cut is not counted as skill.
    """

    vocabulary: Vocabulary
    model: Bayes
    labels_N: np.ndarray
    first: HeldOut
    second: HeldOut

    @classmethod
    def of(
        cls,
        texts: Sequence[frozenset[Piece]],
        labels_N: np.ndarray,
        names: Sequence[str],
        seed: int,
    ) -> _Learnt:
        vocabulary = Vocabulary.of(texts)
        presence = vocabulary.presence(texts)
        first, second = (
            held_out(presence, labels_N, names, seed=derive_seed(seed, "folds", cut))
            for cut in ("chosen", "reported")
        )
        model = Bayes.fit(presence, labels_N, int(labels_N.max()) + 1)
        return cls(vocabulary, model, labels_N, first, second)

    def see(self, texts: Sequence[frozenset[Piece]]) -> HeldOut:
        found = self.vocabulary.presence(texts)
        return HeldOut(self.model.scores(found), self.model.typicality(found), found.num_N)


class Styles:
    """Learnt from labelled texts. `groups[s]` are the classes of style s; `own` is what the texts
    themselves follow, by classifiers that did not learn from their problems.
    """

    def __init__(self, texts: Sequence[Text], labels: Sequence[int], *, seed: int) -> None:
        """ValueError for fewer than two problems. Every class from 0 to the highest has texts."""
        names, labels_N = [text.problem_id for text in texts], np.array(labels, dtype=int)
        halves, owner_H = _halves(texts)
        whole = _Learnt.of([pieces_of(t.text, t.prompt) for t in texts], labels_N, names, seed)
        half = _Learnt.of(halves, labels_N[owner_H], [names[i] for i in owner_H], seed)
        self._whole, self._half = whole, half

        self.groups = merge(whole.first.scores_NK, labels_N)
        self._calibration = calibrate(whole.first.scores_NK, labels_N, self.groups)
        self._likeness = Likeness.of(whole.first)
        self._half_judge = HalfJudge(
            groups=self.groups,
            calibration=calibrate(half.first.scores_NK, half.labels_N, self.groups),
            likeness=Likeness.of(half.first),
        )
        self._bar = bar_of(Halved.of(half.first, owner_H, self._half_judge))

        halved = Halved.of(half.second, owner_H, self._half_judge)
        self.own = self._decide(whole.second, halved)
        self.accuracy = self._accuracy(halved)

    def follow(self, texts: Sequence[Text]) -> list[Followed]:
        """What each of other texts follows, in their order."""
        halves, owner_H = _halves(texts)
        halved = Halved.of(self._half.see(halves), owner_H, self._half_judge)
        found = self._whole.see([pieces_of(text.text, text.prompt) for text in texts])
        return self._decide(found, halved)

    def _decide(self, found: HeldOut, halved: Halved) -> list[Followed]:
        logs_NS = log_posteriors(found.scores_NK, self._calibration, self.groups)
        clear_N = logs_NS.max(axis=1) >= np.log(CLEAR)
        style_N = np.where(clear_N, logs_NS.argmax(axis=1), UNCLEAR)
        style_N[~self._likeness.holds(found.typicality_N, found.num_N)] = OTHER
        with_two, combined = set(halved.text_R.tolist()), halved.combined(self._bar)
        return [
            Followed(style, i in with_two, combined.get(i))
            for i, style in enumerate(style_N.tolist())
        ]

    def _accuracy(self, halved: Halved) -> Accuracy:
        scores_NK, labels_N = self._whole.second.scores_NK, self._whole.labels_N
        true_N = styles_of(labels_N, self.groups)
        logs_NS = log_posteriors(scores_NK, self._calibration, self.groups)
        recalls = _recalls(logs_NS.argmax(axis=1), true_N)
        found_N = np.array([each.style for each in self.own])
        clear_N = found_N >= 0
        return Accuracy(
            classes=float(np.mean(_recalls(scores_NK.argmax(axis=1), labels_N))),
            styles=float(np.mean(recalls)),
            recalls=recalls,
            clear=_recalls(found_N, true_N),
            clear_share=float(clear_N.mean()),
            clear_accuracy=float((found_N == true_N)[clear_N].mean()) if clear_N.any() else 0.0,
            power=power_of(halved, true_N, self._bar),
        )


def _halves(texts: Sequence[Text]) -> tuple[list[frozenset[Piece]], np.ndarray]:
    """All halves of all texts, and the text that each belongs to."""
    halves = [halves_of(text.text, text.prompt) for text in texts]
    owner_H = np.array([i for i, found in enumerate(halves) for _ in found], dtype=int)
    return [half for found in halves for half in found], owner_H


def _recalls(found_N: np.ndarray, true_N: np.ndarray) -> tuple[float, ...]:
    return tuple(float((found_N[true_N == k] == k).mean()) for k in np.unique(true_N))


def merge(scores_NK: np.ndarray, labels_N: np.ndarray) -> Groups:
    """Groups of classes, joined until each can be known.

    First the two that are taken for each other most, while these are more than CONFUSION of their
    texts (the mean of both directions; 0.5 is chance). Then, while fewer than VISIBLE of a group's
    texts clearly follow it, the one seen least with the one that its texts are likeliest to follow
    instead. `scores_NK` are held out: of classifiers that did not learn from the text's problem.
    """
    groups: Groups = tuple((k,) for k in range(scores_NK.shape[1]))
    calibration = calibrate(scores_NK, labels_N, groups)
    while len(groups) > 1:
        confusion_SS = _confusion(log_posteriors(scores_NK, calibration, groups), labels_N, groups)
        i, j = divmod(int(confusion_SS.argmax()), len(groups))
        if confusion_SS[i, j] <= CONFUSION:
            break
        groups = _joined(groups, i, j)
    while len(groups) > 1:
        calibration = calibrate(scores_NK, labels_N, groups)
        shares_NS = np.exp(log_posteriors(scores_NK, calibration, groups))
        style_N = styles_of(labels_N, groups)
        clear_S = np.array(
            [np.mean(shares_NS[style_N == s, s] >= CLEAR) for s in range(len(groups))]
        )
        least = int(clear_S.argmin())
        if clear_S[least] >= VISIBLE:
            break
        instead_S = shares_NS[style_N == least].mean(axis=0)
        instead_S[least] = 0.0
        groups = _joined(groups, least, int(instead_S.argmax()))
    return groups


def _joined(groups: Groups, i: int, j: int) -> Groups:
    i, j = min(i, j), max(i, j)
    both = tuple(sorted(groups[i] + groups[j]))
    return (*groups[:i], both, *groups[i + 1 : j], *groups[j + 1 :])


def _confusion(logs_NS: np.ndarray, labels_N: np.ndarray, groups: Groups) -> np.ndarray:
    """(S, S), symmetric: the share of two groups' texts for which the other one is likelier."""
    style_N = styles_of(labels_N, groups)
    taken_SS = np.zeros((len(groups), len(groups)))
    for s in range(len(groups)):
        own_MS = logs_NS[style_N == s]
        taken_SS[s] = (own_MS >= own_MS[:, [s]]).mean(axis=0)
    np.fill_diagonal(taken_SS, 0.0)
    return np.asarray((taken_SS + taken_SS.T) / 2)
