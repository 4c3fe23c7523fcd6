"""Initialisations that train on the way, on the real parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "tests/recipes/parity.toml"


def tailor(*words: str) -> str:
    command = [sys.executable, "-m", "tailor_rl", *words]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("initialisation", ["re_distill", "four_star"])
def test_the_original_student_is_fine_tuned_on_what_its_trained_self_writes(
    student: Path, tmp_path: Path, initialisation: str
) -> None:
    """`tailor demonstrate` makes the set and stops, `tailor run --resume` goes on from it."""
    run = tmp_path / "run"
    settings = [f"student={student}", f"initialisation={initialisation}"]
    shown = tailor("demonstrate", RECIPE, *settings, "--name", "run", "--runs-dir", str(tmp_path),
                   "--plain")  # fmt: skip
    made = rows(run / "demonstrations.jsonl")
    assert made and {row["origin"] for row in made} == {"student"}
    assert (run / "dataset" / "README.md").is_file() and "go on with SFT and RL" in shown
    assert not (run / "checkpoints" / "sft").exists()
    (again,) = rows(run / "student_again.jsonl")
    inside = run / ("first_run" if initialisation == "re_distill" else "round-2")
    trained = [row for row in rows(inside / "metrics.jsonl") if row["stage"] in ("sft", "rl")]
    tailor("run", "--resume", str(run), "--plain")
    evaluations = rows(run / "evaluations.jsonl")
    versions = {(row["stage"], row["step"]): row["weight_version"] for row in evaluations}
    assert versions["base", 0] == 0
    assert again["step"] > len(trained)
    sft = [row for row in rows(run / "metrics.jsonl") if row["stage"] == "sft"]
    assert versions["sft", 0] == again["step"] + len(sft)
    assert versions["rl", 2] == versions["sft", 0] + 2
    assert (run / "behaviours-sft.json").is_file()
