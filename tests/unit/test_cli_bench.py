"""`tailor bench` as it is typed: what it checks, runs, goes on with, and leaves behind."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from tailor_rl.bench import process
from tailor_rl.bench.cells import make_cells
from tailor_rl.bench.overview import LiveOverview
from tailor_rl.bench.queue import Progress
from tailor_rl.bench.study import read_study
from tailor_rl.cli import main
from tailor_rl.runs.journal import read_stages
from tests.bench_command import CELLS, STUDY, RunOnFakes, begin_study, bench


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin_study(tmp_path, monkeypatch)


def test_a_study_runs_its_cells_and_leaves_a_report(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench() == 0
    assert RunOnFakes.made == CELLS
    shown = capsys.readouterr().out
    for line in (
        "tailor-seed-1 begins (1 of 4)",
        "rule_based-seed-1 begins (2 of 4); shared: base from tailor-seed-1",
        "4 of 4 cells",
        "tailor minus rule_based",
        f"report: {here / 'runs' / 'study' / 'report.html'}",
    ):
        assert line in shown
    study = here / "runs" / "study"
    assert "<svg" in (study / "report.html").read_text()
    assert "rule\\_based" in (study / "report.md").read_text()
    assert (study / "report.svg").read_text().startswith("<svg")
    results = json.loads((study / "results.json").read_text())
    assert (results["num_cells"], results["missing"]) == (4, [])
    assert [entry["finished"] for entry in results["plan"]] == [0]


def test_the_same_command_makes_nothing_twice_and_a_new_seed_alone(here: Path) -> None:
    assert bench() == 0
    RunOnFakes.made.clear()
    assert bench() == 0
    assert RunOnFakes.made == []
    (here / "study.toml").write_text(STUDY.replace("[1, 2]", "[1, 2, 3]"))
    assert bench() == 0
    assert RunOnFakes.made == ["tailor-seed-3", "rule_based-seed-3"]
    results = json.loads((here / "runs" / "study" / "results.json").read_text())
    assert [entry["finished"] for entry in results["plan"]] == [0, 4]
    (here / "study.toml").write_text(STUDY)
    assert bench() == 2  # a seed whose runs were seen may not be dropped


def test_a_failed_cell_is_told_and_can_be_run_alone(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunOnFakes, "failing", frozenset({"rule_based-seed-1"}))
    assert bench() == 3
    told = capsys.readouterr()
    assert "rule_based-seed-1 failed (exit code 3): the teacher left" in told.err
    assert "--only rule_based-seed-1" in told.err
    results = json.loads((here / "runs" / "study" / "results.json").read_text())
    assert [each["why"] for each in results["missing"]] == ["the teacher left"]
    assert results["comparisons"][0]["seeds"] == {"all": [2]}
    monkeypatch.setattr(RunOnFakes, "failing", frozenset())
    RunOnFakes.made.clear()
    assert bench("--only", "rule_based-seed-1") == 0
    assert RunOnFakes.made == ["rule_based-seed-1"]


def test_only_chooses_by_pattern_and_names_no_cell_in_vain(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--only", "*-seed-2") == 0
    assert RunOnFakes.made == CELLS[2:]
    assert bench("--only", "*-seed-7") == 2
    assert "fits no cell of the study: they are named like tailor-seed-1" in capsys.readouterr().err


def test_a_dry_run_shows_cells_and_cost_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob("*"))
    assert bench("--dry-run") == 0
    shown = capsys.readouterr().out
    for line in (
        "4 cells in runs/study",
        "seeds 1, 2",
        "base 2 times",
        "altogether: ",
        "tailor against rule_based",
    ):
        assert line in shown
    assert sorted(here.rglob("*")) == before


def test_whole_cells_are_taken_from_another_study(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench() == 0
    RunOnFakes.made.clear()
    more = STUDY + '[arms.none]\ninitialisation = "none"\n'
    (here / "study.toml").write_text(more)
    capsys.readouterr()
    assert bench("--name", "second", "--reuse", "study") == 0
    assert RunOnFakes.made == ["none-seed-1", "none-seed-2"]
    assert "tailor-seed-1 begins (1 of 6); shared: whole from tailor-seed-1" in (
        capsys.readouterr().out
    )
    stages = read_stages(here / "runs" / "second" / "cells" / "tailor-seed-1")
    assert {entry["shared_from"] for entry in stages.values()} == {"tailor-seed-1"}
    results = json.loads((here / "runs" / "second" / "results.json").read_text())
    assert results["comparisons"][0]["planned"] == "added"  # its runs had been seen
    assert bench("--reuse", "nothing") == 2


def test_a_report_is_made_again_without_the_runs(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench() == 0
    first = (here / "runs" / "study" / "report.html").read_text()
    kept = here / "runs" / "study-kept"  # its name is on the page
    kept.mkdir()
    for name in ("gathered.json", "plan.json"):
        shutil.copy(here / "runs" / "study" / name, kept)
    shutil.rmtree(here / "runs" / "study")
    kept.rename(here / "runs" / "study")
    assert main(["report", "study"]) == 0
    assert (here / "runs" / "study" / "report.html").read_text() == first
    (here / "runs" / "study" / "gathered.json").write_text("{}")
    assert main(["report", "study"]) == 2
    assert "damaged or of another version" in capsys.readouterr().err


def test_a_report_without_the_plan_is_refused_and_the_old_one_stays(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench() == 0
    study = here / "runs" / "study"
    before = (study / "report.md").read_text()
    (study / "plan.json").unlink()
    capsys.readouterr()
    assert main(["report", str(study)]) == 2
    assert "plan.json is missing or damaged: it says what was planned" in capsys.readouterr().err
    assert (study / "report.md").read_text() == before


def test_a_damaged_record_of_a_study_is_named_and_written_anew(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--only", "tailor-seed-1") == 0
    path = here / "runs" / "study" / "study.json"
    good = json.loads(path.read_text())
    for damaged, said in (
        ({**good, "command": None}, "command: Input should be"),
        ({**good, "at_once": "two"}, "at_once: Input should be"),
        ({**good, "study": {}}, "study.recipe: Field required"),
        ([], "all of it: Input should be"),
    ):
        path.write_text(json.dumps(damaged))
        for command in ("report", "status"):
            capsys.readouterr()
            assert main([command, "study"]) == 2
            told = capsys.readouterr().err
            assert f"study.json is damaged or of another version of tailor_rl ({said}" in told
            assert told.endswith(": `tailor bench` with the study's file writes it anew\n")
            assert told.count("\n") == 1
    path.write_text("{")
    assert bench("--only", "tailor-seed-1") == 0
    assert json.loads(path.read_text()) == good


def test_a_place_without_figures_is_refused_before_anything(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--add", "nowhere", "--dry-run") == 2
    assert "nowhere is no study" in capsys.readouterr().err


def test_runs_of_two_versions_are_not_compared(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench() == 0
    path = here / "runs" / "study" / "cells" / "tailor-seed-1" / "environment.json"
    environment = json.loads(path.read_text())
    path.write_text(json.dumps({**environment, "code": "other"}))
    for command in (bench, lambda: main(["report", "study"])):
        assert command() == 2
        assert "other in tailor-seed-1" in capsys.readouterr().err
    assert bench("--mixed-versions") == 0
    assert "other in tailor-seed-1" in (here / "runs" / "study" / "results.json").read_text()


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (STUDY.replace('recipe = "recipe.toml"', 'recipe = "nowhere.toml"'), "no recipe"),
        (STUDY + "[arms.wrong]\nrl = { max_tokens = 100_000 }\n", "cell wrong-seed-1"),
        ("seeds = [1]\n", "is missing: a study names a recipe, seeds and arms"),
        ("seeds = [", "not valid TOML"),
        ('student = "student"\n', "is a recipe of one run: run it with `tailor run study.toml`"),
    ],
)
def test_a_faulty_study_is_one_sentence_and_runs_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], study: str, said: str
) -> None:
    (here / "study.toml").write_text(study)
    assert bench() == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert RunOnFakes.made == []
    assert not (here / "runs").exists()


def test_a_study_is_no_recipe(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.toml"]) == 2
    assert "is a study of many runs: run it with `tailor bench" in capsys.readouterr().err


def test_status_of_a_study_is_that_of_its_cells(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunOnFakes, "failing", frozenset({"rule_based-seed-1"}))
    assert bench("--only", "*-seed-1") == 3
    capsys.readouterr()
    assert main(["status", "study"]) == 0
    shown = capsys.readouterr().out
    assert "4 cells, 1 finished, 1 failed, 2 waiting" in shown
    assert "the teacher left" in shown
    assert main(["status", "study", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)
    assert [(cell["cell"], cell["state"]) for cell in cells] == list(
        zip(CELLS, ["finished", "failed", "waiting", "waiting"], strict=True)
    )
    assert cells[0]["note"].endswith(" %")


def test_the_live_table_shows_what_each_cell_is_at(here: Path) -> None:
    assert bench("--only", "*-seed-1") == 0
    cells = make_cells(read_study(here / "study.toml"), here / "study.toml", ["student=student"])
    overview = LiveOverview(here / "runs" / "study" / "cells")
    progress = Progress(cells, finished=CELLS[:2], running={CELLS[2]: 3.0}, seconds=[60.0])
    overview.began(cells[2], {"base": "tailor-seed-1"}, progress)
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(overview.render())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in ("seed 1", "seed 2", "starting", "waiting", "2 of 4 cells, 1:57 min left"):
        assert text in shown
    assert shown.count(" %") == 2


def test_a_note_on_runs_side_by_side_stays(here: Path) -> None:
    assert bench("--at-once", "2") == 0
    assert bench() == 0
    notes = json.loads((here / "runs" / "study" / "results.json").read_text())["notes"]
    assert [note for note in notes if "2 runs went on side by side" in note]


def test_a_cell_goes_on_with_what_may_change_as_the_study_now_says(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else nobody could follow what running out of memory or of budget advises."""
    monkeypatch.setattr(RunOnFakes, "failing", frozenset(["tailor-seed-1"]))
    assert bench("--only", "tailor-seed-1", "teacher.budget_tokens=1000") == 3
    monkeypatch.setattr(RunOnFakes, "failing", frozenset())
    capsys.readouterr()
    assert bench("--only", "tailor-seed-1", "learner.micro_batch_tokens=512") == 0
    ran = RunOnFakes.ran["tailor-seed-1"]
    assert (ran.teacher.budget_tokens, ran.learner.micro_batch_tokens) == (None, 512)
    said = "tailor-seed-1 goes on with learner.micro_batch_tokens 512 (begun with 2048)"
    assert said in capsys.readouterr().out


def test_a_file_that_changes_while_a_study_runs_stops_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Mending(RunOnFakes):
        def __init__(self, run: Path, log: Path, recipe: Path | None) -> None:
            super().__init__(run, log, recipe)
            with (here / "student" / "config.json").open("a") as file:
                file.write("\n")

    monkeypatch.setattr(process, "RunProcess", Mending)
    assert bench() == 2
    assert RunOnFakes.made == ["tailor-seed-1"]
    assert f"{here / 'student'} changed while the study ran" in capsys.readouterr().err


def test_a_dry_run_counts_what_is_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def altogether(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        assert bench("--dry-run", *arguments) == 0
        shown = capsys.readouterr().out
        line = next(line for line in shown.splitlines() if line.startswith("altogether"))
        return int(line.split()[1].replace(",", "")), shown

    whole, _ = altogether()
    assert bench("--only", "*-seed-1") == 0
    left, shown = altogether()
    assert left == whole / 2
    assert "finished, and not counted below: 2 of them" in shown
    assert altogether("--name", "other", "--reuse", "runs/study")[0] == left
    _, shown = altogether("--name", "other", "--add", "runs/study")
    assert "finished, and not counted below: 2 of them" in shown
    assert bench() == 0
    assert altogether()[0] == 0
