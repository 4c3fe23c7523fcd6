"""How much RL can be expected to gain, said before it, and checked against what came of it.

forecast = (pass@k - pass@1) x mixed

pass@k - pass@1 is what a policy would gain that always gave the best of its own k answers: RL
sharpens what is sampled already. `mixed` is the share of problems that are neither always right nor
always wrong: only their groups carry a gradient, so the rest of the headroom is hardly learnt from.
The formula is the project's own and is not calibrated: it ranks initialisations, and is no promise
of points.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tailor_rl.errors import RunFolderError
from tailor_rl.measures.ranks import permutation_p, rank_correlation
from tailor_rl.runs.files import read_json, read_typed_lines
from tailor_rl.runs.folder import read_run_config
from tailor_rl.statistics import pass_at_k
from tailor_rl.types import Evaluation, Interval, ProblemResult

FORMULA = "(pass@k - pass@1) x share of mixed groups"
MIN_POINTS = 3
_NUM_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Point:
    """One initialisation: the mean over its runs, which differ in nothing but the seed."""

    initialisation: str
    runs: tuple[str, ...]
    forecast: float
    gain: float  # pass@1 on "test" after RL minus before it


@dataclass(frozen=True, slots=True)
class ForecastCheck:
    """`rho` is None where the forecasts, or the gains, are all the same."""

    points: tuple[Point, ...]
    rho: float | None
    p: float | None


def mixed(result: ProblemResult) -> bool:
    """Whether the problem's answers are neither all right nor all wrong."""
    right = sum(grade >= 1.0 for grade in result.correct)
    return 0 < right < len(result.correct)


def forecast_gain(results: Sequence[ProblemResult], *, k: int, seed: int) -> Interval:
    """The forecast in shares of 1 with its 95 % interval by the bootstrap over families of
    problems, all of which have at least `k` graded answers.
    """
    values_P3 = np.array([_parts(result, k) for result in results])
    place = {family: i for i, family in enumerate(dict.fromkeys(r.family for r in results))}
    index_P = np.array([place[result.family] for result in results])
    sums_F4 = np.zeros((len(place), 4))
    np.add.at(sums_F4, index_P, np.column_stack([values_P3, np.ones(len(results))]))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(place), size=(_NUM_RESAMPLES, len(place)))
    low, high = np.percentile([_gain(sums_F4[some].sum(axis=0)) for some in drawn], [2.5, 97.5])
    return Interval(_gain(sums_F4.sum(axis=0)), float(low), float(high))


def _parts(result: ProblemResult, k: int) -> tuple[float, float, float]:
    """pass@1, pass@k and whether the group is mixed."""
    num, right = len(result.correct), sum(grade >= 1.0 for grade in result.correct)
    return pass_at_k(num, right, 1), pass_at_k(num, right, k), float(mixed(result))


def _gain(sums_4: np.ndarray) -> float:
    pass_1, pass_k, share = sums_4[:3] / sums_4[3]
    return float((pass_k - pass_1) * share)


def report_name(stage: str) -> str:
    """The file of a stage's report in a run folder."""
    return f"behaviours-{stage}.json"


def check_forecasts(runs: Sequence[Path], *, seed: int) -> ForecastCheck:
    """Spearman's rank correlation, over initialisations, of the forecast before RL and the gain of
    RL, with its permutation p.

    Raises RunFolderError for a run that lacks either, runs of several tasks, or fewer than three
    initialisations.
    """
    tasks: dict[str, Path] = {}
    found: dict[str, list[tuple[Path, str, float, float]]] = {}
    for run in runs:
        cfg = read_run_config(run)
        recipe = cfg.model_dump(mode="json")
        tasks.setdefault(json.dumps(recipe["task"], sort_keys=True), run)
        del recipe["seed"]
        key = json.dumps(recipe, sort_keys=True)
        start = _start(run)
        row = (run, cfg.initialisation, read_forecast(run, start), measured_gain(run, start))
        found.setdefault(key, []).append(row)
    if len(tasks) > 1:
        first, second = list(tasks.values())[:2]
        raise RunFolderError(
            f"{first} and {second} are of different tasks, whose gains do not compare: check runs "
            "of one task at a time"
        )
    if len(found) < MIN_POINTS:
        raise RunFolderError(
            f"a rank correlation needs at least {MIN_POINTS} initialisations and the {len(runs)} "
            f"run(s) given are of {len(found)} (seeds of one recipe count once): name runs of more"
        )
    points = tuple(_point(rows) for rows in found.values())
    forecasts, gains = [p.forecast for p in points], [p.gain for p in points]
    rho = rank_correlation(forecasts, gains)
    return ForecastCheck(
        points, rho, None if rho is None else permutation_p(forecasts, gains, seed=seed)
    )


def _point(rows: Sequence[tuple[Path, str, float, float]]) -> Point:
    return Point(
        initialisation=rows[0][1],
        runs=tuple(run.resolve().name for run, *_ in rows),
        # Equal means must tie, though they differ by rounding.
        forecast=round(float(np.mean([forecast for *_, forecast, _ in rows])), 9),
        gain=round(float(np.mean([gain for *_, gain in rows])), 9),
    )


def _start(run: Path) -> str:
    """The stage that RL began with: "sft", or "base" without a warm start."""
    return "sft" if any(row.stage == "sft" for row in _evaluations(run)) else "base"


def read_forecast(run: Path, stage: str) -> float:
    """The forecast that `tailor behaviours` left in a run folder."""
    path = run / report_name(stage)
    if not path.is_file():
        raise RunFolderError(
            f"run {run} has no forecast ({path.name}): make one with `tailor behaviours {run}`"
        )
    try:
        return float(read_json(path)["forecast"]["value"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{path} holds no forecast: make it again with `tailor behaviours {run}`"
        ) from error


def measured_gain(run: Path, start: str) -> float:
    """pass@1 on "test" after RL minus that of the stage `start`, in shares of 1."""
    found = {
        row.stage: row.value
        for row in sorted(_evaluations(run), key=lambda row: row.step)
        if (row.split, row.metric, row.k) == ("test", "accuracy", 1)
    }
    for stage in (start, "rl"):
        if stage not in found:
            raise RunFolderError(
                f"run {run} has no accuracy on 'test' of the stage {stage!r}, so that RL's gain is "
                "not known: let it go on to its end first"
            )
    return found["rl"] - found[start]


def _evaluations(run: Path) -> list[Evaluation]:
    return read_typed_lines(
        run / "evaluations.jsonl", Evaluation, what="no figure of an evaluation", fix="remove it"
    )
