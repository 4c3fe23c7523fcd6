"""What a run found, in one table: read from evaluations.jsonl and ledger.json, shown with rich.

Knows nothing about how a run is made, and invents nothing: a stage not measured has no row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailor_rl.errors import RunFolderError
from tailor_rl.printable import one_line
from tailor_rl.runs.files import read_json, read_lines
from tailor_rl.runs.ledger import read_ledger
from tailor_rl.types import Evaluation

STAGE_LABELS = {"base": "base", "sft": "after SFT", "rl": "after RL"}
LEDGER_COLUMNS = {
    "problems": "problems",
    "rollouts": "rollouts",
    "generated_tokens": "generated tokens",
    "learner_tokens": "learner tokens",
    "teacher_requests": "teacher requests",
    "teacher_tokens": "teacher tokens",
    "teacher_money": "teacher money",
    "teacher_retries": "teacher retries",
    "teacher_seconds": "teacher seconds",
    "seconds": "seconds",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Two stages compared on one split, in words."""

    text: str
    separate: bool  # the 95 % intervals do not touch


@dataclass(frozen=True, slots=True)
class Summary:
    """The headline figures of a run folder.

    `cells` maps (stage, split, k) to the row of the last step measured; k = 1 is accuracy.
    """

    run: str
    stages: tuple[str, ...]  # those measured, of base, sft, rl
    splits: tuple[str, ...]  # "test" first, then "ood/..."
    ks: tuple[int, ...]
    cells: Mapping[tuple[str, str, int], Evaluation]
    verdicts: tuple[Verdict, ...]
    ledger: Mapping[str, Mapping[str, float]]  # stage -> column -> amount
    missing: tuple[str, ...]
    report: Path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file; [] where there is none. RunFolderError names a damaged line."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise RunFolderError(f"{path}, line {number} is damaged: remove the line")
        rows.append(row)
    return rows


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object; {} where there is none. RunFolderError if damaged."""
    return read_json(path) if path.is_file() else {}


def read_evaluations(run_path: Path) -> list[Evaluation]:
    """The rows of evaluations.jsonl, in file order; keys that are not known here are left out."""
    path = run_path / "evaluations.jsonl"
    try:
        rows = [Evaluation(**_known(row)) for row in read_rows(path)]
    except KeyError as error:
        raise RunFolderError(
            f"{path} has a row without {error}: it was written by another version of tailor_rl"
        ) from error
    for number, row in enumerate(rows, start=1):
        for field in fields(Evaluation):
            if not isinstance(getattr(row, field.name), _FIELD_TYPES[str(field.type)]):
                raise RunFolderError(
                    f"{path}, line {number} is damaged ({field.name!r} is no {field.type}): "
                    "remove the line"
                )
    return rows


_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
}


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an Evaluation in a row; one that has no default must be there."""
    return {
        field.name: row[field.name]
        for field in fields(Evaluation)
        if field.name in row or field.default is MISSING
    }


def split_label(split: str) -> str:
    return "in distribution" if split == "test" else one_line(split, 40).replace("ood/", "ood: ")


def percent(row: Evaluation) -> str:
    """Example: "81.2 % [78.9, 83.4]"."""
    return f"{100 * row.value:.1f} % {interval(row)}"


def interval(row: Evaluation) -> str:
    """Example: "[78.9, 83.4]"."""
    return f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"


def summarise(run_path: Path) -> Summary:
    """Reads evaluations.jsonl and ledger.json of a run folder; either may be missing.

    Raises RunFolderError for a damaged one.
    """
    rows = [r for r in read_evaluations(run_path) if r.split == "test" or r.split.startswith("ood")]
    rows = [row for row in rows if row.metric != "greedy"]
    cells: dict[tuple[str, str, int], Evaluation] = {}
    for row in sorted(
        rows, key=lambda r: r.step
    ):  # stable: of equal steps the row written last stays
        cells[row.stage, row.split, row.k] = row
    stages = tuple(stage for stage in STAGE_LABELS if any(key[0] == stage for key in cells))
    splits = tuple(sorted({key[1] for key in cells}, key=lambda s: (s != "test", s)))
    ledger = read_ledger(run_path)
    return Summary(
        run=run_path.resolve().name,
        stages=stages,
        splits=splits,
        ks=tuple(sorted({key[2] for key in cells})),
        cells=cells,
        verdicts=tuple(_verdicts(stages, splits, cells)),
        ledger=ledger,
        missing=tuple(_missing(stages, ledger)),
        report=run_path / "report.html",
    )


def _missing(stages: tuple[str, ...], ledger: Mapping[str, Any]) -> Iterator[str]:
    for stage, label in STAGE_LABELS.items():
        if stage not in stages:
            yield f"no evaluation {label}" if stage != "base" else "no evaluation of the base"
    if not ledger:
        yield "no ledger.json"


def _verdicts(
    stages: tuple[str, ...],
    splits: tuple[str, ...],
    cells: Mapping[tuple[str, str, int], Evaluation],
) -> Iterator[Verdict]:
    for split in splits:
        for before, after in pairwise(stages):
            pair = cells.get((before, split, 1)), cells.get((after, split, 1))
            if pair[0] is not None and pair[1] is not None:
                yield compare(pair[0], pair[1])


def compare(before: Evaluation, after: Evaluation) -> Verdict:
    """Says whether two intervals touch. Ends that are equal touch.

    Where every problem came out alike, resampling problems gives an interval of no width, which
    says nothing about the next problem: no verdict is drawn from it.
    """
    names = [f"{STAGE_LABELS[row.stage]} {percent(row)}" for row in (before, after)]
    where = f"{split_label(after.split)}, pass@{after.k}"
    if before.low == before.high or after.low == after.high:
        alike = "every problem came out alike in one of them, so there is no interval to compare"
        return Verdict(f"{where}: {names[1]} against {names[0]}: {alike}", False)
    if after.low > before.high or after.high < before.low:
        side = "above" if after.value > before.value else "below"
        return Verdict(
            f"{where}: {names[1]} is {side} {names[0]}: the intervals do not touch", True
        )
    touch = "the intervals touch, this run does not tell them apart"
    return Verdict(f"{where}: {names[1]} against {names[0]}: {touch}", False)


def print_summary(run_path: Path, console: Console | None = None) -> None:
    """The table, the verdicts, what was spent, and where the report is."""
    summary = summarise(run_path)
    console = console or Console()
    if summary.cells:
        console.print(_figures_table(summary, wide=console.width >= 30 + 22 * len(summary.splits)))
    for verdict in summary.verdicts:
        console.print(Text(verdict.text, style="" if verdict.separate else "dim"))
    if summary.ledger:
        console.print(_ledger_table(summary.ledger))
    if summary.missing:
        console.print(Text("left out: " + "; ".join(summary.missing), style="dim"))
    if summary.report.is_file():
        console.print(Text(f"report: {summary.report}"), soft_wrap=True)


def sample_sizes(summary: Summary) -> str:
    """Example: "200 problems a split, 8 samples each, temperature 1"."""
    rows = summary.cells.values()
    problems = _span({row.num_problems for row in rows})
    samples = _span({row.num_samples for row in rows})
    temperatures = _span({row.temperature for row in rows})
    return f"{problems} problems a split, {samples} samples each, temperature {temperatures}"


def _span(values: set[int] | set[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _figures_table(summary: Summary, *, wide: bool) -> Table:
    title = Text(f"{one_line(summary.run)}: % solved, 95 % interval over families")
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.caption = sample_sizes(summary)
    table.add_column("")
    table.add_column("")
    for split in summary.splits:
        table.add_column(Text(split_label(split)), justify="right")
    for stage in summary.stages:
        for i, k in enumerate(summary.ks):
            name = Text(STAGE_LABELS[stage] if i == 0 else "")
            rows = [summary.cells.get((stage, split, k)) for split in summary.splits]
            if any(rows):
                last = k == summary.ks[-1]
                table.add_row(name, f"pass@{k}", *(_cell(r, wide) for r in rows), end_section=last)
    return table


def _cell(row: Evaluation | None, wide: bool) -> Text:
    if row is None:
        return Text("-", style="dim")
    return Text(f"{100 * row.value:.1f}{' ' if wide else chr(10)}{interval(row)}")


def used_columns(ledger: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The known ledger columns in which anything was spent, then any others by name."""
    spent = {name for amounts in ledger.values() for name, amount in amounts.items() if amount}
    known = [name for name in LEDGER_COLUMNS if name in spent]
    return (*known, *sorted(spent - set(known)))


def totals(ledger: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    names = {name for amounts in ledger.values() for name in amounts}
    return {name: sum(amounts.get(name, 0) for amounts in ledger.values()) for name in names}


def _ledger_table(ledger: Mapping[str, Mapping[str, float]]) -> Table:
    # Without lines and with headings of two words on two lines it fits into 80 columns.
    table = Table(title="spent", show_footer=True, box=None, padding=(0, 1, 0, 0))
    table.add_column("stage", footer="total", no_wrap=True)
    columns, total = used_columns(ledger), totals(ledger)
    for name in columns:
        label = LEDGER_COLUMNS.get(name, one_line(name, 40).replace("_", " "))
        heading = Text(label.replace(" ", "\n"))
        table.add_column(heading, footer=amount(total[name]), justify="right", vertical="bottom")
    for stage, amounts in ledger.items():
        figures = (amount(amounts[name]) if amounts.get(name) else "" for name in columns)
        table.add_row(Text(one_line(stage, 40).replace("_", " ")), *figures)
    return table


def amount(value: float) -> str:
    """Exact up to 9,999,999, then 12.3M: the files and the report have every digit."""
    if 0 < value < 10 and value != int(value):  # money, mostly
        return f"{value:,.2f}"
    return f"{value:,.0f}" if value < 1e7 else f"{value / 1e6:,.1f}M"
