"""Kill real runs with SIGKILL, resume them, and compare with runs that nobody touched.

    python -m benchmarks.resume_exactness --kills 6 --out benchmarks/results/resume-exactness.json

Ray, vLLM and DeepSpeed through the command line, on a random student of two layers, in
deterministic mode: rl.max_lag = 0, float32, fixed seeds. A kill ends every process of a run at
once, at a step drawn by the seed, in SFT or in RL. Compared are every number of metrics.jsonl but
the timings, every row of evaluations.jsonl, what the ledger says of SFT and RL, and the checksums
of the weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sittings import ROOT, Kill, reached, sit_until
from tailor_rl.runs.environment import describe_environment
from tailor_rl.seeds import derive_seed
from tailor_rl.summary import read_rows
from tests.tiny import make_student

RUN_S = 400.0  # for one sitting, on a busy machine
SFT_STEPS, RL_STEPS = 6, 5
RECIPE = (
    'initialisation="rule_based"',
    'cluster.address="local"',
    f'reward.functions.letters="{ROOT}/tests/recipes/letters.py:letters"',
    "reward.weights={correct=1.0, letters=1.0}",
    "demonstrations.num_problems=12",
    f"sft.num_steps={SFT_STEPS}",
    "sft.batch_size=4",
    "sft.checkpoint_every=2",
    "sft.held_out=2",
    "sft.evaluate_every=3",
    f"rl.num_steps={RL_STEPS}",
    "rl.max_lag=0",
    "rl.groups_per_step=4",
    "rl.group_size=4",
    "rl.kl_coefficient=0.01",
    "rl.checkpoint_every=2",
    "evaluation.every=2",
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is the largest absolute one of any number; 0.0 where all are equal."""

    numbers: int
    differing: tuple[str, ...]
    difference: float
    same_weights: bool

    @property
    def exact(self) -> bool:
        return not self.differing and self.same_weights


def drawn_kills(num: int, *, seed: int) -> list[Kill]:
    """As many in SFT as in RL, or one more, at different steps drawn by the seed, in order."""
    rng = np.random.default_rng(derive_seed(seed, "kills"))
    in_rl = num // 2
    sft = rng.choice(SFT_STEPS, size=num - in_rl, replace=False) + 1
    rl = rng.choice(RL_STEPS, size=in_rl, replace=False) + 1
    return [Kill("sft", int(n)) for n in sorted(sft)] + [Kill("rl", int(n)) for n in sorted(rl)]


def command(student: Path, runs: Path, name: str, *overrides: str) -> list[str]:
    words = ["tests/recipes/tiny.toml", f'student="{student}"', *RECIPE, *overrides]
    return [*words, "--runs-dir", str(runs), "--name", name]


def sit(words: list[str], *, run: Path, kill: Kill | None = None) -> str:
    """One sitting of `tailor run WORDS`: to its end, or to the kill. Returns what it printed."""
    log = run.parent / f"{run.name}.log"
    killed = sit_until(
        ["run", *words, "--plain"],
        log=log,
        until=None if kill is None else lambda: reached(run, kill),
        at_most_s=RUN_S,
    )
    said = log.read_text(encoding="utf-8")
    if killed != (kill is not None):
        raise AssertionError(f"{words} ended, and was to be killed at {kill}:\n{said[-4000:]}")
    return said


def compare(one: Path, other: Path) -> Comparison:
    """What two run folders say that is not about time."""
    ours, theirs = numbers(one), numbers(other)
    differing = sorted(
        key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)
    )
    gaps = [abs(ours[k] - theirs[k]) for k in differing if k in ours and k in theirs]
    missing = any(key not in ours or key not in theirs for key in differing)
    return Comparison(
        numbers=len(ours),
        differing=tuple(differing),
        difference=float("inf") if missing else max(gaps, default=0.0),
        same_weights=checksums(one) == checksums(other),
    )


def numbers(run: Path) -> dict[str, float]:
    """Every number by where it stands: "metrics rl 3 loss", "ledger rl rollouts"."""
    found = {}
    for row in read_rows(run / "metrics.jsonl"):
        where = f"metrics {row['stage']} {row['step']}"
        for name, value in row.items():
            if name not in ("stage", "step") and not _timing(name):
                assert f"{where} {name}" not in found, f"{where} is there twice"
                found[f"{where} {name}"] = float(value)
    for row in read_rows(run / "evaluations.jsonl"):
        where = f"evaluations {row['stage']} {row['step']} {row['split']} {row['metric']}"
        for name in ("value", "low", "high", "mean_tokens", "truncated", "weight_version"):
            found[f"{where} {row['k']} {name}"] = float(row[name])
    ledger = json.loads((run / "ledger.json").read_text(encoding="utf-8"))
    for stage in ("sft", "rl", "validation"):
        for name, value in ledger.get(stage, {}).items():
            if name != "seconds":
                found[f"ledger {stage} {name}"] = float(value)
    return found


def _timing(name: str) -> bool:
    return name == "time" or "seconds" in name or name.endswith("_per_s")


def checksums(run: Path) -> dict[str, str]:
    """Of the weights in every checkpoint that is left, by name."""
    return {
        path.parents[1].name: json.loads(path.read_text(encoding="utf-8"))["version"]["checksum"]
        for path in sorted((run / "checkpoints").glob("*/learner/learner.json"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=6, help="of each number of ranks")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resume-") as folder:
        cases = [
            measured(Path(folder), ranks=ranks, num=args.kills, seed=args.seed + ranks,
                     overrides=args.overrides)
            for ranks in args.ranks
        ]  # fmt: skip
    document = {
        "command": "python -m benchmarks.resume_exactness " + " ".join(sys.argv[1:]),
        "environment": describe_environment(),
        "recipe": "tests/recipes/tiny.toml",
        "overrides": [word.replace(f"{ROOT}/", "") for word in (*RECIPE, *args.overrides)],
        "cases": cases,
    }
    args.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def measured(
    folder: Path, *, ranks: int, num: int, seed: int, overrides: list[str]
) -> dict[str, Any]:
    """Two runs that nobody touches, and one that is killed `num` times."""
    student = make_student(folder / f"student-{ranks}", max_length=2048)
    cut = [f"learner.ranks={ranks}", f"learner.zero_stage={0 if ranks == 1 else 2}", *overrides]
    runs = folder / f"runs-{ranks}"
    runs.mkdir()
    for name in ("whole", "again"):
        sit(command(student, runs, name, *cut), run=runs / name)
    killed, made = runs / "killed", list[str]()
    for kill in drawn_kills(num, seed=seed):
        first = command(student, runs, "killed", *cut)
        sit(["--resume", str(killed)] if made else first, run=killed, kill=kill)
        made.append(f"{kill.stage} {kill.step}")
        print(f"{ranks} ranks: killed at {made[-1]}", flush=True)
    sit(["--resume", str(killed)], run=killed)
    return {
        "ranks": ranks,
        "zero_stage": 0 if ranks == 1 else 2,
        "killed_after_the_row_of": made,
        "killed_and_resumed": _figures(compare(runs / "whole", killed)),
        "two_untouched_runs": _figures(compare(runs / "whole", runs / "again")),
    }


def _figures(found: Comparison) -> dict[str, Any]:
    return {
        "exact": found.exact,
        "numbers_compared": found.numbers,
        "numbers_that_differ": len(found.differing),
        "largest_difference": found.difference,
        "same_weights": found.same_weights,
        "examples": list(found.differing[:5]),
    }


if __name__ == "__main__":
    main()
