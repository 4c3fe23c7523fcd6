"""Run a recipe once for each seed and write one result file: does learning show every time?

    python benchmarks/demo_seeds.py [key=value ...] --seeds 1 2 3 4 5 --out seeds.json
        [--recipe recipes/demo.toml] [--runs-dir runs]

Seeds that stand in the result file are not run again, and one that was broken
off is resumed: a study can be stopped and continued, but only by the recipe and
the overrides that it was begun with. With others nothing is run (exit code 2).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tailor_rl.config.load import differences, fingerprint, load_config
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, TailorError
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import read_json
from tailor_rl.runs.folder import read_run_config
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
    out, runs_dir = args.out.resolve(), args.runs_dir.resolve()
    try:
        with contextlib.chdir(ROOT):  # paths count from where the runs will be started
            recipe = shared_part(load_config(Path(args.recipe), args.overrides))
        document = results_to_extend(out, recipe)
        measured = {row["seed"] for row in document["runs"]}
        missing = [seed for seed in dict.fromkeys(args.seeds) if seed not in measured]
        for seed in missing:
            check_run_folder(run_folder(args.recipe, runs_dir, seed=seed), recipe)
    except TailorError as error:
        parser.exit(error.exit_code, f"{error}\n")
    for seed in missing:
        row = measure(args.recipe, args.overrides, seed=seed, runs_dir=runs_dir)
        document["runs"].append(row)
        write(out, document)
        print(json.dumps(row["accuracy"]), flush=True)


def shared_part(config: RunConfig) -> RunConfig:
    """What all seeds have in common wherever the checkout lies: paths in it become relative."""
    text = config.model_dump_json().replace(f'"{ROOT}/', '"')
    return RunConfig.model_validate_json(text).model_copy(update={"seed": 0})


def results_to_extend(out: Path, recipe: RunConfig) -> dict[str, Any]:
    """The content of `out`; no runs yet where it does not exist. ConfigError: another recipe's.

    `recipe` stands in it whole beside its fingerprint: a key that a later version adds at its
    default is no other recipe, as it is none for a run folder.
    """
    if not out.exists():
        table = recipe.model_dump(mode="json", exclude={"seed"})
        recorded = {"config": table, "fingerprint": fingerprint(table)}
        return {"environment": {}, "recipe": recorded, "runs": []}
    document = read_json(out)
    try:
        stored = RunConfig.model_validate_json(json.dumps(document["recipe"]["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{out} holds no recipe that this version can read: name another --out"
        ) from error
    check_same(stored, recipe, where=out, option="--out")
    return document


def check_run_folder(run: Path, recipe: RunConfig) -> None:
    """ConfigError where a run folder that would be resumed was begun with another recipe."""
    if run.is_dir():
        check_same(shared_part(read_run_config(run)), recipe, where=run, option="--runs-dir")


def check_same(stored: RunConfig, asked: RunConfig, *, where: Path, option: str) -> None:
    if changed := differences(stored, asked):
        listed = ", ".join(f"{key} is {old} there and {new} here" for key, old, new in changed)
        raise ConfigError(f"{where} is of another recipe ({listed}): name another {option}")


def run_folder(recipe: str, runs_dir: Path, *, seed: int) -> Path:
    return runs_dir / f"{Path(recipe).stem}-seed-{seed}"


def measure(recipe: str, overrides: list[str], *, seed: int, runs_dir: Path) -> dict[str, Any]:
    """One seed: the command, its wall-clock seconds, the table, and the verdicts."""
    run = run_folder(recipe, runs_dir, seed=seed)
    command = [sys.executable, "-m", "tailor_rl", "run"]
    if run.is_dir():
        command += ["--resume", str(run)]
    else:
        # The seed last: it must win over one among the overrides, or the row would lie.
        command += [recipe, *overrides, f"seed={seed}", "--name", run.name]
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


def write(out: Path, document: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {**document, "environment": describe_environment()}
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
