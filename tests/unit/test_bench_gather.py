"""What is read from many runs at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tailor_rl.bench import gather
from tailor_rl.bench.usage import make_usage
from tests.usage_fakes import write_demonstrations


def test_usages_made_by_several_processes_are_those_made_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.setattr(gather, "RUNS_A_PROCESS", 1)
    runs = [tmp_path / name for name in ("a", "b", "bare")]
    for seed, run in enumerate(runs[:2]):
        write_demonstrations(run, {"one": 0, "two": 1, "three": 2}, each=8, seed=seed)
    runs[2].mkdir()
    jobs = [(runs[0], None), (runs[1], None), (runs[2], runs[0]), (runs[2], None)]
    made = gather._make_usages(jobs)
    assert made == [make_usage(run, reference=reference) for run, reference in jobs]
    assert [each is None for each in made] == [False, False, False, True]
