"""Make the SFT set of every initialisation, and measure the sets side by side.

    python benchmarks/initialisations.py knights igsm ablations --out sets.json [key=value ...]
        [--runs-dir runs/sets]

Each set is a run folder that `tailor demonstrate` makes; one that is finished is not made again,
and one that was broken off goes on. The measures of a group are taken together, since coverage is
compared at the size of its smallest set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailor_rl.curation.lineage import Lineage
from tailor_rl.measures.habits import HABITS
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import read_json, read_typed_lines, write_json
from tailor_rl.runs.ledger import read_ledger

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Group:
    """Sets of one recipe: name -> overrides, or the ablation recipes by their names."""

    recipe: str
    student: str
    sets: dict[str, tuple[str, ...]]


EVERY: dict[str, tuple[str, ...]] = {
    "tailor": (),
    "rule_based": (),
    "standard_cot": (),
    "four_star": (),
    "four_star_rounds": ("initialisation=four_star", "four_star.reading=rounds"),
    "re_distill": (),
    "one_primitive": (),
    "paired_primitives": (),
    "shuffled_primitives": (),
    "rule_based_diverse": (),
    "empty": (),
    "dots": (),
    # The built-in solver makes no mistakes at the recipe's temperature.
    "wrong_only": ("demonstrations.temperature=1.2", "demonstrations.max_tries=12"),
    "tailor_80_right": (
        "initialisation=tailor",
        "teacher.model=builtin-novice",
        "demonstrations.keep=all",
        "demonstrations.correct_share=0.8",
    ),
    "standard_cot_80_right": (
        "initialisation=standard_cot",
        "teacher.model=builtin-novice",
        "demonstrations.keep=all",
        "demonstrations.correct_share=0.8",
    ),
}
ABLATIONS = {path.stem: () for path in sorted((ROOT / "recipes/ablations").glob("*.toml"))}
BARE = ("empty", "dots")
GROUPS = {
    "knights": Group("recipes/demo.toml", "students/knights-qwen2", EVERY),
    "igsm": Group("recipes/igsm-small.toml", "students/igsm-qwen2", EVERY),
    "ablations": Group("recipes/ablations/{}.toml", "students/knights-qwen2", ABLATIONS),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("words", nargs="+", metavar="GROUP or key=value")
    parser.add_argument("--only", nargs="+", default=None, metavar="SET")
    parser.add_argument("--runs-dir", type=Path, default=ROOT / "runs" / "sets")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    overrides = [word for word in args.words if "=" in word]
    document = read_json(args.out) if args.out.exists() else {"groups": {}}
    for name in (word for word in args.words if "=" not in word):
        group, made = GROUPS[name], []
        for key in args.only or group.sets:
            folder = make(group, key, overrides, args.runs_dir.resolve() / name)
            if folder is not None:
                made.append(folder)
        document["groups"][name] = measured(group, made)
        document["environment"] = describe_environment()
        document["command"] = " ".join(["python", *sys.argv]).replace(f"{ROOT}/", "")
        write_json(args.out, document)
        print(markdown(document["groups"][name]), flush=True)


def make(group: Group, key: str, overrides: list[str], runs: Path) -> Path | None:
    """The run folder of a set; None, with what was said, where it cannot be made."""
    folder = runs / key
    if (folder / "dataset").is_dir():
        return folder
    command = [sys.executable, "-m", "tailor_rl", "demonstrate", "--plain"]
    if folder.is_dir():
        command += ["--resume", str(folder)]
    else:
        own = group.sets[key]
        if "{}" not in group.recipe and not any(o.startswith("initialisation=") for o in own):
            own = (f"initialisation={key}", *own)
        recipe = group.recipe.format(key)
        command += [recipe, *own, *overrides, "--name", key, "--runs-dir", str(runs)]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
    print(f"{key}: exit {done.returncode} after {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode:
        print(f"  {last}", flush=True)
        return None
    return folder


def measured(group: Group, folders: list[Path]) -> dict[str, Any]:
    """Measures and lineage of each set, as `tailor measures` gives them.

    Sets without thinking are measured apart: coverage at their size would say nothing of the rest.
    """
    bare = [folder for folder in folders if folder.name in BARE]
    rest = [folder for folder in folders if folder.name not in BARE]
    rows = [row for some in (rest, bare) if some for row in measure(group.student, some)]
    return {
        "recipe": group.recipe,
        "student": group.student,
        "sets": {
            row["name"]: {
                "measures": row,
                "lineage": asdict(lineage_of(folder)),
                "seconds": seconds(folder),
            }
            for row, folder in zip(rows, [*rest, *bare], strict=True)
        },
    }


def measure(student: str, folders: list[Path]) -> list[dict[str, Any]]:
    # The files, and not the runs: sets made by another version may be measured beside each other.
    files = [str(folder / "demonstrations.jsonl") for folder in folders]
    command = [sys.executable, "-m", "tailor_rl", "measures", *files]
    command += ["--student", student, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["sets"]
    return rows


def seconds(folder: Path) -> float:
    """Of making the set: every stage in its ledger."""
    return round(sum(stage.get("seconds", 0.0) for stage in read_ledger(folder).values()), 1)


def lineage_of(folder: Path) -> Lineage:
    rows = read_typed_lines(folder / "lineage.jsonl", Lineage, what="a lineage", fix="remake it")
    return rows[0]


def markdown(group: dict[str, Any]) -> str:
    """One table of a group: what the sets are, cost and are like."""
    heads = (
        "set", "traces", "right %", "tokens", "teacher requests", "rollouts", "Vendi", "distance",
        "pieces", "at", "entropy", "verification", "backtracking", "subgoals", "backward", "log p",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [f"| {name} | {' | '.join(cells(made))} |" for name, made in group["sets"].items()]
    return "\n".join(lines)


def cells(made: dict[str, Any]) -> list[str]:
    found, spent = made["measures"], made["lineage"]["spent"]
    requests = sum(stage.get("teacher_requests", 0) for stage in spent.values())
    rollouts = sum(stage.get("rollouts", 0) for stage in spent.values())
    habits = found["habits"]
    return [
        f"{found['num_traces']:,}",
        f"{found['correct']:.1%}",
        f"{made['lineage']['tokens']:,}",
        f"{requests:,.0f}",
        f"{rollouts:,.0f}",
        f"{found['vendi']:.2f}",
        f"{found['distance']:.3f}",
        f"{found['pieces_at_budget']:.0f}",
        f"{found['budget']:,}",
        f"{found['entropy_bits']:.2f}",
        *(f"{habits[habit]:.2f}" for habit in HABITS),
        f"{found['student_logprob']:.3f}",
    ]


if __name__ == "__main__":
    main()
