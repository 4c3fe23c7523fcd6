"""What a study file may say: the grid, the seeds, and what is compared, before anything runs.

Knows nothing about recipes but their file names: see cells.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from tailor_rl.config.describe import describe
from tailor_rl.config.load import read_toml
from tailor_rl.config.section import Section
from tailor_rl.errors import ConfigError

# What is measured of a run: "STAGE SPLIT FIGURE" (rl test pass@1), a difference of stages (gain
# test pass@1: RL minus SFT), or one of these of the validation curve in RL.
CURVE_FIGURES = ("auc", "plateau")
_FIGURE = re.compile(r"(base|sft|rl|gain) (test|ood|ood/[A-Za-z0-9._-]+) (pass@\d+|greedy)")
_LEVEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._]+)*")
ALL = "all"


class Comparison(Section):
    """`arm` minus `against` on common seeds, planned before the runs.

    With `low` and `high` it is a claim to be checked: the difference that was published, as a share
    (0.15 is 15 points).
    """

    arm: str
    against: str
    figure: str = "rl test pass@1"
    setting: str = Field(ALL, description='one setting, or "all": stratified over settings')
    claim: str = Field("", description="in words, where a publication claims this difference")
    low: float | None = None
    high: float | None = None


class Trend(Section):
    """A figure is expected to rise along `arms`, in this order (Page's trend test)."""

    arms: tuple[str, ...] = Field(min_length=3)
    figure: str = "rl test pass@1"
    setting: str = ALL
    claim: str = ""


class Matching(Section):
    """What every arm's SFT gets, unless the arm says otherwise: examples, the student's tokens, or
    optimizer steps.
    """

    by: Literal["examples", "tokens", "steps"]
    to: int = Field(ge=1)


class Skipped(Section):
    """Cells that are left out: those that agree with every key that is given."""

    arm: str | None = None
    task: str | None = None
    student: str | None = None
    algorithm: str | None = None


Levels = dict[str, dict[str, Any]]  # name of a level -> its part of a recipe


class Study(Section):
    """A grid of arms x tasks x students x algorithms x seeds.

    A level is a part of a recipe, laid over `recipe` and `shared`: tasks first, then students,
    algorithms, arms. The level of a task or a student may name a `recipe` of its own.
    """

    question: str = ""
    recipe: str
    seeds: tuple[int, ...] = Field(min_length=1)
    arms: Levels = Field(min_length=1)
    tasks: Levels = Field(default_factory=dict)
    students: Levels = Field(default_factory=dict)
    algorithms: Levels = Field(default_factory=dict)
    shared: dict[str, Any] = Field(default_factory=dict)
    matched: Matching | None = None
    skip: tuple[Skipped, ...] = ()
    thresholds: tuple[float, ...] = Field(
        (), description="validation accuracies that runs race to, as shares"
    )
    comparisons: tuple[Comparison, ...] = ()
    trends: tuple[Trend, ...] = ()
    single_seed: bool = Field(
        False, description="allow comparisons with one seed, which then have no error bars"
    )


def read_study(file: Path) -> Study:
    """ConfigError, in one sentence, for what is no study, or compares what it does not have."""
    table = read_toml(file)
    if "student" in table:
        raise ConfigError(f"{file} is a recipe of one run: run it with `tailor run {file}`")
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        raise ConfigError(_explained(error, file)) from error
    for sentence in _faults(study):
        raise ConfigError(f"{file}: {sentence}")
    return study


def is_study_file(file: Path) -> bool:
    """Whether a file means to be a study and no recipe: it names arms."""
    return "arms" in read_toml(file)


def settings_of(study: Study) -> list[str]:
    """Task, student and algorithm, as far as the grid has several: "knights-dapo"; "all" where
    there is but one.
    """
    return [setting_name(*levels) for levels in product(*_axes(study))]


def setting_name(*levels: str) -> str:
    return "-".join(filter(None, levels)) or ALL


def _axes(study: Study) -> list[tuple[str, ...]]:
    return [tuple(axis) or ("",) for axis in (study.tasks, study.students, study.algorithms)]


def published_range(asked: Comparison) -> tuple[float, float] | None:
    return None if asked.low is None or asked.high is None else (asked.low, asked.high)


def _explained(error: ValidationError, file: Path) -> str:
    from rapidfuzz import fuzz, process

    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = list(Study.model_fields)
        nearest = process.extractOne(str(first["loc"][-1]), known, scorer=fuzz.ratio)
        return f"{file}: a study has no key {key!r}; did you mean {nearest[0]!r}?"
    if first["type"] == "missing":
        return f"{file}: {key!r} is missing: a study names a recipe, seeds and arms"
    field = Study.model_fields.get(str(first["loc"][0])) if len(first["loc"]) <= 2 else None
    rule = f"must be {describe(field)}" if field else first["msg"].lower()
    return f"{file}: {key} = {first['input']!r}: {rule}"


def _faults(study: Study) -> Iterable[str]:
    """What does not go together, each as a sentence without the file's name."""
    yield from _faults_of_grid(study)
    for each in study.comparisons:
        yield from _faults_of_comparison(each, study)
    for trend in study.trends:
        yield from _faults_of_trend(trend, study)
    yield from _faults_of_tests(study)
    for threshold in study.thresholds:
        if not 0 < threshold < 1 or study.thresholds.count(threshold) > 1:
            yield (
                f"thresholds = {list(study.thresholds)}: each is a share between 0 and 1, 0.4 for "
                "40 %, and named once"
            )


def _faults_of_grid(study: Study) -> Iterable[str]:
    if len(set(study.seeds)) < len(study.seeds):
        yield f"seeds = {list(study.seeds)} names a seed twice: name each once"
    for axis in ("arms", "tasks", "students", "algorithms"):
        for level in getattr(study, axis):
            if not _LEVEL.fullmatch(level):
                yield (
                    f"[{axis}.{level}] must be named by letters, digits, dots, underscores and "
                    "single dashes: it becomes part of a folder's name"
                )
            if level == ALL and axis != "arms":
                yield f'[{axis}.{ALL}] must be named otherwise: "{ALL}" means every setting'
    for skipped in study.skip:
        for axis in ("arm", "task", "student", "algorithm"):
            if (level := getattr(skipped, axis)) is not None:
                yield from _unknown(level, getattr(study, f"{axis}s"), axis)


def _faults_of_comparison(each: Comparison, study: Study) -> Iterable[str]:
    yield from _unknown(each.arm, study.arms, "arm")
    yield from _unknown(each.against, study.arms, "arm")
    if each.arm == each.against:
        yield f"a comparison sets {each.arm!r} against itself: name two arms"
    if (each.low is None) != (each.high is None):
        yield f"the claim on {each.arm!r} has one bound: give both low and high"
    if each.low is not None and each.high is not None and not -1 <= each.low <= each.high <= 1:
        yield (
            f"the claim on {each.arm!r} is from {each.low:g} to {each.high:g}: both are "
            "shares, 0.15 for 15 points, the lower first"
        )


def _faults_of_trend(trend: Trend, study: Study) -> Iterable[str]:
    for arm in trend.arms:
        yield from _unknown(arm, study.arms, "arm")
    if len(set(trend.arms)) < len(trend.arms):
        yield f"a trend goes along {', '.join(trend.arms)}: name each arm once"


def _faults_of_tests(study: Study) -> Iterable[str]:
    settings = settings_of(study)
    planned_ones: tuple[Comparison | Trend, ...] = (*study.comparisons, *study.trends)
    tests = [_test(planned) for planned in planned_ones]
    for i, planned in enumerate(planned_ones):
        if tests[i] in tests[:i]:
            yield (
                f"{_named(planned)} by {planned.figure!r} is planned twice: one test has one "
                "claim, and counts once, so leave one of the two out"
            )
        if planned.setting != ALL:
            yield from _unknown(planned.setting, settings, "setting")
        if planned.figure not in CURVE_FIGURES and not _FIGURE.fullmatch(planned.figure):
            yield (
                f"figure = {planned.figure!r} is none that is measured: write for instance "
                f'"rl test pass@1", "gain ood pass@1", or one of {", ".join(CURVE_FIGURES)}'
            )
    if planned_ones and len(study.seeds) < 2 and not study.single_seed:
        yield (
            f"seeds = {list(study.seeds)} is one seed, which gives a comparison no error bar: name "
            "at least two, or write single_seed = true"
        )


def _test(planned: Comparison | Trend) -> tuple[object, ...]:
    """What is tested, whatever is claimed of it: two arms either way round are one test."""
    if isinstance(planned, Trend):
        return planned.arms, planned.figure, planned.setting
    return frozenset((planned.arm, planned.against)), planned.figure, planned.setting


def _named(planned: Comparison | Trend) -> str:
    if isinstance(planned, Trend):
        return f"a trend along {', '.join(planned.arms)}"
    return f"{planned.arm} against {planned.against}"


def _unknown(name: str, known: Iterable[str], what: str) -> Iterable[str]:
    if name not in known:
        from rapidfuzz import process

        nearest = process.extractOne(name, list(known))
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
        yield f"there is no {what} {name!r} in the study{meant}"
