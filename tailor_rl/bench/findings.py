"""What a study found, as values that can be written as JSON: results.json is one `Results`.

Shares lie between 0 and 1; differences of shares likewise (0.15 is 15 points). Knows nothing about
how anything is estimated or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tailor_rl.bench.estimates import Estimate

Planned = Literal["planned", "added", "not planned"]
# "planned": written down before any run had a figure, be it the student's own; "added": written
# down later; "not planned": nobody asked before the figures were there.


@dataclass(frozen=True, slots=True)
class FinalFigure:
    """`figure` is "STAGE SPLIT FIGURE", "auc" or "plateau"; `setting` may be "all".

    `mean` has Student's interval over seeds, `iqm` the bootstrap's (estimates.py says how short
    that is with few seeds).
    """

    setting: str
    arm: str
    figure: str
    mean: Estimate
    iqm: Estimate


@dataclass(frozen=True, slots=True)
class BandPoint:
    x: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Profile:
    """The share of an arm's runs with `figure` above x, over the settings that all arms have."""

    arm: str
    figure: str
    num_runs: int
    points: tuple[BandPoint, ...]


@dataclass(frozen=True, slots=True)
class BandCurve:
    """Validation accuracy against what was spent: in RL alone, or (`total`) with the cost of the
    SFT set and of SFT, at which the curve then begins.
    """

    setting: str
    arm: str
    unit: str
    total: bool
    num_runs: int
    points: tuple[BandPoint, ...]


@dataclass(frozen=True, slots=True)
class ThresholdTime:
    """What the runs of one arm spent until validation accuracy reached `threshold`: in RL alone, or
    (`total`) with the cost of the SFT set and of SFT.

    `restricted_mean` counts a run that was not there by `horizon` with it: the smallest budget of
    any run of the setting. `survival`: (spent, share of runs that are not there yet),
    Kaplan-Meier.
    """

    setting: str
    arm: str
    threshold: float
    unit: str
    total: bool
    planned: Planned
    num_runs: int
    num_reached: int
    horizon: float
    restricted_mean: Estimate
    survival: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """One metric of RL's steps: the mean over seeds, with its 95 % interval by Student's t."""

    setting: str
    arm: str
    metric: str
    num_runs: int
    points: tuple[BandPoint, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """`arm` minus `against` over common seeds. `num_pairs` counts seeds, whose differences are
    averaged over settings; of these `num_same_sign` have the sign of the mean.

    `p` is Student's, two-sided; `holm_p` holds for all planned p's at once. `sign_flip_p` is exact;
    `smallest_p` is the least that it could have been with so few seeds. `detectable`: the smallest
    true difference found with 80 % power. `left_out`: seeds that only one of the arms has.
    `over_problems` is the same difference with an interval that holds for other problems too; None
    where runs have no figures by problem, or the figure is none of problems.
    """

    arm: str
    against: str
    figure: str
    setting: str
    planned: Planned
    seeds: Mapping[str, tuple[int, ...]]  # setting -> common seeds
    added_seeds: tuple[int, ...]  # of those, the ones added after runs had begun
    added_settings: tuple[str, ...]  # likewise
    published: tuple[float, float] | None  # the difference that a publication claims
    left_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    difference: Estimate | None = None
    over_problems: Estimate | None = None
    p: float | None = None
    holm_p: float | None = None
    num_pairs: int = 0
    num_same_sign: int = 0
    sign_flip_p: float | None = None
    smallest_p: float | None = None
    improvement: Estimate | None = None  # probability that a run of `arm` beats one of `against`
    detectable: float | None = None
    answer: str = ""  # one sentence, without full stop


@dataclass(frozen=True, slots=True)
class Trended:
    """Whether a figure rises along `arms`: Page's test, a seed a row. `slope` is a place along
    them.
    """

    arms: tuple[str, ...]
    figure: str
    setting: str
    planned: Planned
    claim: str
    added_seeds: tuple[int, ...]
    added_settings: tuple[str, ...]
    means: tuple[Estimate | None, ...]  # one an arm
    num_rows: int = 0
    slope: Estimate | None = None
    p: float | None = None
    holm_p: float | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A published claim beside what was found here. `same_sign`, `same_size` are words: "not
    planned" unless the test was.

    Of a claim on a trend `ours` is the rise a place, and `means` are those of `arms`, in the order
    in which it should rise: a claim on a level is not what is tested. Of a comparison both are ().
    """

    claim: str
    published: tuple[float, float] | None
    figure: str
    planned: Planned
    ours: Estimate | None
    same_sign: str
    same_size: str
    differs: tuple[str, ...]
    arms: tuple[str, ...] = ()
    means: tuple[Estimate | None, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchedFact:
    """Mean over runs of a fact of the SFT set, with the least and the most of any run."""

    setting: str
    arm: str
    fact: str
    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Mean over runs; `part` is "making", "sft" or "rl"."""

    setting: str
    arm: str
    part: str
    kind: str
    mean: float
    num_runs: int


@dataclass(frozen=True, slots=True)
class Foretold:
    cell: str
    setting: str
    arm: str
    forecast: float
    gain: float


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The gate's forecast against the gain of RL. `rank` is Spearman's correlation over arms."""

    cells: tuple[Foretold, ...]
    rank: Estimate | None
    answer: str


@dataclass(frozen=True, slots=True)
class Missing:
    setting: str
    arm: str
    seed: int
    why: str


@dataclass(frozen=True, slots=True)
class Results:
    """A study's figures. Lists are in the order of the study's settings and arms."""

    study: str
    question: str
    answers: tuple[str, ...]
    settings: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    num_cells: int
    commits: tuple[str, ...]
    versions: Mapping[str, str]
    notes: tuple[str, ...]  # what cannot be said, and why
    missing: tuple[Missing, ...]
    plan: tuple[Mapping[str, Any], ...]
    figures: tuple[FinalFigure, ...]
    profiles: tuple[Profile, ...]
    curves: tuple[BandCurve, ...]
    thresholds: tuple[ThresholdTime, ...]
    training: tuple[TrainingCurve, ...]
    comparisons: tuple[Compared, ...]  # planned, then added, then not planned
    trends: tuple[Trended, ...]
    claims: tuple[Claimed, ...]
    matched: tuple[MatchedFact, ...]
    mismatches: tuple[str, ...]  # where SFT sets differ between arms, and by how much
    costs: tuple[Cost, ...]
    forecasts: Forecasts
