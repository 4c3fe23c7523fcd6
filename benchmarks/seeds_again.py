"""Examine the checkpoints of a seeds study again, each stage of each seed, with `tailor evaluate`.

    python benchmarks/seeds_again.py [key=value ...] --seeds 1 2 3 4 5 --out RESULT.json

For a study (benchmarks/demo_seeds.py) whose run folders still exist: other problems, intervals or
splits without training again. What is finished is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tailor_rl.runs.environment import describe_environment

ROOT = Path(__file__).resolve().parents[1]
STAGES = {"base": "student", "sft": "sft", "rl": "latest"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--name", default="demo", help="runs/NAME-seed-N")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    document: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "environment": describe_environment(),
        "seeds": {},
    }
    for seed in args.seeds:
        run = f"{args.name}-seed-{seed}"
        folders = {stage: ROOT / f"evaluations/{args.out.stem}/{run}-{stage}" for stage in STAGES}
        for stage, checkpoint in STAGES.items():
            tailor("evaluate", run, *args.overrides, "--checkpoint", checkpoint,
                   "--out", str(folders[stage]))  # fmt: skip
        document["seeds"][seed] = {
            "figures": [row for folder in folders.values() for row in figures(folder)],
            "compared": {
                f"{before} to {after}": json.loads(
                    tailor("compare", str(folders[before]), str(folders[after]), "--json")
                )
                for before, after in (("base", "sft"), ("sft", "rl"))
            },
        }
        text = json.dumps(document, indent=1).replace(f"{ROOT}/", "")
        args.out.write_text(f"{text}\n")
        print(f"seed {seed} done", flush=True)


def tailor(*arguments: str) -> str:
    command = [sys.executable, "-m", "tailor_rl", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def figures(folder: Path) -> list[dict[str, Any]]:
    """The rows of table.json that are of a whole split."""
    rows = json.loads((folder / "table.json").read_text())
    return [row for row in rows if row["part"] == "split"]


if __name__ == "__main__":
    main()
