"""The run folder: named, locked, resumed by its own recipe only, and held by one living process."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tailor_rl.errors import RunFolderError
from tailor_rl.runs.environment import describe_environment, git_state, read_environment
from tailor_rl.runs.folder import LOCK, RunFolder, holder, read_run_config
from tests.run_folders import python, resolved


def test_a_new_folder_holds_the_recipe_and_the_environment(folder: RunFolder) -> None:
    record = json.loads((folder.path / "config.json").read_text())
    assert record["config"]["student"] == "organisation/student"
    assert record["provenance"]["command"] == ["tailor"]
    assert json.loads((folder.path / "environment.json").read_text())["cores"] >= 1
    assert read_run_config(folder.path) == folder.config


def test_a_run_without_a_name_is_called_after_its_recipe(tmp_path: Path) -> None:
    asked = resolved(tmp_path)
    with (
        RunFolder.create(tmp_path, asked, name=None) as first,
        RunFolder.create(tmp_path, asked, name=None) as second,
    ):
        assert first.path.name.startswith("recipe-20")
        assert first.path != second.path


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "-x"])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="no plain folder name"):
        RunFolder.create(tmp_path / "runs", resolved(tmp_path), name=name)
    assert not (tmp_path / "runs").exists()


def test_a_taken_name_is_refused_and_left_alone(tmp_path: Path, folder: RunFolder) -> None:
    before = (folder.path / "config.json").read_bytes()
    with pytest.raises(RunFolderError, match="exists already"):
        RunFolder.create(tmp_path / "runs", resolved(tmp_path, "seed=9"), name="a")
    assert (folder.path / "config.json").read_bytes() == before


def test_runs_under_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="--runs-dir"):
        RunFolder.create(tmp_path / "file" / "runs", resolved(tmp_path), name="a")


def test_a_closed_run_resumes_with_its_own_recipe(tmp_path: Path, folder: RunFolder) -> None:
    folder.close()
    with RunFolder.resume(folder.path, None) as again:
        assert again.config == folder.config


def test_another_recipe_is_refused_with_every_key_that_differs(
    tmp_path: Path, folder: RunFolder
) -> None:
    folder.close()
    with pytest.raises(RunFolderError) as caught:
        RunFolder.resume(folder.path, resolved(tmp_path, "seed=9", "rl.group_size=4"))
    assert "seed is 0 there and 9 here" in str(caught.value)
    assert "rl.group_size is 8 there and 4 here" in str(caught.value)
    assert holder(folder.path) is None


def test_a_run_may_go_on_at_another_address(tmp_path: Path, folder: RunFolder) -> None:
    folder.close()
    asked = resolved(tmp_path, "cluster.address=local")
    with RunFolder.resume(folder.path, asked) as again:
        assert again.config.cluster.address == "local"


def test_a_run_that_spent_its_budget_may_go_on_with_a_larger_one(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, resolved(tmp_path), name="run"):
        pass
    asked = resolved(tmp_path, "teacher.budget_tokens=1000", "teacher.budget_money=2.5")
    with RunFolder.resume(tmp_path / "run", asked) as again:
        assert again.config.teacher.budget_tokens == 1000


def test_an_edited_recipe_is_refused(folder: RunFolder) -> None:
    folder.close()
    path = folder.path / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1', 1))
    with pytest.raises(RunFolderError, match="was edited"):
        RunFolder.resume(folder.path, None)


def test_what_is_no_run_folder_is_refused(tmp_path: Path, folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="is no run folder"):
        RunFolder.resume(tmp_path, None)
    with pytest.raises(RunFolderError, match=f"did you mean {folder.path}"):
        RunFolder.resume(folder.path.with_name("aa"), None)


def test_a_run_whose_student_changed_is_refused_until_it_is_put_back(tmp_path: Path) -> None:
    weights = tmp_path / "student" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"old")
    asked = resolved(tmp_path, f"student={weights.parent}")
    RunFolder.create(tmp_path, asked, name="run").close()
    weights.write_bytes(b"new")
    with pytest.raises(RunFolderError) as caught:
        RunFolder.resume(tmp_path / "run", asked)
    assert f"begun with other content in {weights.parent}: put the old" in str(caught.value)
    assert holder(tmp_path / "run") is None
    weights.write_bytes(b"old")
    RunFolder.resume(tmp_path / "run", None).close()


def test_own_code_may_be_mended_between_sittings_and_that_is_noted(tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text("async def make(kit): raise ValueError\n")
    asked = resolved(tmp_path, f"initialisation={code}:make")
    RunFolder.create(tmp_path, asked, name="run").close()
    code.write_text("async def make(kit): return []\n")
    for _ in range(2):
        RunFolder.resume(tmp_path / "run", None).close()
    known = read_environment(tmp_path / "run")
    assert [each.inputs[str(code)] != known.inputs[str(code)] for each in known.later] == [True]


def test_a_run_that_does_not_say_what_it_is_made_from_goes_on(tmp_path: Path) -> None:
    student = tmp_path / "student"
    student.write_bytes(b"old")
    RunFolder.create(tmp_path, resolved(tmp_path, f"student={student}"), name="run").close()
    path = tmp_path / "run" / "environment.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({key: known[key] for key in known if key != "inputs"}))
    student.write_bytes(b"new")
    RunFolder.resume(tmp_path / "run", None).close()
    path.unlink()
    RunFolder.resume(tmp_path / "run", None).close()


HOLD = """
import sys
import threading, time
from pathlib import Path
from tailor_rl.runs.folder import RunFolder
with RunFolder.resume(Path(sys.argv[1]), None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_held_by_a_living_process_is_refused_and_by_a_dead_one_is_not(
    folder: RunFolder,
) -> None:
    folder.close()
    other = python(HOLD, str(folder.path))
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(RunFolderError) as caught:
        RunFolder.resume(folder.path, None)
    assert f"in use by process {other.pid} on" in str(caught.value)
    assert "--resume" in str(caught.value)
    found = holder(folder.path)
    assert found is not None and found["pid"] == other.pid
    other.kill()
    other.communicate()
    assert holder(folder.path) is None
    RunFolder.resume(folder.path, None).close()


def test_a_run_begins_while_somebody_looks_whether_it_is_taken(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.close()
    descriptor = os.open(folder.path / LOCK, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # as `holder` has it, for much less time
    threading.Timer(0.05, os.close, [descriptor]).start()
    RunFolder.resume(folder.path, None).close()
    assert not caplog.records


def test_the_environment_names_versions_without_importing_them() -> None:
    program = (
        "import sys; from tailor_rl.runs.environment import describe_environment as d; "
        "print(d()['packages']['numpy'], 'numpy' in sys.modules, 'torch' in sys.modules)"
    )
    output, trouble = python(program).communicate()
    assert output.split() == [np.__version__, "False", "False"], trouble


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert set(describe_environment()) >= {"python", "platform", "cores", "memory_gib", "git"}
