"""The ledger: what a run spends adds up over its processes and sittings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailor_rl.errors import RunFolderError
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


def test_what_was_spent_after_a_checkpoint_moves_to_a_row_of_its_own(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path, clock=clock)
    ledger.open("rl")
    ledger.add("rl", {"rollouts": 8})
    ledger.add("sft", {"problems": 3})
    clock.now += 10
    then = ledger.snapshot()
    ledger.add("rl", {"rollouts": 4, "problems": 2})
    clock.now += 5
    for _ in range(2):  # a kill may come between the rewinding and what follows it
        ledger.rewind("rl", then["rl"])
        ledger.rewind("sft", then["sft"])
    assert read_ledger(tmp_path) == {
        "rl": {"rollouts": 8, "seconds": 10.0},
        "sft": {"problems": 3},
        "rl_lost": {"rollouts": 4, "problems": 2, "seconds": 5.0},
    }


def test_a_stage_without_a_checkpoint_loses_all_and_what_it_found_stays(folder: RunFolder) -> None:
    book = journal(folder)
    book.spend("validation", {"problems": 4})  # before RL
    book.rewind_ledger("rl", None)
    book.start("rl")
    book.spend("rl", {"rollouts": 8})
    book.spend("validation", {"problems": 2})
    book = journal(folder)
    book.rewind_ledger("rl", None)
    found = {stage: dict(amounts) for stage, amounts in read_ledger(folder.path).items()}
    for amounts in found.values():
        amounts.pop("seconds", None)
    assert found["validation"] == {"problems": 4}
    assert found["validation_lost"] == {"problems": 2}
    assert found["rl"] == {} and found["rl_lost"] == {"rollouts": 8}


def test_an_amount_that_is_no_number_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text('{"rl": {"rollouts": "many"}}')
    with pytest.raises(RunFolderError, match=r"ledger.json is damaged \('rollouts' of 'rl' is no"):
        read_ledger(tmp_path)
