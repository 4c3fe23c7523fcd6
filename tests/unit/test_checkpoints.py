"""Checkpoints under kills, damage and full disks: the old one or the new one, never half."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.checkpoints import CheckpointFolder, load_checkpoint
from tailor_rl.runs.folder import RunFolder
from tests.run_folders import FileLearner, Page, journal, python, save


def test_a_checkpoint_comes_back_with_its_state_and_files(folder: RunFolder) -> None:
    book = journal(folder)
    path = save(book, "rl-000010", FileLearner(), step=10, state={"stream": [1, 2]})
    found = book.latest_checkpoint("rl-")
    assert found is not None
    assert (found.step, found.folder) == (10, path)
    assert found.state == {"stream": [1, 2], "ledger": {}}
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


@pytest.mark.parametrize("keep", [1, 2, 3, 4, 5])
def test_pruning_after_every_checkpoint_keeps_as_many_as_asked(
    folder: RunFolder, keep: int
) -> None:
    book = journal(folder)
    for step in range(1, 8):
        save(book, f"rl-{step}", FileLearner(), step=step, state={})
        book.prune_checkpoints("rl-", keep=keep)
        names = {path.name for path in (folder.path / "checkpoints").iterdir()}
        assert names == {f"rl-{n}" for n in range(max(1, step - keep + 1), step + 1)}


def test_pruning_spares_the_best_and_can_keep_no_other(folder: RunFolder) -> None:
    book = journal(folder)
    for step in (1, 2, 3, 4):
        save(book, f"rl-{step}", FileLearner(), step=step, state={})
    save(book, "rl", FileLearner(), step=2, state={})
    book.prune_checkpoints("rl-", keep=1, spare=[2, None])
    names = sorted(path.name for path in (folder.path / "checkpoints").iterdir())
    assert names == ["rl", "rl-2", "rl-4"]
    book.prune_checkpoints("rl-", keep=0)
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["rl"]


def test_a_checkpoint_is_found_by_its_exact_name(folder: RunFolder) -> None:
    page = Page()
    book = journal(folder, page)
    save(book, "sft", FileLearner(), step=4, state={})
    save(book, "sft-000006", FileLearner(), step=6, state={})
    found = book.named_checkpoint("sft")
    assert found is not None and found.step == 4
    assert book.named_checkpoint("sft-") is None
    (found.folder / "model.safetensors").write_bytes(b"other")
    assert book.named_checkpoint("sft") is None
    assert "is damaged" in page.seen[-1][1]


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
        RuntimeError("rank 0: I/O error: File too large (os error 27)"),
        RuntimeError("rank 0: I/O error: Disk quota exceeded (os error 122)"),
    ],
)
def test_a_disk_that_fills_under_a_checkpoint_says_so(folder: RunFolder, error: Exception) -> None:
    book = journal(folder)
    save(book, "rl-1", FileLearner(), step=1, state={})
    with pytest.raises(RunFolderError, match=r"checkpoint rl-2 .*free some space and go on") as e:
        save(book, "rl-2", FileLearner(error=error), step=2, state={})
    assert e.value.exit_code == 3
    # At once and not at the next start: the rest of the run needs the room.
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["rl-1"]
    found = journal(folder).latest_checkpoint("rl-")
    assert found is not None and found.step == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(30, "Read-only file system"),
        PermissionError(13, "Permission denied"),
        RuntimeError("rank 1: Error while serializing: I/O error: Permission denied (os error 13)"),
    ],
)
def test_a_folder_that_becomes_read_only_under_a_checkpoint_says_so(
    folder: RunFolder, error: Exception
) -> None:
    book = journal(folder)
    save(book, "rl-1", FileLearner(), step=1, state={})
    with pytest.raises(RunFolderError, match=r"checkpoint is safe: make the folder writable") as e:
        save(book, "rl-2", FileLearner(error=error), step=2, state={})
    assert e.value.exit_code == 3
    assert str(folder.path) in str(e.value) and "--resume" in str(e.value)
    found = journal(folder).latest_checkpoint("rl-")
    assert found is not None and found.step == 1


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from tailor_rl.errors import RunFolderError
from tests.run_folders import FileLearner, Page
from tailor_rl.runs.journal import RunJournal
from tailor_rl.runs.folder import RunFolder

run = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
book = RunJournal(RunFolder(run, None, lock=None), Page())
save = lambda step, size: asyncio.run(
    book.checkpoint(f"rl-{step}", step=step, learner=FileLearner(b"w" * size), state={})
)
save(1, 50_000)
try:
    save(2, 70_000)
except RunFolderError as error:
    print(error.exit_code, error)
found = book.latest_checkpoint("rl-")
print(found.step, sorted(path.name for path in (run / "checkpoints").iterdir()))
"""


def test_a_real_limit_on_the_size_of_files_loses_no_earlier_checkpoint(tmp_path: Path) -> None:
    said, wrong = python(LIMITED, str(tmp_path)).communicate(timeout=60)
    assert wrong == ""
    sentence, kept = said.splitlines()
    assert sentence.startswith("3 there was no room to write checkpoint rl-2")
    assert "(File too large)" in sentence and str(tmp_path) in sentence
    assert kept == "1 ['rl-1']"


LOCKED = """
import asyncio, os, sys
from pathlib import Path
from tests.run_folders import FileLearner, Page
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.journal import RunJournal
from tailor_rl.runs.folder import RunFolder

run = Path(sys.argv[1])
book = RunJournal(RunFolder(run, None, lock=None), Page())
save = lambda step: asyncio.run(
    book.checkpoint(f"rl-{step}", step=step, learner=FileLearner(), state={})
)
save(1)
(run / "checkpoints").chmod(0o555)
if os.geteuid() == 0:  # root may write everywhere
    os.seteuid(65534)
try:
    save(2)
except RunFolderError as error:
    print(error.exit_code, error)
found = book.latest_checkpoint("rl-")
print(found.step, sorted(path.name for path in (run / "checkpoints").iterdir()))
"""


def test_a_real_folder_without_write_permission_loses_no_earlier_checkpoint() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        Path(folder).chmod(0o755)
        said, wrong = python(LOCKED, folder).communicate(timeout=60)
    assert wrong == ""
    sentence, kept = said.splitlines()
    assert sentence.startswith(f"3 checkpoint rl-2 cannot be written in {folder} (Permission")
    assert "make the folder writable for this user again and go on with" in sentence
    assert kept == "1 ['rl-1']"


def test_other_errors_of_a_learner_pass_through(folder: RunFolder) -> None:
    with pytest.raises(RuntimeError, match="rank 1 died"):
        save(
            journal(folder),
            "rl-1",
            FileLearner(error=RuntimeError("rank 1 died")),
            step=1,
            state={},
        )
