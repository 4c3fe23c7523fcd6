"""From a run folder to report.html. Whatever files there are make a page; it says what is missing.

Knows nothing about how a run is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tailor_rl.printable import printable
from tailor_rl.report.curves import (
    Dot,
    Point,
    Series,
    interval_chart,
    line_chart,
    smoothing_reach,
    ticks,
)
from tailor_rl.report.making import read_making
from tailor_rl.report.reading import (
    demonstrations_line,
    read_primitives,
    read_samples,
    read_setup,
)
from tailor_rl.runs.files import explaining_disk_errors, write_atomic
from tailor_rl.summary import (
    LEDGER_COLUMNS,
    STAGE_LABELS,
    Summary,
    amount,
    interval,
    read_evaluations,
    read_rows,
    sample_sizes,
    split_label,
    summarise,
    totals,
    used_columns,
)
from tailor_rl.types import Evaluation


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of metrics.jsonl: what `keys` of a stage's rows did, step by step."""

    title: str
    unit: str
    stage: str
    keys: Mapping[str, str]  # metric -> what the legend calls it
    percent: bool = False


CURVES = (
    Curve("Reward", "mean over every rollout graded for the step", "rl", {"reward": "reward"}),
    Curve(
        "Informative groups",
        "share of groups whose rewards differ",
        "rl",
        {"informative": "informative"},
        percent=True,
    ),
    Curve("Entropy", "nats a token", "rl", {"entropy": "entropy"}),
    Curve("Length", "mean tokens of an answer", "rl", {"response_tokens": "length"}),
    Curve(
        "Log-probability difference",
        "mean |learner - rollout engine| a token, over all updates of a step",
        "rl",
        {"logprob_difference_mean": "difference"},
    ),
    Curve(
        "KL of engine and learner",
        "nats a token, estimated from the tokens drawn",
        "rl",
        {"mismatch_kl": "KL(engine || learner)"},
    ),
    Curve(
        "Effective sample size",
        "share of the tokens drawn that their ratios are worth",
        "rl",
        {"effective_share": "as drawn", "corrected_effective_share": "as weighed"},
        percent=True,
    ),
    Curve("KL to the reference", "nats a token", "rl", {"kl_reference": "KL"}),
    Curve(
        "Critic",
        "share of the variance of returns that it explains",
        "rl",
        {"explained_variance": "explained variance"},
    ),
    Curve(
        "Clipped tokens",
        "share of trained tokens",
        "rl",
        {"clip_fraction_high": "high side", "clip_fraction_low": "low side"},
        percent=True,
    ),
    Curve(
        "SFT loss",
        "mean over trained tokens",
        "sft",
        {"loss": "trained on", "held_out_loss": "held out"},
    ),
)


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    legend: tuple[str, ...]  # names of the series where there are several
    note: str
    svg: Markup


def write_report(run_path: Path) -> Path:
    """Write report.html into a run folder, atomically, and return its path.

    Raises RunFolderError for damaged rows and where the folder cannot be written to.
    """
    environment = Environment(
        loader=PackageLoader("tailor_rl.report", "."),
        autoescape=True,  # models and teachers wrote much of what is on the page
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("template.html.jinja").render(_content(run_path))
    target = run_path / "report.html"
    with explaining_disk_errors(run_path, target.name):
        write_atomic(target, page + "\n")
    return target


def _content(run_path: Path) -> dict[str, Any]:
    summary = summarise(run_path)
    charts = tuple(curve_charts(run_path))
    return {
        "run": printable(summary.run),
        "setup": read_setup(run_path),
        "summary": summary,
        "sizes": sample_sizes(summary) if summary.cells else "",
        "stage_labels": STAGE_LABELS,
        "split_label": split_label,
        "interval": interval,
        "interval_charts": tuple(_interval_charts(summary)),
        "charts": charts,
        "primitives": read_primitives(run_path),
        "demonstrations": demonstrations_line(run_path),
        "making": read_making(run_path),
        "samples": read_samples(run_path),
        "ledger_columns": [(n, LEDGER_COLUMNS.get(n, n)) for n in used_columns(summary.ledger)],
        "amount": amount,
        "ledger_total": totals(summary.ledger),
        "missing": (*summary.missing, *_missing_files(run_path)),
    }


def _missing_files(run_path: Path) -> Iterator[str]:
    names = ("config.json", "environment.json", "metrics.jsonl")
    for name in (*names, "attempts.jsonl", "primitives.jsonl", "demonstrations.jsonl"):
        if not (run_path / name).is_file():
            yield f"no {name}"


def _interval_charts(summary: Summary) -> Iterator[tuple[str, Markup]]:
    """One chart a split, all on the same axis."""
    if not summary.cells:
        return
    top = ticks(0, max(cell.high for cell in summary.cells.values()))[-1]
    for split in summary.splits:
        rows = []
        for stage in summary.stages:
            cells = [summary.cells.get((stage, split, k)) for k in summary.ks]
            dots = [_dot(cell) for cell in cells if cell is not None]
            if dots:
                rows.append((STAGE_LABELS[stage], dots))
        label = split_label(split)
        yield label, interval_chart(f"{label}: solved, with intervals", rows, top=min(top, 1.0))


def _dot(row: Evaluation) -> Dot:
    return Dot(f"pass@{row.k}", row.value, row.low, row.high, main=row.k == 1)


def curve_charts(run_path: Path) -> Iterator[Chart]:
    """The charts for which there are rows: validation first, then `CURVES`."""
    metrics = read_rows(run_path / "metrics.jsonl")
    validation = [
        row for row in read_evaluations(run_path) if row.split == "validation" and row.stage == "rl"
    ]
    yield from _validation_charts(validation, metrics)
    for curve in CURVES:
        rows = [row for row in metrics if row.get("stage") == curve.stage]
        found = (_metric(rows, key, label) for key, label in curve.keys.items())
        if series := [s for s in found if s.drawable()]:
            x_label = f"{curve.stage.upper()} step"
            yield _chart(curve.title, curve.unit, series, x_label=x_label, percent=curve.percent)


def _metric(rows: Sequence[Mapping[str, Any]], key: str, label: str) -> Series:
    numbers = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
    return Series(label, tuple(Point(step, value) for step, value in sorted(numbers)))


def _validation_charts(
    rows: Sequence[Evaluation], metrics: Sequence[Mapping[str, Any]]
) -> Iterator[Chart]:
    if not rows:
        return
    unit = f"{rows[0].num_problems} held-out problems, 95 % interval"
    by_step = {row.step: float(row.step) for row in rows}
    series = _accuracy(rows, by_step)
    yield _chart("Validation accuracy", unit, series, x_label="RL step", percent=True)
    spent = {0: 0.0} | {
        row["step"]: row["spent_tokens"]
        for row in metrics
        if row.get("stage") == "rl" and "spent_tokens" in row
    }
    series = _accuracy(rows, spent)
    if len(series[0].points) > 1:
        title, label = "Validation accuracy by cost", "tokens generated by RL, every group counted"
        yield _chart(title, unit, series, x_label=label, percent=True)


def _accuracy(rows: Sequence[Evaluation], x_of_step: Mapping[int, float]) -> list[Series]:
    """One series for each k; steps whose x is unknown are left out."""
    series = []
    for k in sorted({row.k for row in rows}):
        latest = {row.step: row for row in rows if row.k == k and row.step in x_of_step}
        points = [
            Point(x_of_step[step], row.value, row.low, row.high)
            for step, row in sorted(latest.items())
        ]
        series.append(Series(f"pass@{k}", tuple(points), measured=True))
    return series


def _chart(
    title: str, unit: str, series: Sequence[Series], *, x_label: str, percent: bool
) -> Chart:
    reach = max(smoothing_reach(s) for s in series)
    return Chart(
        title=title,
        unit=unit,
        legend=tuple(s.label for s in series) if len(series) > 1 else (),
        note=f"thick: mean of {2 * reach + 1} steps" if reach else "",
        svg=line_chart(title, series, x_label=x_label, percent=percent),
    )
