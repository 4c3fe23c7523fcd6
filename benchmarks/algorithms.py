"""A short run of every named algorithm from one and the same SFT checkpoint: does each learn?

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.algorithms \
        --out benchmarks/results/algorithms.json

The demo's recipe makes the checkpoint once (seed 1, its RL cut to one step); then each algorithm
runs alone with the demo's task, batch and learning rate, for `--steps` steps. Adam's steps do not
grow with the scale of a loss, so that rate serves sums over a sequence (RLOO) as well as means over
tokens; of clipped gradients only the direction counts. PPO's critic has a rate of its own, and its
backbone two steps of its own first. Runs that stand in the result file are not made again, and one
that was broken off is resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tailor_rl.algorithms.algorithm import NAMES
from tailor_rl.runs.environment import describe_environment

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "recipes/demo.toml"
FEW = [
    "evaluation.num_problems=1", "evaluation.ood_splits=[]", "evaluation.greedy=false",
]  # fmt: skip
EXTRA = {"ppo": ["rl.critic_learning_rate=5e-4", "rl.critic_warmup_steps=2"]}
# Where the formula and the invariance of each are tested.
FORMULA = "tests/unit/test_named_algorithms.py"
INVARIANCE = "tests/integration/test_learner_ranks.py"
CRITIC = "tests/integration/test_learner_critic.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithms", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--problems", type=int, default=64, help="of validation, 8 answers each")
    parser.add_argument("--groups", type=int, default=16, help="of a step")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs" / "algorithms")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    settings = {"steps": args.steps, "problems": args.problems, "groups": args.groups}
    document = json.loads(args.out.read_text()) if args.out.is_file() else {}
    if document.get("settings", settings) != settings:
        parser.exit(2, f"{args.out} was made with {document['settings']}: name another --out\n")
    runs: dict[str, Any] = document.get("runs", {})
    runs_dir = args.runs_dir.resolve()
    base = runs_dir / "base" / "checkpoints" / "sft"
    if not base.is_dir() and set(args.algorithms) - set(runs):
        _run("base", runs_dir, ["rl.num_steps=1", "evaluation.num_validation_problems=1", *FEW])
    for name in args.algorithms:
        if name in runs:
            continue
        overrides = [
            f"student={base}", "initialisation=none", f"rl.algorithm={name}",
            f"rl.num_steps={args.steps}", f"rl.groups_per_step={args.groups}",
            f"evaluation.every={args.steps}", f"evaluation.num_validation_problems={args.problems}",
            "rl.checkpoint_every=5", *FEW, *EXTRA.get(name, []),
        ]  # fmt: skip
        seconds = _run(name, runs_dir, overrides)
        runs[name] = {**figures(runs_dir / name), "wall_seconds": round(seconds, 1)}
        _write(args.out, settings, runs)
        print(json.dumps({name: runs[name]}), flush=True)


def _run(name: str, runs_dir: Path, overrides: list[str]) -> float:
    """Start or resume a run, alone on the machine; its seconds."""
    command = [sys.executable, "-m", "tailor_rl", "run"]
    if (runs_dir / name).is_dir():
        command += ["--resume", str(runs_dir / name)]
    else:
        command += [RECIPE, *overrides, "--name", name, "--runs-dir", str(runs_dir)]
    started = time.monotonic()
    subprocess.run([*command, "--plain"], check=True, cwd=ROOT)
    return time.monotonic() - started


def figures(run: Path) -> dict[str, Any]:
    """Validation accuracy before and after with its interval, and rewards of the first and last
    three steps.
    """
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    accuracy = {
        row["step"]: [round(row[key], 4) for key in ("value", "low", "high")]
        for row in rows
        if (row["stage"], row["split"], row["metric"]) == ("rl", "validation", "accuracy")
    }
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in metrics if row.get("stage") == "rl" and "reward" in row]
    rewards = [row["reward"] for row in sorted(steps, key=lambda row: row["step"])]
    config = json.loads((run / "config.json").read_text())
    rate = config.get("rl", config.get("config", {}).get("rl", {})).get("learning_rate")
    return {
        "accuracy_before": accuracy[min(accuracy)],
        "accuracy_after": accuracy[max(accuracy)],
        "reward_first_3": round(sum(rewards[:3]) / len(rewards[:3]), 4),
        "reward_last_3": round(sum(rewards[-3:]) / len(rewards[-3:]), 4),
        "rewards": [round(reward, 4) for reward in rewards],
        "learning_rate": rate,
    }


def _write(out: Path, settings: dict[str, int], runs: dict[str, Any]) -> None:
    flags = " ".join(f"--{key} {value}" for key, value in settings.items())
    document = {
        "command": "OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.algorithms "
        f"{flags} --out {out}",
        "environment": describe_environment(),
        "settings": settings,
        "runs": runs,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")
    out.with_suffix(".md").write_text(table(settings, runs))


def table(settings: dict[str, int], runs: dict[str, Any]) -> str:
    lines = [
        "# Every named algorithm, from one SFT checkpoint",
        "",
        f"{settings['steps']} steps of {settings['groups']} groups of 8 on the demo's task; "
        f"accuracy on {settings['problems']} validation problems, 8 answers each, with 95 % "
        "intervals over problems. One run each, and short: this says that an algorithm learns, not "
        "which is better. Made by `benchmarks/algorithms.py`.",
        "",
        "| algorithm | formula test | invariance | reward, first 3 steps -> last 3 | "
        "accuracy before -> after |",
        "|---|---|---|---|---|",
    ]
    for name, run in runs.items():
        invariance = f"`{INVARIANCE}`" + (f", `{CRITIC}`" if name == "ppo" else "")
        lines.append(
            f"| {name} | `{FORMULA}` | {invariance} | "
            f"{run['reward_first_3']:.3f} -> {run['reward_last_3']:.3f} | "
            f"{_interval(run['accuracy_before'])} -> {_interval(run['accuracy_after'])} |"
        )
    return "\n".join(lines) + "\n"


def _interval(figure: list[float]) -> str:
    value, low, high = figure
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
