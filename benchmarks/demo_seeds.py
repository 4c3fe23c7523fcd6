"""Run a recipe once for each seed and write one result file: does learning show every time?

    python benchmarks/demo_seeds.py --seeds 1 2 3 4 5 [--recipe recipes/demo.toml] [key=value ...]

Seeds that stand in the result file are not run again, and one that was broken
off is resumed: a study can be stopped and continued.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tailor_rl.runs.environment import describe_environment
from tailor_rl.summary import Summary, summarise

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--recipe", default="recipes/demo.toml")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    for seed in args.seeds:
        if seed in {row["seed"] for row in rows}:
            continue
        rows.append(measure(args.recipe, args.overrides, seed=seed, runs_dir=args.runs_dir))
        write(args.out, rows)
        print(json.dumps(rows[-1]["accuracy"]), flush=True)


def measure(recipe: str, overrides: list[str], *, seed: int, runs_dir: Path) -> dict[str, Any]:
    """One seed: the command, its wall-clock seconds, the table, and the verdicts."""
    run = runs_dir / f"{Path(recipe).stem}-seed-{seed}"
    command = [sys.executable, "-m", "tailor_rl", "run"]
    if run.is_dir():
        command += ["--resume", str(run)]
    else:
        command += [recipe, f"seed={seed}", *overrides, "--name", run.name]
        command += ["--runs-dir", str(runs_dir)]
    resumed = run.is_dir()
    started = time.monotonic()
    subprocess.run([*command, "--plain"], check=True, cwd=ROOT)
    summary = summarise(run)
    return {
        "seed": seed,
        "command": "python " + " ".join(command[1:]).replace(f"{ROOT}/", ""),
        "git": json.loads((run / "environment.json").read_text())["git"],
        "resumed": resumed,  # then the seconds are those of the last part
        "wall_seconds": round(time.monotonic() - started, 1),
        "accuracy": cells(summary),
        "ledger": summary.ledger,
        "verdicts": [verdict.text for verdict in summary.verdicts],
        "separate": [verdict.separate for verdict in summary.verdicts],
    }


def cells(summary: Summary) -> dict[str, list[float]]:
    """ "sft test pass@1": [value, low, high]."""
    return {
        f"{stage} {split} pass@{k}": [round(x, 4) for x in (row.value, row.low, row.high)]
        for (stage, split, k), row in summary.cells.items()
    }


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {"environment": describe_environment(), "runs": rows}
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
