"""`tailor status`: how far a run is and who holds it, from its folder alone. Takes no lock."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import read_lines
from tailor_rl.runs.folder import holder, read_outcome, read_run_config
from tailor_rl.runs.journal import read_stages
from tailor_rl.runs.ledger import read_ledger


@dataclass(frozen=True, slots=True)
class Status:
    """`state`: "running", "finished", "stopped" or "failed" (both can go on), or "killed"."""

    run: str
    state: str
    pid: int | None
    stages: dict[str, str]  # "finished" or "begun"
    last_metrics: dict[str, Any] | None
    last_evaluation: dict[str, Any] | None
    spent: dict[str, dict[str, float]]
    error: str | None


def read_status(run: Path) -> Status:
    """Raises RunFolderError where there is no run folder or its config.json is damaged."""
    read_run_config(run)
    held, outcome = holder(run), read_outcome(run)
    state = "running" if held is not None else (outcome.state if outcome else "killed")
    return Status(
        run=str(run),
        state=state,
        pid=held.get("pid") if held else None,
        stages={
            stage: "finished" if "finished" in entry else "begun"
            for stage, entry in read_stages(run).items()
        },
        last_metrics=_last_row(run / "metrics.jsonl"),
        last_evaluation=_last_row(run / "evaluations.jsonl"),
        spent=read_ledger(run),
        error=outcome.error if outcome and not held else None,
    )


def as_json(status: Status) -> str:
    return json.dumps(asdict(status), indent=2, ensure_ascii=False)


def as_text(status: Status) -> str:
    """A few lines for a person."""
    pid = f" (process {status.pid})" if status.pid else ""
    lines = [f"{status.run}: {status.state}{pid}"]
    if status.error:
        lines.append(f"  {status.error}")
    for stage, state in status.stages.items():
        spent = status.spent.get(stage, {})
        amounts = ", ".join(f"{name.replace('_', ' ')} {_amount(n)}" for name, n in spent.items())
        lines.append(f"  {stage:<14} {state:<9} {amounts}".rstrip())
    if status.last_metrics:
        lines.append(f"  last step      {_figures(status.last_metrics)}")
    row = status.last_evaluation
    if row and isinstance(value := row.get("value"), (int, float)):
        lines.append(
            f"  last figure    {row.get('stage')} step {row.get('step')}, {row.get('split')}: "
            f"{row.get('metric')} {100 * value:.1f} %"
        )
    return "\n".join(lines)


def _amount(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.1f}"


def _figures(row: dict[str, Any]) -> str:
    shown = [
        f"{name} {value:.4g}"
        for name, value in row.items()
        if name not in ("stage", "step", "time") and isinstance(value, (int, float))
    ]
    return ", ".join([f"{row.get('stage')} step {row.get('step')}", *shown[:6]])


def _last_row(path: Path) -> dict[str, Any] | None:
    lines = read_lines(path)
    try:
        row = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError as error:
        raise RunFolderError(
            f"the last line of {path} is damaged: remove it or start a new run"
        ) from error
    return row if isinstance(row, dict) else None
