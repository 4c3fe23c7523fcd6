"""The run folder under kills, full disks and second starts: old or new, never half."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailor_rl.config.load import ResolvedConfig, resolve_config
from tailor_rl.errors import RunFolderError
from tailor_rl.protocols import Screen
from tailor_rl.runs.checkpoints import CheckpointFolder, load_checkpoint
from tailor_rl.runs.environment import describe_environment, git_state
from tailor_rl.runs.files import append_line, read_lines, write_atomic
from tailor_rl.runs.folder import RunFolder, holder, read_run_config
from tailor_rl.runs.journal import RunJournal, read_stages
from tailor_rl.runs.ledger import Ledger, read_ledger
from tailor_rl.types import Demonstration, Evaluation, Problem

ROOT = Path(__file__).resolve().parents[2]
RECIPE = 'student = "organisation/student"\n[task]\nname = "knights"\n'


class Page:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def stage(self, name: str) -> None:
        self.seen.append(("stage", name))

    def progress(self, done: int, total: int, note: str) -> None:
        self.seen.append(("progress", done, total, note))

    def metrics(self, stage: str, step: int, metrics: Any) -> None:
        self.seen.append(("metrics", stage, step, dict(metrics)))

    def evaluation(self, row: Evaluation) -> None:
        self.seen.append(("evaluation", row))

    def log(self, line: str) -> None:
        self.seen.append(("log", line))


class FileLearner:
    """Saves one file of a size; or fails as a full disk does."""

    def __init__(self, content: bytes = b"weights", error: Exception | None = None) -> None:
        self._content, self._error = content, error

    async def save(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(self._content)
        (folder / "optimizer").mkdir()
        (folder / "optimizer" / "rank-0.bin").write_bytes(self._content[::-1])
        if self._error is not None:
            raise self._error


def resolved(folder: Path, *overrides: str) -> ResolvedConfig:
    path = folder / "recipe.toml"
    path.write_text(RECIPE)
    return resolve_config(path, overrides, command=["tailor"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "runs", resolved(tmp_path), name="a") as created:
        yield created


def journal(folder: RunFolder, screen: Screen | None = None) -> RunJournal:
    return RunJournal(folder, screen or Page())


def save(book: RunJournal, name: str, learner: FileLearner, **keywords: Any) -> Path:
    return asyncio.run(book.checkpoint(name, learner=learner, **keywords))  # type: ignore[arg-type]


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def evaluation(step: int = 3, split: str = "test") -> Evaluation:
    return Evaluation(
        stage="rl",
        step=step,
        split=split,
        metric="accuracy",
        k=1,
        value=0.5,
        low=0.4,
        high=0.6,
        num_problems=10,
        num_samples=8,
        temperature=1.0,
        mean_tokens=70.5,
        truncated=0.0,
        weight_version=step,
    )


# ----- creating, resuming, locking


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


HOLD = """
import sys, time
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


# ----- rows


def test_rows_come_back_as_they_were(folder: RunFolder) -> None:
    book = journal(folder)
    rows = [
        Demonstration("d1", "p1", "question\u2028", "trace\n", 1.0, "teacher", "x", 10, 20),
        Demonstration("d2", "p2", "quéstion", '"', 0.0, "rule", None, 0, 0),
    ]
    book.append("demonstrations", rows[0])
    book.append("demonstrations", rows[1])
    assert book.read("demonstrations", Demonstration) == rows
    book.write("demonstrations", rows[1:])
    assert book.read("demonstrations", Demonstration) == rows[1:]
    problems = [Problem("k:train:0", "p", "a", "train", 3, {"people": [1, 2]})]
    book.write("samples/step-000010", problems)
    assert book.read("samples/step-000010", Problem) == problems
    assert book.read("missing", Demonstration) == []


def test_a_torn_last_line_is_dropped_and_the_next_row_starts_afresh(folder: RunFolder) -> None:
    book = journal(folder)
    book.append("rows", {"n": 1})
    with (folder.path / "rows.jsonl").open("a") as file:
        file.write('{"n": 2, "te')
    assert book.read("rows", dict[str, int]) == [{"n": 1}]
    book.append("rows", {"n": 3})
    assert book.read("rows", dict[str, int]) == [{"n": 1}, {"n": 3}]


def test_a_broken_line_in_the_middle_is_named(folder: RunFolder) -> None:
    book = journal(folder)
    (folder.path / "rows.jsonl").write_text('{"n": 1}\n{"n"\n{"n": 3}\n')
    with pytest.raises(RunFolderError, match=r"rows\.jsonl, line 2 is damaged") as caught:
        book.read("rows", dict[str, int])
    assert "\n" not in str(caught.value)


def test_a_row_of_another_shape_names_the_field(folder: RunFolder) -> None:
    book = journal(folder)
    book.append("demonstrations", {"id": "d1"})
    with pytest.raises(RunFolderError, match="problem_id"):
        book.read("demonstrations", Demonstration)


APPEND_FOR_EVER = """
import itertools, sys
from pathlib import Path
from tailor_rl.runs.files import append_line
for n in itertools.count():
    append_line(Path(sys.argv[1]), '{"n": %d, "text": "%s"}' % (n, "x" * 5000))
    print(n, flush=True)
"""


def test_rows_acknowledged_before_a_kill_are_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    writer = python(APPEND_FOR_EVER, str(path))
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0].split()
    acknowledged = int(rest[-1]) if rest else 19
    rows = [json.loads(line)["n"] for line in read_lines(path)]
    assert rows == list(range(len(rows)))
    assert len(rows) > acknowledged


def test_rewinding_drops_only_later_rows_of_the_stage(folder: RunFolder) -> None:
    book = journal(folder)
    for stage, step in [("sft", 9), ("rl", 1), ("rl", 2), ("rl", 3)]:
        book.metrics(stage, step, {"loss": 1.0})
    book.rewind("metrics", stage="rl", step=1)
    rows = book.read("metrics", dict[str, Any])
    assert [(row["stage"], row["step"]) for row in rows] == [("sft", 9), ("rl", 1)]


def test_metrics_and_evaluations_reach_the_file_and_the_screen(folder: RunFolder) -> None:
    page = Page()
    book = journal(folder, page)
    from_numpy: Any = {"reward": np.float32(0.5), "lag": np.int64(1)}
    book.metrics("rl", 3, from_numpy)
    row = evaluation(split="ood/people-4")
    book.evaluation(row)
    stored = book.read("metrics", dict[str, Any])[0]
    assert (stored["stage"], stored["step"]) == ("rl", 3)
    assert (stored["reward"], stored["lag"]) == (0.5, 1)
    assert book.read("evaluations", Evaluation) == [row]
    assert book.read("evaluations", dict[str, Any])[0]["axis"] == "people-4"
    assert page.seen[-1] == ("evaluation", row)


# ----- stages and ledger


def test_a_finished_stage_stays_finished_for_the_next_process(folder: RunFolder) -> None:
    book = journal(folder)
    book.start("sft")
    assert not journal(folder).finished("sft")
    book.finish("sft")
    assert journal(folder).finished("sft")
    assert not journal(folder).finished("rl")


def test_sittings_of_a_stage_are_counted(folder: RunFolder) -> None:
    journal(folder).start("rl")
    journal(folder).start("rl")
    assert read_stages(folder.path)["rl"]["sittings"] == 2


def test_the_ledger_adds_up_over_processes(folder: RunFolder) -> None:
    from_numpy: Any = {"rollouts": 8, "generated_tokens": np.int64(100)}
    journal(folder).spend("rl", from_numpy)
    journal(folder).spend("rl", {"rollouts": 8, "problems": 1})
    assert read_ledger(folder.path) == {
        "rl": {"rollouts": 16, "generated_tokens": 100, "problems": 1}
    }


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seconds_count_open_stages_only_and_accumulate_over_sittings(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(2):
        ledger = Ledger(tmp_path, clock=clock)
        clock.now += 100  # between sittings, and before the stage opens
        ledger.open("rl")
        clock.now += 10
        ledger.tick()  # the process is killed after this
        clock.now += 3
    assert read_ledger(tmp_path)["rl"]["seconds"] == pytest.approx(20)
    ledger = Ledger(tmp_path, clock=clock)
    ledger.open("rl")
    clock.now += 5
    ledger.close("rl")
    clock.now += 50
    ledger.add("sft", {"rollouts": 1})
    assert read_ledger(tmp_path)["rl"]["seconds"] == pytest.approx(25)


# ----- checkpoints


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


# ----- full disks


FILL = """
import resource, sys
from pathlib import Path
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
class Silent:
    def __getattr__(self, name): return lambda *arguments: None
folder = RunFolder.resume(Path(sys.argv[1]), None)
journal = RunJournal(folder, Silent())
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    for n in range(100):
        journal.append("rows", {"n": n, "text": "x" * 900})
except Exception as error:
    print(type(error).__name__, getattr(error, "exit_code", None))
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_every_row_before_it_is_safe(folder: RunFolder) -> None:
    folder.close()
    output, trouble = python(FILL, str(folder.path)).communicate()
    kind, said = output.splitlines()
    assert kind == "DiskFullError 3", trouble
    assert "rows.jsonl" in said and "safe" in said and "run --resume" in said
    with RunFolder.resume(folder.path, None) as again:
        book = journal(again)
        rows = book.read("rows", dict[str, Any])
        assert [row["n"] for row in rows] == list(range(len(rows)))
        assert len(rows) > 10
        assert (folder.path / "rows.jsonl").read_bytes().endswith(b"\n")
        book.append("rows", {"n": len(rows)})
        assert len(book.read("rows", dict[str, Any])) == len(rows) + 1


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


# ----- single files


def test_a_failed_replacement_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_torn_line_longer_than_one_read_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"first\n" + b"x" * 200_000)
    append_line(path, "second")
    assert read_lines(path) == ["first", "second"]


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


def test_evaluations_keep_every_field(folder: RunFolder) -> None:
    journal(folder).evaluation(evaluation())
    row = json.loads(read_lines(folder.path / "evaluations.jsonl")[0])
    assert row == {**dataclasses.asdict(evaluation()), "axis": None}
