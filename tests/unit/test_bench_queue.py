"""Cells run side by side, fail alone, and go on where they were."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.folder import StudyFolder, check_name
from tailor_rl.bench.queue import HOPELESS, Progress, Queue
from tailor_rl.bench.sharing import can_give
from tailor_rl.bench.version import check_same_version, inputs_of, version_of
from tailor_rl.config.load import Provenance
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import write_json
from tailor_rl.runs.folder import RunFolder
from tests.lives import make_config

NOWHERE = Provenance(file="study.toml", overrides=(), command=(), time="")


def cell(name: str, *, seed: int = 1, initialisation: str = "none") -> Cell:
    config = make_config(initialisation=initialisation).model_copy(update={"seed": seed})
    levels = {"task": "", "student": "", "algorithm": "", "arm": name}
    return Cell(f"{name}-seed-{seed}", "all", levels, seed, config)


class FakeRun:
    """A process that ends after `looks`; then its folder says how it ended."""

    def __init__(self, run: Path, *, looks: int, code: int, stubborn: bool = False) -> None:
        self.run, self.looks, self.code, self.stubborn = run, looks, code, stubborn
        self.stopped: list[bool] = []

    def poll(self) -> int | None:
        self.looks -= 1
        if self.looks > 0:
            return None
        if self.code == 0 and not self.stopped:
            write_json(self.run / "outcome.json", {"state": "finished", "error": None})
        return self.code

    def stop(self, *, hard: bool) -> None:
        self.stopped.append(hard)
        if hard or not self.stubborn:
            self.looks = 0


class Notes:
    """An overview that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.most = 0

    def began(self, cell: Cell, shared: dict[str, str], progress: Progress) -> None:
        self.lines.append(f"begin {cell.name}")
        self.most = max(self.most, len(progress.running))

    def ended(self, cell: Cell, code: int, seconds: float, progress: Progress) -> None:
        self.lines.append(f"end {cell.name} {code}")

    def show(self, progress: Progress) -> None: ...

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StudyFolder]:
    with StudyFolder.open(tmp_path, "study") as opened:
        yield opened


class Lab:
    """A queue with fake runs and a clock that goes on when it sleeps."""

    def __init__(self, folder: StudyFolder, cells: list[Cell], *, at_once: int = 1) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.codes: dict[str, int] = {}
        self.notes = Notes()
        self.now = 0.0
        self.interrupt_at: float | None = None
        self.stubborn = False
        self.looks: dict[str, int] = {}
        self.changed = ""
        self.queue = Queue(
            cells,
            folder,
            start=self.start,
            reuse=(),
            provenance=NOWHERE,
            overview=self.notes,
            at_once=at_once,
            changed=self.look_at_the_code,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def start(self, run: Path, log: Path, recipe: Path | None) -> FakeRun:
        code = self.codes.get(run.name, 0)
        looks = 10_000 if self.stubborn else self.looks.get(run.name, 6)
        self.runs[run.name] = FakeRun(run, looks=looks, code=code, stubborn=self.stubborn)
        return self.runs[run.name]

    def look_at_the_code(self) -> str:
        return "code changed" if self.changed in self.notes.lines else ""

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.interrupt_at is not None and self.now >= self.interrupt_at:
            self.interrupt_at = None
            raise KeyboardInterrupt


def test_every_cell_runs_once_and_no_more_than_asked_at_a_time(folder: StudyFolder) -> None:
    cells = [cell(name, seed=seed) for seed, name in enumerate("abcde")]  # nothing to share
    lab = Lab(folder, cells, at_once=2)
    progress = lab.queue.run()
    assert sorted(progress.finished) == [each.name for each in cells]
    assert lab.notes.most == 2
    assert sorted(line for line in lab.notes.lines if "begin" in line) == [
        f"begin {each.name}" for each in cells
    ]
    assert progress.left_s == 0


def test_a_failed_cell_holds_up_no_other_and_is_tried_again_by_the_next_sitting(
    folder: StudyFolder,
) -> None:
    cells = [cell(name) for name in "abc"]
    lab = Lab(folder, cells)
    lab.codes = {"b-seed-1": 3}
    progress = lab.queue.run()
    assert progress.failed == {"b-seed-1": 3}
    assert progress.finished == ["a-seed-1", "c-seed-1"]
    again = Lab(folder, cells)
    assert again.queue.run().failed == {}
    assert again.notes.lines == ["begin b-seed-1", "end b-seed-1 0"]


def test_where_cell_after_cell_fails_the_rest_is_not_tried(folder: StudyFolder) -> None:
    cells = [cell(name) for name in "abcdef"]
    lab = Lab(folder, cells)
    lab.codes = {each.name: 2 for each in cells}
    progress = lab.queue.run()
    assert list(progress.failed) == [each.name for each in cells[:HOPELESS]]


def test_no_cell_is_begun_once_the_code_has_changed(folder: StudyFolder) -> None:
    lab = Lab(folder, [cell(name, seed=seed) for seed, name in enumerate("abcd")], at_once=2)
    lab.looks = {"a-seed-0": 3, "b-seed-1": 20}
    lab.changed = "end a-seed-0 0"
    progress = lab.queue.run()
    assert progress.finished == ["a-seed-0", "b-seed-1"]  # b had begun
    assert progress.stopped == "code changed"
    assert any("waiting for b-seed-1" in line for line in lab.notes.lines)


def test_cells_that_share_a_part_are_not_made_side_by_side(folder: StudyFolder) -> None:
    cells = [cell("a"), cell("b", initialisation="tailor"), cell("c", seed=2)]
    lab = Lab(folder, cells, at_once=2)
    lab.queue.run()
    # b would evaluate the same base at the same time; c has another seed
    assert lab.notes.lines[:2] == ["begin a-seed-1", "begin c-seed-2"]


def test_a_first_run_that_is_a_cell_of_its_own_is_waited_for(folder: StudyFolder) -> None:
    cells = [cell("d", initialisation="re_distill"), cell("r", initialisation="rule_based")]
    lab = Lab(folder, cells)
    lab.queue.run()
    assert lab.notes.lines[0] == "begin r-seed-1"


@pytest.mark.parametrize("stubborn", [False, True])
def test_ctrl_c_stops_what_runs_and_begins_nothing_more(
    folder: StudyFolder, stubborn: bool
) -> None:
    lab = Lab(folder, [cell("a"), cell("b")])
    lab.interrupt_at, lab.stubborn = 1.0, stubborn
    with pytest.raises(KeyboardInterrupt):
        lab.queue.run()
    assert lab.runs["a-seed-1"].stopped == ([False, True] if stubborn else [False])
    assert list(lab.runs) == ["a-seed-1"]


def test_a_cell_in_another_process_is_left_alone_and_said_so(folder: StudyFolder) -> None:
    cells = [cell("a"), cell("b", seed=2)]
    folder.prepare(cells[0], [], NOWHERE)
    with RunFolder.resume(folder.cell("a-seed-1"), None):  # somebody runs it by hand
        lab = Lab(folder, cells)
        progress = lab.queue.run()
    assert progress.finished == ["b-seed-2"]
    assert any("left alone: a-seed-1" in line for line in lab.notes.lines)


def test_a_cell_appears_whole_or_not_at_all(folder: StudyFolder) -> None:
    folder.prepare(cell("a"), [], NOWHERE)
    half = folder.path / "new" / "b-seed-1"
    half.mkdir()
    (half / "config.json").write_text("{}")
    folder.close()
    with StudyFolder.open(folder.path.parent, "study") as again:
        assert [run.name for run in again.runs()] == ["a-seed-1"]
        assert not half.exists()
        again.prepare(cell("b"), [], NOWHERE)
        assert [run.name for run in again.runs()] == ["a-seed-1", "b-seed-1"]
    folder._lock = -1  # closed above
    folder.close = lambda: None  # type: ignore[method-assign]


def test_a_study_has_one_process_and_is_no_run(folder: StudyFolder, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="in use by another `tailor bench`"):
        StudyFolder.open(tmp_path, "study")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    for name, said in (("run", "is no study"), ("../up", "no plain folder name")):
        with pytest.raises(RunFolderError, match=said):
            check_name(tmp_path, name)


def test_a_cell_goes_on_only_by_its_own_recipe(folder: StudyFolder) -> None:
    folder.prepare(cell("a"), [], NOWHERE)
    folder.check([cell("a"), cell("b")])
    other = cell("a", initialisation="tailor")
    with pytest.raises(RunFolderError, match="initialisation"):
        folder.check([other])
    with pytest.raises(RunFolderError, match="is no cell of the study any more"):
        folder.check([cell("b")])


def test_results_of_different_versions_are_not_mixed_unless_told(folder: StudyFolder) -> None:
    for name in "ab":
        folder.prepare(cell(name), [], NOWHERE)
    assert check_same_version(folder.runs(), {}, mixed=False) == []
    path = folder.cell("b-seed-1") / "environment.json"
    environment = json.loads(path.read_text())
    environment["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(environment))
    with pytest.raises(RunFolderError, match=r"torch: 1\.0 in b-seed-1, .* in a-seed-1"):
        check_same_version(folder.runs(), {}, mixed=False)
    assert len(check_same_version(folder.runs(), {}, mixed=True)) == 1
    now = version_of(folder.cell("a-seed-1"))
    runs = [folder.cell("a-seed-1")]
    assert check_same_version(runs, {}, mixed=False, now=now) == []
    with pytest.raises(RunFolderError, match="new in this one"):
        check_same_version(runs, {}, mixed=False, now={**now, "code": "new"})


def test_a_run_that_went_on_with_other_code_is_of_both_versions(folder: StudyFolder) -> None:
    folder.prepare(cell("a"), [], NOWHERE)
    path = folder.cell("a-seed-1") / "environment.json"
    environment = json.loads(path.read_text())
    with RunFolder.resume(path.parent, None):
        assert json.loads(path.read_text()) == environment
    path.write_text(json.dumps({**environment, "code": "older"}))
    for _ in range(2):  # noted once
        with RunFolder.resume(path.parent, None):
            assert version_of(path.parent)["code"] == f"older then {environment['code']}"


def test_a_file_that_was_mended_between_sittings_is_of_both_contents(
    folder: StudyFolder, tmp_path: Path
) -> None:
    """The first content made a part of that run's figures: neither is the one of its table."""
    mine = tmp_path / "mine.py"
    for name in "ab":
        mine.write_text("one")
        own = cell(name).config
        reward = own.reward.model_copy(update={"functions": {"mine": f"{mine}:reward"}})
        config = own.model_copy(update={"reward": reward})
        folder.prepare(dataclasses.replace(cell(name), config=config), [], NOWHERE)
        before = inputs_of(folder.cell(f"{name}-seed-1"))[str(mine)]
    mine.write_text("another")
    with RunFolder.resume(folder.cell("b-seed-1"), None):
        pass
    assert inputs_of(folder.cell("b-seed-1"))[str(mine)].startswith(f"{before} then ")
    with pytest.raises(RunFolderError, match=r"mine\.py: .* then .* in b-seed-1"):
        check_same_version(folder.runs(), {}, mixed=False)
    assert not can_give(folder.cell("b-seed-1"), folder.cell("a-seed-1"))


@pytest.mark.parametrize(
    ("at_once", "cells", "running", "hours"),
    [
        (1, 3, {}, 3.0),
        (2, 3, {}, 1.5),
        (4, 1, {"a-seed-1": 0.0}, 1.0),  # room beside it makes it no faster
        (64, 8, {f"{name}-seed-1": 1800.0 for name in "abcdefgh"}, 0.5),
        (64, 1, {}, 1.0),
        (2, 3, {"a-seed-1": 1800.0}, 1.25),
        (2, 2, {"a-seed-1": 7200.0}, 1.0),
    ],
)
def test_the_time_left_is_never_less_than_the_longest_cells(
    at_once: int, cells: int, running: dict[str, float], hours: float
) -> None:
    grid = [cell(name) for name in "abcdefgh"[:cells]]
    progress = Progress(grid, running=running, seconds=[3000.0, 4200.0], at_once=at_once)
    assert progress.left_s == pytest.approx(3600 * hours)
