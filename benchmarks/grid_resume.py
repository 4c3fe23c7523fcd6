"""Kill a whole study with SIGKILL, several times, and compare it with one that nobody touched.

    python -m benchmarks.grid_resume --kills 4 --out benchmarks/results/grid-resume.json

Ray, vLLM and DeepSpeed through `tailor bench`, on a random student of two layers: two arms, two
algorithms, two seeds, two cells at a time, which share stages. A kill ends every process of the
study at once, when a cell that the seed drew has made a step that it drew. Compared are every
number of every cell but the timings, and the checksums of the weights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.resume_exactness import RECIPE, RL_STEPS, SFT_STEPS, compare
from benchmarks.sittings import ROOT, Kill, reached, sit_until
from tailor_rl.bench.cells import make_cells
from tailor_rl.bench.study import read_study
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import write_json
from tailor_rl.seeds import derive_seed
from tests.tiny import make_student

SITTING_S = 1800.0
STUDY = f"""
recipe = "{ROOT}/tests/recipes/tiny.toml"
seeds = [1, 2]
[arms.rule_based]
initialisation = "rule_based"
[arms.none]
initialisation = "none"
[algorithms.grpo]
rl = {{ algorithm = "grpo" }}
[algorithms.rloo]
rl = {{ algorithm = "rloo" }}
"""
# What a study says itself.
OVERRIDES = tuple(each for each in RECIPE if not each.startswith("initialisation="))


@dataclass(frozen=True, slots=True)
class CellKill:
    """SIGKILL to the whole study as soon as this cell has made this step."""

    cell: str
    at: Kill


def drawn_kills(cells: list[str], num: int, *, seed: int) -> list[CellKill]:
    """In cells spread over the order in which they are run; those without SFT are hit in RL."""
    rng = np.random.default_rng(derive_seed(seed, "grid-kills"))
    chosen = sorted(rng.choice(len(cells), size=num, replace=False))
    kills = []
    for index in chosen:
        in_sft = "rule_based" in cells[index] and bool(rng.integers(2))
        steps = SFT_STEPS if in_sft else RL_STEPS
        stage = "sft" if in_sft else "rl"
        kills.append(CellKill(cells[index], Kill(stage, int(rng.integers(1, steps)))))
    return kills


def sit(words: list[str], study: Path, *, kill: CellKill | None) -> bool:
    """One sitting of `tailor bench`: to its end, or to the kill. Whether it was killed."""
    return sit_until(
        ["bench", *words, "--plain"],
        log=study.parent / f"{study.name}.log",
        until=None if kill is None else lambda: reached(study / "cells" / kill.cell, kill.at),
        at_most_s=SITTING_S,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        student = make_student(folder / "student", max_length=2048)
        (folder / "study.toml").write_text(STUDY)
        words = [str(folder / "study.toml"), f'student="{student}"', *OVERRIDES]
        words += ["--runs-dir", str(folder), "--at-once", "2"]
        cells = make_cells(read_study(folder / "study.toml"), folder / "study.toml", words[1:-4])
        names = [cell.name for cell in cells]
        kills, happened = drawn_kills(names, args.kills, seed=args.seed), []
        sit([*words, "--name", "whole"], folder / "whole", kill=None)
        for kill in kills:
            if sit([*words, "--name", "killed"], folder / "killed", kill=kill):
                happened.append(kill)
        sit([*words, "--name", "killed"], folder / "killed", kill=None)
        found = {
            name: compare(folder / "whole" / "cells" / name, folder / "killed" / "cells" / name)
            for name in names
        }
    document: dict[str, Any] = {
        "command": "python -m benchmarks.grid_resume " + " ".join(sys.argv[1:]),
        "environment": describe_environment(),
        "kills": [{"cell": kill.cell, **asdict(kill.at)} for kill in happened],
        "cells": {name: asdict(comparison) for name, comparison in found.items()},
        "numbers": sum(each.numbers for each in found.values()),
        "differing": sum(len(each.differing) for each in found.values()),
        "same_weights": all(each.same_weights for each in found.values()),
    }
    write_json(args.out, document)
    print(
        f"{len(happened)} kills, {document['numbers']} numbers, {document['differing']} differ, "
        f"weights {'equal' if document['same_weights'] else 'DIFFERENT'}"
    )


if __name__ == "__main__":
    main()
