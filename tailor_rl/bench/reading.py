"""A finished run folder as figures. Reads; writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel

from tailor_rl.bench.figures import CellFigures, Measured, SetFacts, Solved
from tailor_rl.bench.thresholds import plateau
from tailor_rl.bench.version import inputs_of, version_of
from tailor_rl.curation.lineage import Lineage
from tailor_rl.errors import RunFolderError
from tailor_rl.initialisations.re_distill import FIRST_RUN
from tailor_rl.measures.forecast import report_name
from tailor_rl.runs.environment import read_environment
from tailor_rl.runs.evaluation_folder import read_results
from tailor_rl.runs.files import read_typed, read_typed_lines
from tailor_rl.runs.folder import read_run_config
from tailor_rl.runs.inputs import named_inputs
from tailor_rl.runs.journal import VALIDATION
from tailor_rl.runs.ledger import LOST, read_ledger
from tailor_rl.summary import read_evaluations
from tailor_rl.types import Evaluation, ProblemResult

DAMAGED = "damaged or of another version of tailor_rl"
Number = int | float
TRAINING = ("reward", "entropy", "response_tokens", "informative")
STAGES = ("base", "sft", "rl")
_EXAMINED = ("evaluate_base", "evaluate_sft", "evaluate_rl", VALIDATION)
# What RL and SFT are charged with; measuring them is not part of the method's price.
_TRAINED = ("sft", "rl")


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """What is read of a row of metrics.jsonl; None where it does not say."""

    stage: str
    step: int
    seconds: Number | None = None
    spent_rollouts: Number | None = None
    spent_tokens: Number | None = None
    learner_tokens: Number | None = None
    reward: Number | None = None
    entropy: Number | None = None
    response_tokens: Number | None = None
    informative: Number | None = None


class _Forecast(BaseModel):
    value: float


class _Report(BaseModel):
    """What is read of behaviours-STAGE.json."""

    forecast: _Forecast | None = None


def read_cell(run: Path, *, setting: str, arm: str, seed: int) -> CellFigures:
    """RunFolderError where the run is damaged or has not been examined after RL."""
    rows = read_evaluations(run)
    metrics = _read_metrics(run)
    in_rl = sorted((row for row in metrics if row.stage == "rl"), key=lambda row: row.step)
    ledger = read_ledger(run)
    curve = _curve(rows, in_rl)
    figures = dict(_stage_figures(rows))
    if "rl test pass@1" not in figures:
        raise RunFolderError(f"{run} has no evaluation after RL: `tailor bench` goes on with it")
    if curve:
        figures["plateau"] = plateau(curve)
    git = read_environment(run).git
    return CellFigures(
        cell=run.name,
        setting=setting,
        arm=arm,
        seed=seed,
        figures=figures,
        curve=curve,
        training={name: _series(in_rl, name) for name in TRAINING},
        making=_making(run, ledger),
        sft=_trained(ledger, metrics, "sft"),
        rl=_trained(ledger, metrics, "rl"),
        set_facts=_set_facts(run, ledger, metrics),
        forecast=_forecast(run, sft="sft test pass@1" in figures),
        commit=git.commit if git else "unknown",
        versions=version_of(run),
        inputs=named_inputs(read_run_config(run), inputs_of(run)),
        solved=_solved(run),
    )


def _stage_figures(rows: Sequence[Evaluation]) -> Mapping[str, float]:
    """ "STAGE SPLIT FIGURE" -> share; "ood" is the mean over axes, "gain" RL minus SFT, or minus
    base where there was no SFT.
    """
    found: dict[str, float] = {}
    for row in rows:
        if row.split == "test" or row.split.startswith("ood/"):
            found[f"{row.stage} {row.split} {_figure_name(row)}"] = row.value
    names = dict.fromkeys(key.split(" ")[2] for key in found)
    axes = dict.fromkeys(split for key in found if (split := key.split(" ")[1]) != "test")
    for stage in STAGES:
        for name in names:
            values = [found[key] for axis in axes if (key := f"{stage} {axis} {name}") in found]
            if values and len(values) == len(axes):
                found[f"{stage} ood {name}"] = fmean(values)
    before = "sft" if any(key.startswith("sft ") for key in found) else "base"
    for key in [key for key in found if key.startswith("rl ")]:
        rest = key.removeprefix("rl ")
        if f"{before} {rest}" in found:
            found[f"gain {rest}"] = found[key] - found[f"{before} {rest}"]
    return found


def _solved(run: Path) -> dict[str, Solved]:
    """Of every split that was measured after SFT or RL, problem by problem; one of which some
    problem has no graded answer is left out.
    """
    by_split: dict[str, list[ProblemResult]] = {}
    for stage in ("sft", "rl"):
        path = run / "results" / f"eval-{stage}.jsonl"
        for result in read_results(path) if path.is_file() else ():
            by_split.setdefault(f"{stage} {result.split}", []).append(result)
    found = {}
    for split, results in by_split.items():
        numbers = {name: i for i, name in enumerate(dict.fromkeys(r.family for r in results))}
        if all(result.correct for result in results):
            names = "\n".join(f"{result.problem_id} {result.family}" for result in results)
            found[split] = Solved(
                problems=hashlib.sha256(names.encode()).hexdigest()[:16],
                families=tuple(numbers[result.family] for result in results),
                shares=tuple(fmean(c >= 1.0 for c in result.correct) for result in results),
            )
    return found


def _figure_name(row: Evaluation) -> str:
    return "greedy" if row.metric == "greedy" else f"pass@{row.k}"


def _curve(rows: Sequence[Evaluation], in_rl: Sequence[MetricsRow]) -> tuple[Measured, ...]:
    """Measurements on validation by step, with the totals of all steps until then."""
    totals = _totals(in_rl)
    by_step: dict[int, dict[int, float]] = {}
    for row in rows:
        if (row.stage, row.split) == ("rl", "validation") and row.metric != "greedy":
            by_step.setdefault(row.step, {})[row.k] = row.value
    return tuple(
        Measured(
            step=step,
            accuracy=values[1],
            pass_at_k=values[max(values)] if max(values) > 1 else None,
            **totals[step],
        )
        for step, values in sorted(by_step.items())
        if 1 in values and step in totals
    )


def _totals(in_rl: Sequence[MetricsRow]) -> dict[int, dict[str, float]]:
    """Step -> what RL had spent by then. A step that learnt from demonstrations alone generated
    nothing, and its row does not say what was generated before.
    """
    names = ("rollouts", "generated_tokens", "learner_tokens", "seconds")
    spent = dict.fromkeys(names, 0.0)
    totals = {0: dict(spent)}
    for row in in_rl:
        if row.spent_rollouts is not None:
            spent["rollouts"] = row.spent_rollouts
        if row.spent_tokens is not None:
            spent["generated_tokens"] = row.spent_tokens
        spent["learner_tokens"] += row.learner_tokens or 0.0
        spent["seconds"] += row.seconds or 0.0
        totals[row.step] = dict(spent)
    return totals


def _series(in_rl: Sequence[MetricsRow], name: str) -> tuple[float, ...]:
    """One number a step, or nothing where a step has none."""
    found: list[Number | None] = [getattr(row, name) for row in in_rl]
    values = [float(value) for value in found if value is not None]
    return tuple(values) if len(values) == len(in_rl) else ()


def _trained(
    ledger: Mapping[str, Mapping[str, float]], metrics: Sequence[MetricsRow], stage: str
) -> dict[str, float]:
    """What a stage was charged, and the seconds of its steps: the ledger's are those of measuring
    on the way too.
    """
    steps = [row.seconds for row in metrics if row.stage == stage and row.seconds is not None]
    seconds = {"seconds": sum(steps)} if steps else {}
    return {**ledger.get(stage, {}), **seconds}


def _making(run: Path, ledger: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What the set cost: every stage but those of training and measuring."""
    total: dict[str, float] = {}
    for stage, amounts in ledger.items():
        if stage in (*_EXAMINED, *_TRAINED) or stage.endswith(LOST):
            continue
        for name, amount in amounts.items():
            if name != "problems":
                total[name] = total.get(name, 0.0) + amount
    for name, amount in _not_of_the_price(run).items():
        total[name] = total.get(name, 0.0) - amount
    return total


def _not_of_the_price(run: Path) -> dict[str, float]:
    """What measuring cost in the first run of a re-distillation, which is charged as a whole; of
    its seconds, those of steps that a kill made void too: the outer clock ran while they were made.
    """
    inner = run / FIRST_RUN
    if not (inner / "ledger.json").is_file():
        return {}
    ledger, metrics = read_ledger(inner), _read_metrics(inner)
    measured = {name: n for name, n in ledger.get(VALIDATION, {}).items() if name != "problems"}
    rows = [*_TRAINED, *(f"{stage}{LOST}" for stage in _TRAINED)]
    charged = sum(ledger.get(row, {}).get("seconds", 0.0) for row in rows)
    made = sum(_trained(ledger, metrics, stage).get("seconds", 0.0) for stage in _TRAINED)
    return {**measured, "seconds": charged - made}


def read_lineage(run: Path) -> Lineage | None:
    """Of the run's SFT set; None where it has none. RunFolderError where the file is damaged."""
    path = run / "lineage.jsonl"
    if not path.is_file():
        return None
    rows = read_typed_lines(path, Lineage, what=DAMAGED, fix="make the run anew")
    if not rows:
        raise RunFolderError(f"{path} is empty: make the run anew")
    return rows[0]


def _read_metrics(run: Path) -> list[MetricsRow]:
    return read_typed_lines(
        run / "metrics.jsonl", MetricsRow, what=DAMAGED, fix="remove the line, or make the run anew"
    )


def _set_facts(
    run: Path, ledger: Mapping[str, Mapping[str, float]], metrics: Sequence[MetricsRow]
) -> SetFacts | None:
    lineage = read_lineage(run)
    if lineage is None:
        return None
    right = sum(num for grade, num in lineage.grades.items() if float(grade) >= 1.0)
    return SetFacts(
        examples=lineage.num_demonstrations,
        queries=lineage.num_answered,
        completion_tokens=lineage.tokens,
        right=right / max(1, lineage.num_demonstrations),
        sft_steps=max((row.step for row in metrics if row.stage == "sft"), default=0),
        learner_tokens=int(ledger.get("sft", {}).get("learner_tokens", 0)),
    )


def _forecast(run: Path, *, sft: bool) -> float | None:
    """The gain that was foretold before RL; None where nothing was."""
    path = run / report_name("sft" if sft else "base")
    if not path.is_file():
        return None
    forecast = read_typed(path, _Report, what=DAMAGED, fix="make the run anew").forecast
    return forecast.value if forecast else None
