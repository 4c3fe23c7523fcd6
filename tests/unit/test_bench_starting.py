"""What happens before a study's cells run, without a command line and without running any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tailor_rl.bench.cells import Cell, make_cells
from tailor_rl.bench.comparing import Promises
from tailor_rl.bench.folder import StudyFolder
from tailor_rl.bench.plan import read_plan
from tailor_rl.bench.starting import Sitting, begin
from tailor_rl.bench.study import read_study
from tailor_rl.config.load import Provenance
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import write_json
from tests.bench_command import CELLS, begin_study


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin_study(tmp_path, monkeypatch)


def cells_of(here: Path) -> list[Cell]:
    return make_cells(read_study(here / "study.toml"), here / "study.toml", ["student=student"])


def start(
    here: Path, name: str = "study", *, only: Sequence[str] = (), reuse: Sequence[Path] = ()
) -> Sitting:
    cells = cells_of(here)
    with StudyFolder.open(here / "runs", name) as folder:
        return begin(
            folder,
            read_study(here / "study.toml"),
            cells,
            [cell for cell in cells if not only or cell.name in only],
            add=(),
            reuse=reuse,
            mixed_versions=False,
        )


def ask_for(here: Path, figure: str) -> None:
    """One more comparison."""
    with (here / "study.toml").open("a") as file:
        file.write(
            f'[[comparisons]]\narm = "tailor"\nagainst = "rule_based"\nfigure = "{figure}"\n'
        )


def make_run(here: Path, cell_name: str, study: str = "study") -> Path:
    """A cell's run folder, as it is before anything is done in it."""
    cell = next(cell for cell in cells_of(here) if cell.name == cell_name)
    with StudyFolder.open(here / "runs", study) as folder:
        folder.prepare(cell, [], Provenance(file="", overrides=(), command=(), time=""))
        return folder.cell(cell_name)


def finish(run: Path) -> None:
    write_json(run / "stages.json", {"evaluate_rl": {"finished": "now"}})


def test_one_recipe_of_each_family_is_left_to_run(here: Path) -> None:
    sitting = start(here)
    assert [cell.name for cell in sitting.cells] == CELLS
    assert [recipe.initialisation for recipe in sitting.recipes] == ["tailor", "rule_based"]


def test_what_is_asked_when_a_cell_has_begun_is_not_planned(here: Path) -> None:
    """An unfinished run already holds the figures of the stages that it has behind it."""
    start(here)
    run = make_run(here, "tailor-seed-1")
    ask_for(here, "gain test pass@1")
    start(here)
    (run / "evaluations.jsonl").write_text('{"stage": "sft"}\n')
    ask_for(here, "sft test pass@1")
    start(here)
    assert [(entry["begun"], entry["finished"]) for entry in read_plan(run.parents[1])] == [
        (0, 0),
        (0, 0),
        (1, 0),
    ]


def test_what_a_reused_study_had_not_planned_is_no_plan_here(here: Path) -> None:
    start(here, "first")
    finish(make_run(here, "tailor-seed-1", "first"))
    ask_for(here, "gain test pass@1")
    start(here, "second")  # before any run here: a plan, so far
    # The cell that is reused is none of those that are run now.
    start(here, "second", only=["rule_based-seed-2"], reuse=[here / "runs" / "first"])
    plan = read_plan(here / "runs" / "second")
    assert [(entry["begun"], entry["finished"]) for entry in plan] == [(0, 0), (1, 1)]
    assert [each["figure"] for each in plan[1]["unforeseen"]["comparisons"]] == ["gain test pass@1"]
    study = read_study(here / "study.toml")
    promises = Promises(plan)
    assert [
        promises.status("comparisons", each.model_dump(mode="json")) for each in study.comparisons
    ] == ["planned", "added"]


def test_a_study_that_gives_parts_of_cells_alone_takes_nothing_off_the_plan(here: Path) -> None:
    start(here, "first")
    make_run(here, "tailor-seed-1", "first")
    ask_for(here, "gain test pass@1")
    start(here, "second", reuse=[here / "runs" / "first"])
    (entry,) = read_plan(here / "runs" / "second")
    assert (entry["begun"], "unforeseen" in entry) == (0, False)


def test_a_student_that_changed_between_sittings_is_refused_before_anything_runs(
    here: Path,
) -> None:
    start(here)
    make_run(here, "tailor-seed-1")
    assert len(start(here).cells) == 4
    with (here / "student" / "config.json").open("a") as file:
        file.write("\n")
    with pytest.raises(RunFolderError, match=r"/student: .*this one"):
        start(here)
