"""Checkpoints under kills, damage and full disks: the old one or the new one, never half."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.checkpoints import CheckpointFolder, load_checkpoint
from tailor_rl.runs.folder import RunFolder
from tests.run_folders import FileLearner, Page, journal, save


def test_a_checkpoint_comes_back_with_its_state_and_files(folder: RunFolder) -> None:
    book = journal(folder)
    path = save(book, "rl-000010", FileLearner(), step=10, state={"stream": [1, 2]})
    found = book.latest_checkpoint("rl-")
    assert found is not None
    assert (found.step, found.folder, found.state) == (10, path, {"stream": [1, 2]})
    assert (path / "optimizer" / "rank-0.bin").read_bytes() == b"sthgiew"


def test_the_latest_is_the_highest_step_of_its_prefix(folder: RunFolder) -> None:
    book = journal(folder)
    for name, step in [("rl-9", 9), ("rl-10", 10), ("sft", 99)]:
        save(book, name, FileLearner(), step=step, state={})
    found = book.latest_checkpoint("rl-")
    assert found is not None and found.step == 10
    assert book.latest_checkpoint("other") is None


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"weighty"), "changed or cut short"),
        (lambda f: (f / "model.safetensors").write_bytes(b"w"), "changed or cut short"),
        (lambda f: (f / "optimizer" / "rank-0.bin").unlink(), "rank-0.bin is missing"),
        (lambda f: (f / "MANIFEST.json").write_text("{"), "MANIFEST.json"),
        (lambda f: (f / "MANIFEST.json").write_text("{}"), "MANIFEST.json"),
        (lambda f: (f / "state.json").write_text("{}"), "state.json"),
    ],
)
def test_a_damaged_checkpoint_is_logged_and_the_one_before_it_taken(
    folder: RunFolder, damage: Any, part: str
) -> None:
    page = Page()
    book = journal(folder, page)
    save(book, "rl-1", FileLearner(), step=1, state={"n": 1})
    damage(save(book, "rl-2", FileLearner(), step=2, state={"n": 2}))
    found = book.latest_checkpoint("rl-")
    assert found is not None and found.step == 1
    logged = [line for kind, line in page.seen if kind == "log"]
    assert len(logged) == 1 and "rl-2 is damaged" in logged[0] and part in logged[0]


def test_pruning_keeps_the_newest_of_its_prefix(folder: RunFolder) -> None:
    book = journal(folder)
    for step in (1, 2, 3):
        save(book, f"rl-{step}", FileLearner(), step=step, state={})
    save(book, "sft", FileLearner(), step=0, state={})
    book.prune_checkpoints("rl-", keep=2)
    names = sorted(path.name for path in (folder.path / "checkpoints").iterdir())
    assert names == ["rl-2", "rl-3", "sft"]


class Killed(BaseException):
    """Nobody below may catch it: a kill runs no clean-up."""


def commit_version(root: Path, version: str, fault: Any) -> None:
    checkpoints = CheckpointFolder(root, fault=fault)
    folder = checkpoints.begin("rl-1")
    (folder / "model.safetensors").write_text(version)
    checkpoints.commit("rl-1", step=1, state={"version": version})


def test_a_commit_killed_at_any_point_leaves_the_old_or_the_new_checkpoint(tmp_path: Path) -> None:
    points: list[str] = []
    commit_version(tmp_path / "probe", "old", lambda point: None)
    commit_version(tmp_path / "probe", "new", points.append)
    assert {"sync manifest", "rename old", "rename new", "sync parent"} <= set(points)
    seen = set()
    for fatal in points:
        root = tmp_path / fatal.replace(" ", "-")
        commit_version(root, "old", lambda point: None)

        def kill(point: str, fatal: str = fatal) -> None:
            if point == fatal:
                raise Killed(point)

        with pytest.raises(Killed):
            commit_version(root, "new", kill)
        after = CheckpointFolder(root)
        after.sweep()
        found = after.latest("rl-", log=lambda line: pytest.fail(line))
        assert found is not None, fatal
        version = found.state["version"]
        assert (found.folder / "model.safetensors").read_text() == version
        assert [path.name for path in root.iterdir()] == ["rl-1"]
        seen.add(version)
    assert seen == {"old", "new"}


def test_a_first_commit_killed_at_any_point_leaves_all_or_nothing(tmp_path: Path) -> None:
    points: list[str] = []
    commit_version(tmp_path / "probe", "new", points.append)
    for fatal in points:
        root = tmp_path / fatal.replace(" ", "-")

        def kill(point: str, fatal: str = fatal) -> None:
            if point == fatal:
                raise Killed(point)

        with pytest.raises(Killed):
            commit_version(root, "new", kill)
        after = CheckpointFolder(root)
        after.sweep()
        found = after.latest("rl-", log=lambda line: pytest.fail(line))
        committed = fatal in ("sync parent", "remove old")
        assert (found is not None) == committed, fatal


def test_half_written_checkpoints_are_swept_when_a_run_is_opened(folder: RunFolder) -> None:
    half = folder.path / "checkpoints" / ".tmp-rl-5"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_text("half")
    page = Page()
    book = journal(folder, page)
    assert not half.exists()
    assert book.latest_checkpoint("rl-") is None
    assert page.seen == [("log", "checkpoint rl-5: half written, removed")]


def test_a_checkpoint_copied_elsewhere_still_verifies(tmp_path: Path, folder: RunFolder) -> None:
    path = save(journal(folder), "rl-1", FileLearner(), step=1, state={})
    shutil.copytree(path, tmp_path / "copy")
    assert load_checkpoint(tmp_path / "copy").step == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("rank 1: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_under_a_checkpoint_says_so(folder: RunFolder, error: Exception) -> None:
    book = journal(folder)
    save(book, "rl-1", FileLearner(), step=1, state={})
    with pytest.raises(RunFolderError, match=r"checkpoint rl-2 .*free some space and go on"):
        save(book, "rl-2", FileLearner(error=error), step=2, state={})
    found = journal(folder).latest_checkpoint("rl-")
    assert found is not None and found.step == 1


def test_other_errors_of_a_learner_pass_through(folder: RunFolder) -> None:
    with pytest.raises(RuntimeError, match="rank 1 died"):
        save(
            journal(folder),
            "rl-1",
            FileLearner(error=RuntimeError("rank 1 died")),
            step=1,
            state={},
        )
