"""`tailor bench --add`: cells that were run in another place count, where they belong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tailor_rl.cli import main
from tests.bench_command import CELLS, STUDY, RunOnFakes, begin_study, bench
from tests.tiny import make_student


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin_study(tmp_path, monkeypatch)


def keep_figures_alone(study: Path, kept: Path) -> None:
    """What is published of a study, or brought from another machine."""
    kept.mkdir(parents=True)
    for name in ("gathered.json", "plan.json"):
        shutil.copy(study / name, kept)


def in_another_checkout(here: Path) -> None:
    """The student's absolute path is in every recipe, and is another one there."""
    (here / "there").mkdir()
    shutil.copytree(here / "student", here / "there" / "student")
    shutil.copy(here / "recipe.toml", here / "there")
    shutil.copy(here / "study.toml", here / "there")


def test_cells_of_another_place_count_and_are_not_run_again(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_another_checkout(here)
    assert bench("--name", "whole") == 0
    whole = json.loads((here / "runs" / "whole" / "results.json").read_text())
    monkeypatch.chdir(here / "there")
    assert bench("--only", "*-seed-1") == 0
    keep_figures_alone(Path("runs/study"), here / "published")
    monkeypatch.chdir(here)
    RunOnFakes.made.clear()
    capsys.readouterr()
    assert bench("--add", "published") == 0
    assert RunOnFakes.made == CELLS[2:]
    assert "2 cells were run elsewhere" in capsys.readouterr().out
    study = here / "runs" / "study"
    results = json.loads((study / "results.json").read_text())
    for found in ("figures", "comparisons", "missing", "matched", "claims", "forecasts"):
        assert results[found] == whole[found], found
    assert [entry["finished"] for entry in results["plan"]] == [0]  # the plan came with the cells
    assert [note for note in results["notes"] if "2 places" in note]
    assert main(["status", "study"]) == 0
    shown = capsys.readouterr().out
    assert "4 cells, 4 finished" in shown
    assert shown.count(" %, elsewhere") == 2
    RunOnFakes.made.clear()
    assert bench() == 0
    assert RunOnFakes.made == []
    assert bench("--add", "published") == 0  # as often as one likes: the last copy counts


def test_a_folder_of_figures_alone_goes_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--only", "*-seed-1") == 0
    keep_figures_alone(here / "runs" / "study", here / "kept")
    shutil.rmtree(here / "runs" / "study")
    assert bench("--reuse", "kept") == 2
    assert "has no runs to take anything from" in capsys.readouterr().err
    (here / "kept").rename(here / "runs" / "study")
    assert main(["status", "study"]) == 0
    assert "4 cells, 2 finished, 2 waiting" in capsys.readouterr().out
    copies = here / "runs" / "study" / "elsewhere"
    assert bench("--only", "*-seed-1") == 0
    (copy,) = copies.iterdir()
    (copy / "gathered.json").unlink()  # as if killed between the two files
    RunOnFakes.made.clear()
    assert bench("--only", "rule_based-seed-2") == 0
    assert RunOnFakes.made == ["rule_based-seed-2"]
    assert bench() == 0
    assert RunOnFakes.made == ["rule_based-seed-2", "tailor-seed-2"]
    results = json.loads((here / "runs" / "study" / "results.json").read_text())
    assert (results["num_cells"], results["missing"]) == (4, [])


def test_cells_of_another_study_or_version_or_twice_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--name", "first", "--only", "*-seed-1") == 0
    keep_figures_alone(here / "runs" / "first", here / "published")
    capsys.readouterr()

    def refused(*arguments: str) -> str:
        RunOnFakes.made.clear()
        assert bench("--add", "published", *arguments) == 2
        assert RunOnFakes.made == []
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "is in published and in this study already" in refused("--name", "first")
    assert "differs in what its recipe file or the command line says" in refused("rl.num_steps=3")
    (here / "study.toml").write_text(
        STUDY.replace("[arms.tailor]", "[arms.tailor]\nsft={batch_size=4}")
    )
    assert "differs in arms.tailor" in refused()
    (here / "study.toml").write_text(STUDY.replace("[1, 2]", "[2, 3]"))
    assert "tailor-seed-1, which is no cell of this study" in refused()
    (here / "study.toml").write_text(STUDY)
    assert "no study: `tailor bench` makes one" in refused("--add", "nowhere")
    assert "gathered.json is no study" in refused("--add", "published/gathered.json")
    file = here / "published" / "gathered.json"
    text = file.read_text()
    first = json.loads(text)["figures"][0]
    file.write_text(text.replace(first["versions"]["code"], "other"))
    assert "in this one, other in tailor-seed-1 and 1 more" in refused()
    file.write_text(text.replace(first["inputs"]["student student"], "otherwise"))
    assert "input student student of tailor:" in refused()
    (here / "study.toml").write_text(STUDY + "[arms.more]\nsft = { batch_size = 4 }\n")
    told = refused("--only", "more-*")  # no cell of its own there, but one of the same student
    assert "input student student of tailor:" in told
    (here / "study.toml").write_text(STUDY)
    file.write_text(text)
    (here / "published" / "plan.json").write_text("{}")
    assert "plan.json is damaged" in refused()
    (here / "published" / "plan.json").unlink()
    assert "cannot be told" in refused()
    assert not (here / "runs" / "study" / "elsewhere").exists()
    assert not (here / "runs" / "study" / "plan.json").exists()


def test_students_of_one_name_in_different_folders_are_two(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size, seed in (("small", 3), ("large", 4)):
        make_student(here / size / "student", seed=seed)
    students = "".join(f'[students.{s}]\nstudent = "{s}/student"\n' for s in ("small", "large"))
    (here / "study.toml").write_text(f"{STUDY}{students}")
    command = ["bench", "study.toml", "--plain"]
    assert main([*command, "--only", "small-*-seed-1"]) == 0
    keep_figures_alone(here / "runs" / "study", here / "published")
    shutil.rmtree(here / "runs" / "study")
    assert main([*command, "--add", "published", "--only", "*-seed-1"]) == 0
    assert main(["report", "study"]) == 0


def test_added_cells_stay_whatever_happens_to_the_place_they_came_from(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = here / "runs" / "study"

    def cells() -> list[str]:
        figures = json.loads((study / "gathered.json").read_text())["figures"]
        return [each["cell"] for each in figures]

    for name, seed in (("first", "1"), ("second", "2")):
        assert bench("--name", name, "--only", f"rule_based-seed-{seed}") == 0
        keep_figures_alone(here / "runs" / name, here / "in")
        assert bench("--add", "in", "--only", f"rule_based-seed-{seed}") == 0
        shutil.rmtree(here / "in")  # and is filled anew
    assert cells() == ["rule_based-seed-1", "rule_based-seed-2"]
    RunOnFakes.made.clear()
    assert bench("--only", "tailor-seed-1") == 0
    assert RunOnFakes.made == ["tailor-seed-1"]
    capsys.readouterr()
    assert bench("--only", "tailor-seed-2", "rl.num_steps=3") == 2  # cells here say so themselves
    shutil.rmtree(study / "cells" / "tailor-seed-1")
    assert bench("--only", "tailor-seed-2", "rl.num_steps=3") == 2
    assert "-seed-1 by another recipe" in capsys.readouterr().err.splitlines()[-1]
    (here / "study.toml").write_text(STUDY + '[[skip]]\narm = "rule_based"\n')
    assert bench() == 2  # what was seen is not left out afterwards
    assert "which is no cell of this study" in capsys.readouterr().err
    (here / "study.toml").write_text(STUDY)
    before = cells()
    assert main(["report", "study"]) == 0  # with no run left, what was gathered counts
    assert cells() == before


def test_a_comparison_that_is_chosen_when_added_cells_are_known_was_not_planned(here: Path) -> None:
    assert bench("--name", "first", "--only", "*-seed-1") == 0
    keep_figures_alone(here / "runs" / "first", here / "published")
    more = '[[comparisons]]\narm = "tailor"\nagainst = "rule_based"\nfigure = "gain test pass@1"\n'
    (here / "study.toml").write_text(STUDY + more)
    assert bench("--only", "*-seed-2") == 0  # planned here before any run
    assert bench("--add", "published") == 0
    results = json.loads((here / "runs" / "study" / "results.json").read_text())
    asked = {each["figure"]: each["planned"] for each in results["comparisons"]}
    assert asked["gain test pass@1"] == "added"
    assert asked["rl test pass@1"] == "planned"


def test_places_that_share_out_arms_have_one_student(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No arm is in both, and nothing is left to run: the files here are all there is to ask."""
    assert bench("--name", "there", "--only", "rule_based-*") == 0
    keep_figures_alone(here / "runs" / "there", here / "published")
    make_student(here / "student", seed=11)
    assert bench("--only", "tailor-*") == 0
    capsys.readouterr()
    assert bench("--add", "published") == 2
    told = capsys.readouterr().err
    assert "input student student of rule_based: " in told
    assert "in this place" in told
    make_student(here / "student")  # back again: the runs here were made from the other one
    assert bench("--add", "published") == 2
    assert not (here / "runs" / "study" / "elsewhere").exists()


def test_a_study_that_is_finished_elsewhere_needs_no_files_here(here: Path) -> None:
    assert bench() == 0
    keep_figures_alone(here / "runs" / "study", here / "runs" / "kept")
    make_student(here / "student", seed=11)
    RunOnFakes.made.clear()
    assert bench("--name", "kept") == 0
    assert RunOnFakes.made == []
