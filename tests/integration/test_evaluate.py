"""`tailor evaluate` on a real engine: a run's figures from its checkpoint and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tailor_rl.cli import main
from tailor_rl.runs.evaluation_folder import read_results
from tailor_rl.types import ProblemResult
from tests.tiny import make_student

RECIPE = """
student = "student"
seed = 5
initialisation = "none"
[task]
name = "knights"
[task.options]
people = [2]
ood_people = [3]
[reward]
weights = { correct = 1.0, even = 1.0 }
functions = { even = "reward.py:even" }
[cluster]
address = "local"
[rollout]
max_model_len = 1024
kv_cache_gib = 0.1
[rl]
algorithm = "grpo"
num_steps = 1
groups_per_step = 2
group_size = 4
max_tokens = 32
learning_rate = 1e-2
warmup_steps = 0
[evaluation]
num_problems = 6
num_ood_problems = 3
samples_per_problem = 4
max_tokens = 48
every = 0
"""
# A student of random weights is never right; so that RL moves it, something must be rewarded.
REWARD = "def even(problem, text):\n    return float(len(text) % 2)\n"
FILES = ("table.json", "results.jsonl", "samples.jsonl")


def like(result: ProblemResult) -> ProblemResult:
    """Without the last digits, in which engines that decode other batches differ."""
    return dataclasses.replace(result, entropy=tuple(round(nats, 4) for nats in result.entropy))


def test_the_last_checkpoint_of_a_run_has_the_figures_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "")
    make_student(tmp_path / "student")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "reward.py").write_text(REWARD)
    assert main(["run", "recipe.toml", "--name", "a", "--plain"]) == 0
    in_run = read_results(tmp_path / "runs" / "a" / "results" / "eval-rl.jsonl")
    before = read_results(tmp_path / "runs" / "a" / "results" / "eval-base.jsonl")
    assert len(in_run) == len(before) == 9
    assert [result.entropy for result in in_run] != [result.entropy for result in before]

    assert main(["evaluate", "a"]) == 0
    out = tmp_path / "evaluations" / "a-step-000001"
    alone = {(r.split, r.problem_id): r for r in read_results(out / "results.jsonl")}
    assert [like(alone[r.split, r.problem_id]) for r in in_run] == [like(r) for r in in_run]
    lines = (tmp_path / "runs" / "a" / "evaluations.jsonl").read_text().splitlines()
    rows = {
        (row["split"], row["metric"], row["k"]): row
        for row in map(json.loads, lines)
        if row["stage"] == "rl"
    }
    table = [row for row in json.loads((out / "table.json").read_text()) if row["part"] == "split"]
    found = {(row["split"], row["metric"], row["k"]): row for row in table}
    assert len(rows) == 6 and rows.keys() < found.keys()
    for key, row in rows.items():
        for name in (
            "value",
            "low",
            "high",
            "interval",
            "mean_tokens",
            "truncated",
            "num_families",
        ):
            assert found[key][name] == row[name], (key, name)

    capfd.readouterr()
    written = [(out / name).read_bytes() for name in FILES]
    assert main(["evaluate", "a"]) == 0
    again = capfd.readouterr().out
    assert "every problem is done already" in again and "starting Ray" not in again
    assert [(out / name).read_bytes() for name in FILES] == written
    assert main(["compare", "a:rl", str(out)]) == 0
    assert "B minus A is +0.0 points [+0.0, +0.0]" in capfd.readouterr().out
