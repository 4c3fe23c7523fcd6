"""Each method against its plain twin: real runs on the demo's student, one after another.

    python benchmarks/methods.py --out methods.json [ARM ...] [--seeds 1] [--runs-dir runs/methods]
        [--set key=value ...]

A twin differs from its method in the method alone: the same student, problems, demonstrations,
number of steps and sampling. Differences are paired problem by problem. Rows that stand in the
result file are not run again, and a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailor_rl.comparison import compare
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import read_json, read_typed_lines, write_json
from tailor_rl.summary import summarise
from tailor_rl.types import ProblemResult

ROOT = Path(__file__).resolve().parents[1]
SHORT = (
    "rl.num_steps=12",
    "rl.warmup_steps=2",
    "rl.checkpoint_every=6",
    "evaluation.every=0",
    "evaluation.ood_splits=[]",
    "evaluation.samples_per_problem=4",
    "rollout.threads=1",
    "learner.threads=1",
)


@dataclass(frozen=True, slots=True)
class Arm:
    """`twin` is the arm that it is compared with."""

    recipe: str
    overrides: tuple[str, ...] = ()
    twin: str = ""


ARMS = {
    "grpo": Arm("recipes/demo.toml", ("rl.algorithm=grpo",)),
    "sasr": Arm("recipes/methods/sasr.toml", twin="grpo"),
    "pear": Arm("recipes/methods/pear.toml", ("rl.algorithm=grpo",), twin="grpo"),
    # The twin's SFT policy stands for the teacher: it has to be there first.
    "pear_cloned": Arm(
        "recipes/methods/pear.toml",
        ("rl.algorithm=grpo", "sft.options.behaviour={runs}/grpo-seed-{seed}/checkpoints/sft"),
        twin="grpo",
    ),
    "uds": Arm("recipes/methods/uds.toml", ("rl.algorithm=grpo",), twin="grpo"),
    "dr_grpo": Arm("recipes/demo.toml", ("rl.algorithm=dr_grpo",)),
    "prefix_rft": Arm("recipes/methods/prefix_rft.toml", twin="dr_grpo"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", dest="more")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs" / "methods")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    out, runs = args.out.resolve(), args.runs_dir.resolve()
    document = read_json(out) if out.exists() else {"runs": {}, "differences": {}}
    for seed in args.seeds:
        for name in args.arms or ARMS:
            key = f"{name}-seed-{seed}"
            if key not in document["runs"]:
                document["runs"][key] = run(name, args.more, seed=seed, runs=runs)
            twin = f"{ARMS[name].twin}-seed-{seed}"
            if ARMS[name].twin and twin in document["runs"]:
                document["differences"][key] = differences(runs / twin, runs / key)
            document["environment"] = describe_environment()
            write_json(out, document)
    print(markdown(document["runs"], document["differences"]))


def run(name: str, more: list[str], *, seed: int, runs: Path) -> dict[str, Any]:
    """One run from its beginning, or from where it was broken off, to its end."""
    arm, folder = ARMS[name], runs / f"{name}-seed-{seed}"
    command = [sys.executable, "-m", "tailor_rl", "run", "--plain"]
    resumed = folder.is_dir()
    if resumed:
        command += ["--resume", str(folder)]
    else:
        own = [override.format(runs=runs, seed=seed) for override in arm.overrides]
        command += [arm.recipe, *SHORT, *own, *more, f"seed={seed}", "--name", folder.name]
        command += ["--runs-dir", str(runs)]
    print(f"{folder.name} begins", flush=True)
    began = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    print(f"{folder.name} took {seconds:.0f} s", flush=True)
    summary = summarise(folder)
    return {
        "arm": name,
        "twin": arm.twin,
        "seed": seed,
        "command": "python " + " ".join(command[1:]).replace(f"{ROOT}/", ""),
        "git": read_json(folder / "environment.json")["git"],
        "resumed": resumed,  # then the seconds are those of the last part
        "wall_seconds": round(seconds, 1),
        "accuracy": {
            f"{stage} {split} pass@{k}": [round(x, 4) for x in (row.value, row.low, row.high)]
            for (stage, split, k), row in summary.cells.items()
        },
        "ledger": summary.ledger,
    }


def differences(twin: Path, method: Path) -> dict[str, Any]:
    """Method minus twin, on the problems of the test split, after SFT and after RL."""
    found = {}
    for stage in ("sft", "rl"):
        both = [results(run, stage) for run in (twin, method)]
        for split in compare(*both):
            found[stage] = {figure.metric: asdict(figure) for figure in split.figures}
    return found


def results(run: Path, stage: str) -> list[ProblemResult]:
    path = run / "results" / f"eval-{stage}.jsonl"
    return read_typed_lines(path, ProblemResult, what="no result", fix="run the arm again")


def markdown(runs: dict[str, Any], differences: dict[str, Any]) -> str:
    heads = ("run", "SFT pass@1", "RL pass@1", "minus twin, SFT", "minus twin, RL", "tokens", "s")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for key, row in runs.items():
        cells = [interval(*row["accuracy"][f"{stage} test pass@1"]) for stage in ("sft", "rl")]
        for stage in ("sft", "rl"):
            found = differences.get(key, {}).get(stage, {}).get("pass@1", {}).get("difference")
            bounds = (found["value"], found["low"], found["high"]) if found else ()
            cells.append(interval(*bounds, sign="+") if found else "")
        cells.append(f"{sum(stage_tokens(stage) for stage in row['ledger'].values()):,.0f}")
        lines.append(f"| {key} | {' | '.join(cells)} | {row['wall_seconds']:.0f} |")
    return "\n".join(lines)


def stage_tokens(stage: dict[str, float]) -> float:
    """Generated and learnt from."""
    return stage.get("generated_tokens", 0) + stage.get("learner_tokens", 0)


def interval(value: float, low: float, high: float, *, sign: str = "") -> str:
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


if __name__ == "__main__":
    main()
