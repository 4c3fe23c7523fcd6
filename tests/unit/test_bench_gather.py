"""What is read from many runs at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.bench import gather
from tailor_rl.bench.gathered import Gathered, merge, pool_by_arm, read_gathered, write_gathered
from tailor_rl.bench.report import Extras
from tailor_rl.bench.usage import Usage, make_usage
from tailor_rl.bench.usage_pooled import without_styles
from tailor_rl.cli import main
from tests.bench_command import begin_study, bench
from tests.bench_examples import example_cell, example_study
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


def gathered(usages: dict[int, Usage], *, planned: tuple[int, ...] = (1, 2, 3)) -> Gathered:
    """Of the seeds that `usages` has."""
    by_cell = {("all", "tailor", seed): usage for seed, usage in usages.items()}
    return Gathered(
        study=example_study(num_arms=1, num_seeds=3, tasks=()),
        planned=tuple(("all", "tailor", seed) for seed in planned),
        failed=tuple((("all", "tailor", seed), "lost") for seed in planned if seed not in usages),
        figures=tuple(example_cell("all", "tailor", seed) for seed in usages),
        differs=("3 seeds",),
        mixed=(),
        at_once=len(usages),
        extras=Extras(usage=pool_by_arm(by_cell), environment={"cores": len(usages)}),
        usages=tuple(by_cell.items()),
    )


def test_parts_of_a_study_are_merged_as_if_they_had_been_one(tmp_path: Path) -> None:
    usages = {}
    for seed in (1, 2, 3):
        run = tmp_path / f"run-{seed}"
        write_demonstrations(run, {"one": 0, "two": 1, "three": 2}, each=8, seed=seed)
        usage = make_usage(run, reference=None)
        assert usage is not None
        usages[seed] = without_styles(usage)
    whole = gathered(usages)
    write_gathered(tmp_path / "gathered.json", gathered({3: usages[3]}))
    assert str(tmp_path) not in (tmp_path / "gathered.json").read_text()
    other = read_gathered(tmp_path / "gathered.json")
    merged = merge(gathered({1: usages[1], 2: usages[2]}), [other])
    assert merged.figures == whole.figures
    assert merged.extras.usage == whole.extras.usage
    assert (merged.failed, merged.differs) == ((), ("3 seeds",))
    assert (merged.at_once, merged.num_places) == (2, 2)
    assert merged.extras.environment == {"cores": 2, "elsewhere": [{"cores": 1}]}
    assert merge(whole, []) == whole


def test_why_a_cell_failed_elsewhere_is_not_forgotten() -> None:
    own, other = gathered({}), gathered({}, planned=(2, 3))
    own = replace(own, failed=((("all", "tailor", 1), "the teacher left"),))
    merged = merge(own, [other])
    assert dict(merged.failed) == {
        ("all", "tailor", 1): "the teacher left",
        ("all", "tailor", 2): "lost",
        ("all", "tailor", 3): "lost",
    }


def test_what_an_older_version_had_pooled_already_stays_where_it_has_most_runs(
    tmp_path: Path,
) -> None:
    write_demonstrations(tmp_path, {"one": 0, "two": 1}, each=8, seed=1)
    usage = make_usage(tmp_path, reference=None)
    assert usage is not None
    old = replace(gathered({1: usage, 2: usage}), usages=())
    merged = merge(gathered({3: usage}), [old])
    assert merged.extras.usage["all"]["tailor"].num_runs == 2


def damaged(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """With `change` made in its first row of RL, or in all of it; emptied where that is None."""
    if path.suffix == ".json":
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        return
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    place = next(i for i, row in enumerate(rows) if row.get("stage", "rl") == "rl")
    changed = change(rows[place])
    rows = [] if changed is None else [*rows[:place], changed, *rows[place + 1 :]]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def without(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {name: value for name, value in row.items() if name != key}


def with_value(key: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {**row, key: value}


DAMAGED: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any] | None], str]] = [
    ("lineage.jsonl", lambda row: None, "is empty: make the run anew"),
    ("lineage.jsonl", without("grades"), "line 1 is damaged"),
    ("lineage.jsonl", without("tokens"), "line 1 is damaged"),
    *(
        ("samples/eval-rl.jsonl", without(key), f"line 1 is no answer of a policy ({key}: ")
        for key in ("problem_id", "split", "text", "correct")
    ),
    ("metrics.jsonl", without("step"), "(step: Field required): remove the line"),
    ("metrics.jsonl", with_value("seconds", "long"), "remove the line"),
    ("environment.json", with_value("packages", 3), "(packages: "),
    ("environment.json", with_value("git", "abc"), "(git: "),
    ("environment.json", with_value("inputs", [1]), "(inputs: "),
    ("behaviours-sft.json", with_value("forecast", 0.2), "(forecast: "),
    ("outcome.json", with_value("state", None), "remove it, and the run counts as killed"),
]


def test_damaged_files_of_a_run_are_one_sentence_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_study(tmp_path, monkeypatch)
    monkeypatch.setattr(gather, "_make_usages", lambda jobs: [None] * len(jobs))  # seconds each
    assert bench("--only", "tailor-seed-1") == 0
    run = tmp_path / "runs" / "study" / "cells" / "tailor-seed-1"
    for name, change, said in DAMAGED:
        text = (run / name).read_text()
        damaged(run / name, change)
        commands = ("report", "status") if name == "outcome.json" else ("report",)
        for command in commands:
            capsys.readouterr()
            assert main([command, "study"]) == 2, (name, said)
            told = capsys.readouterr().err
            assert name in told and said in told and told.count("\n") == 1
        (run / name).write_text(text)
    assert main(["status", str(run)]) == main(["report", "study"]) == 0
