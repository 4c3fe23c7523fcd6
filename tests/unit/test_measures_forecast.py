"""Forecasts of finished runs, checked against what RL gained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailor_rl.config.load import resolve_config
from tailor_rl.errors import RunFolderError
from tailor_rl.measures.forecast import check_forecasts, measured_gain, read_forecast
from tailor_rl.measures.forecast_table import to_sheet
from tailor_rl.runs.folder import RunFolder
from tests.sample_run import evaluation, write_rows
from tests.small_recipes import write_recipe


def finished(
    folder: Path,
    name: str,
    *overrides: str,
    forecast: float = 0.1,
    before: float = 0.3,
    after: float = 0.5,
    stage: str = "sft",
) -> Path:
    """A run that ended, with its forecast."""
    resolved = resolve_config(write_recipe(folder), list(overrides), command=["tailor"])
    with RunFolder.create(folder / "runs", resolved, name=name) as run:
        rows = [
            evaluation("base", "test", 0.05),
            evaluation(stage, "test", before),
            evaluation(stage, "test", 0.9, k=8),
            evaluation("rl", "validation", 0.99, step=10),
            evaluation("rl", "test", after, step=10),
            evaluation("rl", "ood/depth", 0.01, step=10),
        ]
        write_rows(run.path / "evaluations.jsonl", rows)
        report = {"forecast": {"value": forecast, "low": 0.0, "high": 1.0}}
        (run.path / f"behaviours-{stage}.json").write_text(json.dumps(report))
        return run.path


def test_the_gain_is_that_of_rl_on_test_over_what_it_began_with(tmp_path: Path) -> None:
    run = finished(tmp_path, "a", before=0.25, after=0.75)
    assert measured_gain(run, "sft") == pytest.approx(0.5)
    assert measured_gain(run, "base") == pytest.approx(0.7)
    assert read_forecast(run, "sft") == 0.1


def test_forecasts_that_rank_as_the_gains_correlate(tmp_path: Path) -> None:
    """The run without a warm start is forecast from, and measured against, the student."""
    runs = [
        finished(tmp_path, "a", "initialisation='tailor'", forecast=0.3, after=0.8),
        finished(tmp_path, "b", "initialisation='rule_based'", forecast=0.2, after=0.5),
        finished(tmp_path, "c", "initialisation='none'", forecast=0.1, after=0.4, stage="base"),
    ]
    found = check_forecasts(runs, seed=0)
    assert found.rho == pytest.approx(1.0) and found.p == pytest.approx(2 / 6)
    assert [point.gain for point in found.points] == pytest.approx([0.5, 0.2, 0.1])
    sheet = to_sheet(found)
    assert [row[1:] for row in sheet.rows] == [
        ("1", "+30.0", "+50.0"),
        ("1", "+20.0", "+20.0"),
        ("1", "+10.0", "+10.0"),
    ]
    assert "+1.00 over 3 initialisations" in sheet.note


def test_seeds_of_one_recipe_are_one_initialisation(tmp_path: Path) -> None:
    seeds = [
        finished(tmp_path, "a1", "seed=1", forecast=0.1, after=0.4),
        finished(tmp_path, "a2", "seed=2", forecast=0.3, after=0.8),
    ]
    others = [
        finished(tmp_path, f"k{k}", f"primitives.num_primitives={k}", forecast=k / 100, after=0.6)
        for k in (4, 8)
    ]
    found = check_forecasts([*seeds, *others], seed=0)
    assert [len(point.runs) for point in found.points] == [2, 1, 1]
    assert found.points[0].forecast == pytest.approx(0.2)
    assert found.points[0].gain == pytest.approx(0.3)
    assert found.rho is None and found.p is None
    assert "rank nothing" in to_sheet(found).note
    with pytest.raises(RunFolderError, match=r"3 run\(s\) given are of 2"):
        check_forecasts([*seeds, others[0]], seed=0)


def test_runs_of_different_tasks_do_not_compare(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path, "a"),
        finished(tmp_path, "b", "task.options.people=[2]"),
        finished(tmp_path, "c", "primitives.num_primitives=4"),
    ]
    with pytest.raises(RunFolderError, match="different tasks"):
        check_forecasts(runs, seed=0)


def test_a_run_without_forecast_or_rl_is_one_sentence(tmp_path: Path) -> None:
    run = finished(tmp_path, "a")
    with pytest.raises(RunFolderError, match="has no forecast"):
        read_forecast(run, "base")
    (run / "behaviours-sft.json").write_text("{}")
    with pytest.raises(RunFolderError, match="holds no forecast") as caught:
        read_forecast(run, "sft")
    assert "\n" not in str(caught.value)
    write_rows(run / "evaluations.jsonl", [evaluation("sft", "test", 0.3)])
    with pytest.raises(RunFolderError, match="of the stage 'rl'"):
        measured_gain(run, "sft")
