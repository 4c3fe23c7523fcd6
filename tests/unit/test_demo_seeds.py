"""The study over seeds: one result file holds the runs of one recipe, whatever is asked for."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import demo_seeds
from benchmarks.demo_seeds import ROOT, shared_part
from tailor_rl.config.load import fingerprint, load_config, resolve_config
from tailor_rl.runs.folder import RunFolder

RECIPE = ROOT / "recipes" / "demo.toml"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds for which a run would have been started."""
    seeds: list[int] = []

    def measure(recipe: str, overrides: list[str], *, seed: int, runs_dir: Path) -> dict[str, Any]:
        seeds.append(seed)
        return {"seed": seed, "accuracy": {}}

    monkeypatch.setattr(demo_seeds, "measure", measure)
    return seeds


def study(monkeypatch: pytest.MonkeyPatch, folder: Path, *overrides: str, seeds: str) -> Path:
    """`python benchmarks/demo_seeds.py`, with everything it writes in `folder`."""
    out = folder / "seeds.json"
    options = ["--seeds", *seeds.split(), "--out", str(out), "--runs-dir", str(folder / "runs")]
    monkeypatch.setattr(sys, "argv", ["demo_seeds.py", *overrides, *options])
    demo_seeds.main()
    return out


def test_a_study_goes_on_with_the_seeds_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    study(monkeypatch, tmp_path, "rl.num_steps=3", seeds="1 2")
    out = study(monkeypatch, tmp_path, "rl.num_steps=3", seeds="2 3")
    assert started == [1, 2, 3]
    document = json.loads(out.read_text())
    assert list(document) == ["environment", "recipe", "runs"]
    assert [row["seed"] for row in document["runs"]] == [1, 2, 3]
    recipe = document["recipe"]
    assert recipe["config"]["rl"]["num_steps"] == 3 and "seed" not in recipe["config"]
    assert recipe["config"]["student"] == "students/knights-qwen2"
    assert recipe["fingerprint"] == fingerprint(recipe["config"])


def test_a_result_file_of_another_recipe_is_refused_before_anything_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = study(monkeypatch, tmp_path, "rl.num_steps=4", seeds="1")
    before = out.read_bytes()
    with pytest.raises(SystemExit) as stopped:
        study(monkeypatch, tmp_path, "rl.num_steps=3", seeds="1 2")
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"{out} is of another recipe (rl.num_steps is 4 there and 3 here)" in said
    assert said.count("\n") == 1
    assert (started, out.read_bytes()) == ([1], before)


def test_a_result_file_that_does_not_say_its_recipe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    (tmp_path / "seeds.json").write_text('{"environment": {}, "runs": []}')
    with pytest.raises(SystemExit) as stopped:
        study(monkeypatch, tmp_path, seeds="1")
    assert (stopped.value.code, started) == (2, [])


def test_a_run_folder_of_another_recipe_is_refused_and_one_of_another_seed_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = tmp_path / "runs"
    for seed, epochs in [(1, "sft.epochs=7"), (2, "sft.epochs=8")]:
        asked = resolve_config(RECIPE, [f"seed={seed}", epochs], command=[])
        RunFolder.create(runs, asked, name=f"demo-seed-{seed}").close()
    study(monkeypatch, tmp_path, "sft.epochs=7", seeds="1")
    with pytest.raises(SystemExit) as stopped:
        study(monkeypatch, tmp_path, "sft.epochs=7", seeds="3 2")
    assert (stopped.value.code, started) == (2, [1])
    said = capsys.readouterr().err
    assert f"{runs / 'demo-seed-2'} is of another recipe (sft.epochs is 8 there and 7 here)" in said


def test_a_key_that_a_later_version_adds_at_its_default_is_no_other_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    out = study(monkeypatch, tmp_path, seeds="1")
    document = json.loads(out.read_text())
    del document["recipe"]["config"]["evaluation"]["temperature"]  # the demo leaves it out
    out.write_text(json.dumps(document))
    study(monkeypatch, tmp_path, seeds="2")
    assert started == [1, 2]


def test_the_shared_part_is_the_same_for_all_seeds_and_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = shared_part(load_config(RECIPE, ["seed=1"]))
    (tmp_path / "students" / "knights-qwen2").mkdir(parents=True)
    (tmp_path / "recipes").mkdir()
    shutil.copy(RECIPE, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo_seeds, "ROOT", tmp_path)
    assert shared_part(load_config(Path("recipes/demo.toml"), ["seed=2"])) == here
