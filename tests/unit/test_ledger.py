"""The ledger: what a run spends adds up over its processes and sittings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.ledger import Ledger, read_ledger
from tests.run_folders import journal


def test_the_ledger_adds_up_over_processes(folder: RunFolder) -> None:
    from_numpy: Any = {"rollouts": 8, "generated_tokens": np.int64(100)}
    journal(folder).spend("rl", from_numpy)
    journal(folder).spend("rl", {"rollouts": 8, "problems": 1})
    assert read_ledger(folder.path) == {
        "rl": {"rollouts": 16, "generated_tokens": 100, "problems": 1}
    }


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seconds_count_open_stages_only_and_accumulate_over_sittings(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(2):
        ledger = Ledger(tmp_path, clock=clock)
        clock.now += 100  # between sittings, and before the stage opens
        ledger.open("rl")
        clock.now += 10
        ledger.tick()  # the process is killed after this
        clock.now += 3
    assert read_ledger(tmp_path)["rl"]["seconds"] == pytest.approx(20)
    ledger = Ledger(tmp_path, clock=clock)
    ledger.open("rl")
    clock.now += 5
    ledger.close("rl")
    clock.now += 50
    ledger.add("sft", {"rollouts": 1})
    assert read_ledger(tmp_path)["rl"]["seconds"] == pytest.approx(25)
