"""Traces that combine two ways of reasoning: whose halves two styles explain better than any one.

Numpy only. Legend: see attribution.py; H halves of texts, R texts that have two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tailor_rl.measures.attribution import Calibration, HeldOut, Likeness, log_posteriors

FLOOR = 0.05  # share of texts that follow one style throughout and may yet look combined
MAX_SPLICED = 400  # texts that are cut up and put together anew, each with each


@dataclass(frozen=True, slots=True)
class Halved:
    """Texts with two halves, both like some demonstration's: their places among all texts, and the
    log-posteriors of the styles given each half.
    """

    text_R: np.ndarray
    first_RS: np.ndarray
    second_RS: np.ndarray

    @classmethod
    def of(cls, found: HeldOut, owner_H: np.ndarray, judge: HalfJudge) -> Halved:
        """`owner_H`: the text that each half is of, in order."""
        logs_HS = log_posteriors(found.scores_NK, judge.calibration, judge.groups)
        like_H = judge.likeness.holds(found.typicality_N, found.num_N)
        first_R = np.flatnonzero((owner_H[:-1] == owner_H[1:]) & like_H[:-1] & like_H[1:])
        return cls(owner_H[first_R], logs_HS[first_R], logs_HS[first_R + 1])

    @property
    def advantages(self) -> np.ndarray:
        """(R,) nats by which the likeliest style of each half, taken apart, explain a text better
        than the likeliest style of both.
        """
        apart_R = self.first_RS.max(axis=1) + self.second_RS.max(axis=1)
        return np.asarray(apart_R - (self.first_RS + self.second_RS).max(axis=1))

    def combined(self, bar: float) -> dict[int, tuple[int, int]]:
        """Place of each text that combines two styles -> the styles, in order."""
        first_R, second_R = self.first_RS.argmax(axis=1), self.second_RS.argmax(axis=1)
        return {
            int(self.text_R[r]): (int(first_R[r]), int(second_R[r]))
            for r in np.flatnonzero(self.advantages > bar)
        }


@dataclass(frozen=True, slots=True)
class HalfJudge:
    """How halves are read. A text is combined where its advantage exceeds the bar that at most
    FLOOR of the demonstrations exceed.
    """

    groups: Sequence[Sequence[int]]
    calibration: Calibration
    likeness: Likeness


def bar_of(halved: Halved) -> float:
    """From texts that follow one style each; infinite where none has two halves."""
    if not len(halved.text_R):
        return float("inf")
    return float(np.percentile(halved.advantages, 100 * (1 - FLOOR)))


def power_of(halved: Halved, style_N: np.ndarray, bar: float) -> float:
    """The share of artificial combinations that is found: the first half of a text before the
    second half of one of another style. 0 where no two texts with halves differ in style.
    """
    step = -(-len(halved.text_R) // MAX_SPLICED) or 1
    first_RS, second_RS = halved.first_RS[::step], halved.second_RS[::step]
    style_R = style_N[halved.text_R[::step]]
    of_two_RR = style_R[:, None] != style_R[None, :]
    if not of_two_RR.any():
        return 0.0
    apart_RR = first_RS.max(axis=1)[:, None] + second_RS.max(axis=1)[None, :]
    together_RR = np.stack([(first_S + second_RS).max(axis=1) for first_S in first_RS])
    return float((apart_RR - together_RR > bar)[of_two_RR].mean())
