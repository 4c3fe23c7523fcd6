"""The journal: rows come back as they were, and a finished stage stays finished."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import read_lines
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import read_stages
from tailor_rl.types import Demonstration, Evaluation, Problem
from tests.run_folders import Page, journal


def evaluation(step: int = 3, split: str = "test") -> Evaluation:
    return Evaluation(
        stage="rl",
        step=step,
        split=split,
        metric="accuracy",
        k=1,
        value=0.5,
        low=0.4,
        high=0.6,
        num_problems=10,
        num_samples=8,
        temperature=1.0,
        mean_tokens=70.5,
        truncated=0.0,
        weight_version=step,
    )


def test_rows_come_back_as_they_were(folder: RunFolder) -> None:
    book = journal(folder)
    rows = [
        Demonstration("d1", "p1", "question\u2028", "trace\n", 1.0, "teacher", "x", 10, 20),
        Demonstration("d2", "p2", "quéstion", '"', 0.0, "rule", None, 0, 0),
    ]
    book.append("demonstrations", rows[0])
    book.append("demonstrations", rows[1])
    assert book.read("demonstrations", Demonstration) == rows
    book.write("demonstrations", rows[1:])
    assert book.read("demonstrations", Demonstration) == rows[1:]
    problems = [Problem("k:train:0", "p", "a", "train", 3, {"people": [1, 2]})]
    book.write("samples/step-000010", problems)
    assert book.read("samples/step-000010", Problem) == problems
    assert book.read("missing", Demonstration) == []


def test_a_torn_last_line_is_dropped_and_the_next_row_starts_afresh(folder: RunFolder) -> None:
    book = journal(folder)
    book.append("rows", {"n": 1})
    with (folder.path / "rows.jsonl").open("a") as file:
        file.write('{"n": 2, "te')
    assert book.read("rows", dict[str, int]) == [{"n": 1}]
    book.append("rows", {"n": 3})
    assert book.read("rows", dict[str, int]) == [{"n": 1}, {"n": 3}]


def test_a_broken_line_in_the_middle_is_named(folder: RunFolder) -> None:
    book = journal(folder)
    (folder.path / "rows.jsonl").write_text('{"n": 1}\n{"n"\n{"n": 3}\n')
    with pytest.raises(RunFolderError, match=r"rows\.jsonl, line 2 is damaged") as caught:
        book.read("rows", dict[str, int])
    assert "\n" not in str(caught.value)


def test_a_row_of_another_shape_names_the_field(folder: RunFolder) -> None:
    book = journal(folder)
    book.append("demonstrations", {"id": "d1"})
    with pytest.raises(RunFolderError, match="problem_id"):
        book.read("demonstrations", Demonstration)


def test_rewinding_drops_only_later_rows_of_the_stage(folder: RunFolder) -> None:
    book = journal(folder)
    for stage, step in [("sft", 9), ("rl", 1), ("rl", 2), ("rl", 3)]:
        book.metrics(stage, step, {"loss": 1.0})
    book.rewind("metrics", stage="rl", step=1)
    rows = book.read("metrics", dict[str, Any])
    assert [(row["stage"], row["step"]) for row in rows] == [("sft", 9), ("rl", 1)]


def test_metrics_and_evaluations_reach_the_file_and_the_screen(folder: RunFolder) -> None:
    page = Page()
    book = journal(folder, page)
    from_numpy: Any = {"reward": np.float32(0.5), "lag": np.int64(1)}
    book.metrics("rl", 3, from_numpy)
    row = evaluation(split="ood/people-4")
    book.evaluation(row)
    stored = book.read("metrics", dict[str, Any])[0]
    assert (stored["stage"], stored["step"]) == ("rl", 3)
    assert (stored["reward"], stored["lag"]) == (0.5, 1)
    assert book.read("evaluations", Evaluation) == [row]
    assert book.read("evaluations", dict[str, Any])[0]["axis"] == "people-4"
    assert page.seen[-1] == ("evaluation", row)


def test_evaluations_keep_every_field(folder: RunFolder) -> None:
    journal(folder).evaluation(evaluation())
    row = json.loads(read_lines(folder.path / "evaluations.jsonl")[0])
    assert row == {**dataclasses.asdict(evaluation()), "axis": None}


def test_a_finished_stage_stays_finished_for_the_next_process(folder: RunFolder) -> None:
    book = journal(folder)
    book.start("sft")
    assert not journal(folder).finished("sft")
    book.finish("sft")
    assert journal(folder).finished("sft")
    assert not journal(folder).finished("rl")


def test_sittings_of_a_stage_are_counted(folder: RunFolder) -> None:
    journal(folder).start("rl")
    journal(folder).start("rl")
    assert read_stages(folder.path)["rl"]["sittings"] == 2
