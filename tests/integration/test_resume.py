"""Runs through the command line, killed with SIGKILL and resumed: as if nothing had happened.

Real Ray, vLLM and DeepSpeed; `benchmarks/resume_exactness.py` does the same with more kills.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.resume_exactness import RL_STEPS, command, compare, drawn_kills, sit
from benchmarks.sittings import ROOT, Kill
from tailor_rl.summary import read_rows
from tests.tiny import make_student

pytestmark = pytest.mark.timeout(900)  # a sitting takes 20 s, on a busy machine a minute


@pytest.mark.parametrize(("ranks", "zero_stage"), [(1, 0), (2, 2)])
def test_a_run_killed_in_sft_and_in_rl_ends_as_one_that_was_left_alone(
    tmp_path: Path, ranks: int, zero_stage: int
) -> None:
    student = make_student(tmp_path / "student", max_length=2048)
    runs = tmp_path / "runs"
    runs.mkdir()
    cut = [f"learner.ranks={ranks}", f"learner.zero_stage={zero_stage}"]
    sit(command(student, runs, "whole", *cut), run=runs / "whole")

    killed = runs / "killed"
    in_sft, in_rl = drawn_kills(2, seed=ranks)
    assert (in_sft.stage, in_rl.stage) == ("sft", "rl")
    sit(command(student, runs, "killed", *cut), run=killed, kill=in_sft)
    sit(["--resume", str(killed)], run=killed, kill=in_rl)
    if ranks == 1:
        shutil.copytree(killed, runs / "wider")
    sit(["--resume", str(killed)], run=killed)

    found = compare(runs / "whole", killed)
    assert found.differing == ()
    assert found.same_weights
    assert found.numbers > 200
    if ranks == 1:
        goes_on_with_more_ranks(runs / "wider")
        exported_model_is_the_last_checkpoint(killed)


def goes_on_with_more_ranks(run: Path) -> None:
    said = sit(["--resume", str(run), "learner.ranks=2", "learner.zero_stage=2"], run=run)
    note = "learner.ranks was 1 and is 2, learner.zero_stage was 0 and is 2"
    assert said.count(note) == 1
    steps = [row["step"] for row in read_rows(run / "metrics.jsonl") if row["stage"] == "rl"]
    assert steps == list(range(1, RL_STEPS + 1))


def exported_model_is_the_last_checkpoint(run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = [sys.executable, "-m", "tailor_rl", "export", str(run), "--to", str(run / "model")]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    last = run / "checkpoints" / f"step-{RL_STEPS:06d}"
    mine, theirs = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for folder in (run / "model", last)
    )
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(last).chat_template
    checksum = json.loads((last / "learner" / "learner.json").read_text())["version"]["checksum"]
    assert checksum in (run / "model" / "README.md").read_text()


def test_kills_are_drawn_in_sft_and_in_rl() -> None:
    kills = drawn_kills(5, seed=3)
    assert [kill.stage for kill in kills] == ["sft"] * 3 + ["rl"] * 2
    assert len(set(kills)) == 5 and kills == drawn_kills(5, seed=3)
    assert all(isinstance(kill, Kill) and kill.step >= 1 for kill in kills)
