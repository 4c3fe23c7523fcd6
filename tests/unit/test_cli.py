"""The command line: wrong input is one sentence and leaves nothing; an end says how to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from tailor_rl.cli import main
from tailor_rl.cli_run import Prepared, Request, execute, make_request
from tailor_rl.cli_status import as_text, read_status
from tailor_rl.config.describe import known_keys
from tailor_rl.config.load import read_toml, resolve_config
from tailor_rl.config.paths import PROJECT_ROOT
from tailor_rl.errors import ConfigError, EngineError, TeacherError
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.tasks.registry import load_task
from tests.tiny import make_student

ROOT = Path(__file__).resolve().parents[2]
RECIPE = 'student = "organisation/student"\n[task]\nname = "knights"\n'


class Silent:
    """A screen for nobody."""

    def stage(self, name: str) -> None: ...
    def progress(self, done: int, total: int, note: str) -> None: ...
    def metrics(self, stage: str, step: int, metrics: Any) -> None: ...
    def evaluation(self, row: Any) -> None: ...
    def log(self, line: str) -> None: ...


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes of a run, a study and a student alone, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "study.toml").write_text("[arms.one]\n")
    (tmp_path / "maker.toml").write_text(
        '[training]\ntokens = 1\n[corpus]\nmaker = "tailor_rl.nowhere:Upbringing"\n'
    )
    return tmp_path


def prepared(here: Path, **changes: Any) -> Prepared:
    """What `prepare` makes of the recipe in `here`, without a look at machine or student."""
    request = Request(
        recipe=here / "recipe.toml",
        overrides=(),
        name="a",
        resume=None,
        runs_dir=here / "runs",
        command=("tailor",),
    )
    request = replace(request, **changes)
    return Prepared(
        request=request,
        resolved=resolve_config(here / "recipe.toml", request.overrides, command=["tailor"]),
        task=load_task("knights", seed=0, options={}),
        machine=None,
        notes=(),
    )


def ended(here: Path, launch: Callable[..., None], **changes: Any) -> int:
    """The exit code of a run whose launch does what `launch` does."""
    with pytest.raises(typer.Exit) as caught:
        execute(prepared(here, **changes), launch, plain=True)
    return int(caught.value.exit_code)


# ----- wrong input


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run"], "no recipe was named"),
        (["run", "no.toml"], "there is no recipe no.toml"),
        (["run", "recipe.toml", "rl.group_sise=2"], 'did you mean "rl.group_size"?'),
        (["run", "recipe.toml", "rl.group_size=two"], "a whole number of at least 1"),
        (["run", "recipe.toml", "oops"], "is no override"),
        (["run", "recipe.toml", "rl.max_tokens=4000"], "rollout.max_model_len=512"),
        (["run", "recipe.toml", "student=no/such/folder"], "student = 'no/such/folder'"),
        (["run", "recipe.toml", "rollout.engines=4096"], "cores"),
        (["run", "recipe.toml", "rollout.gpus_per_engine=99"], "GPUs"),
        (["run", "recipe.toml", "task.name=nights"], "knights"),
        (["run", "recipe.toml", "task.options.peple=[2]"], "task.options.peple"),
        (["run", "recipe.toml", 'evaluation.ood_splits=["ood/x"]'], "ood/x"),
        (["run", "recipe.toml", "--name", "a/b"], "no plain folder name"),
        (["run", "recipe.toml", "--runs-dir", "recipe.toml"], "--runs-dir"),
        (["run", "recipe.toml", "--resume", "x", "--name", "y"], "do not go together"),
        (["run", "--resume", "nothing"], "there is no run folder"),
        (["run", "recipe.toml", "--nmae", "x"], "--nmae"),
        (["report", "nothing"], "there is no run folder"),
        (["status", "nothing"], "there is no run folder"),
        (["show-config", "no.toml"], "there is no recipe no.toml"),
        (["show-config"], "CONFIG"),
        (["submit", "recipe.toml"], "--address"),
        (["student", "build", "no.toml", "--out", "x"], "there is no student recipe no.toml"),
        (
            ["student", "build", "recipe.toml", "--out", "x"],
            "recipe.toml is no recipe of a student",
        ),
        (["student", "build", "maker.toml", "--out", "x"], "tailor_rl.nowhere:Upbringing makes no"),
        (["tasks", "show", "study.toml"], "study.toml is a study of many runs: name the recipe"),
        (["run", "recipe.toml", "reward.weights={}"], "a section of keys numbering at least 1"),
        (["student", "build", "recipe.toml", "--out", "."], "is not empty"),
        (["rnu"], "rnu"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    before = sorted(here.rglob("*"))
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ") and output.err.count("\n") == 1
    assert part in output.err
    assert sorted(here.rglob("*")) == before


def test_a_taken_name_is_refused_before_anything_starts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "runs" / "a").mkdir(parents=True)
    assert main(["run", "recipe.toml", "--name", "a"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_module_itself_exits_with_2_and_no_traceback(here: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tailor_rl", "run", str(here / "no.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr


def test_with_resume_the_first_word_may_be_an_override(here: Path) -> None:
    request = make_request(
        "cluster.address=local",
        ["seed=1"],
        name=None,
        resume="a",
        runs_dir=Path("runs"),
        command=(),
    )
    assert request.recipe is None
    assert request.overrides == ("cluster.address=local", "seed=1")
    assert request.resume == Path("runs/a")


def test_another_recipe_on_resume_is_refused_before_anything_starts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder.create(here / "runs", prepared(here).resolved, name="a"):
        pass
    assert main(["run", "--resume", "runs/a", "seed=5"]) == 2
    assert "seed is 0 there and 5 here" in capsys.readouterr().err


# ----- what only looks


def test_a_dry_run_shows_recipe_and_plan_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_student(here / "student")
    before = sorted(here.rglob("*"))
    overrides = ["student=student", "rollout.max_model_len=1024", "seed=7"]
    assert main(["run", "recipe.toml", *overrides, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "seed = 7\n" in shown
    assert "rollout engines  1 x 1 CPU thread" in shown
    assert "teacher" in shown and "12,800 in RL" in shown
    assert sorted(here.rglob("*")) == before
    assert main(["run", "recipe.toml", *overrides[:1], "--dry-run"]) == 2
    assert "rollout.max_model_len=512" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["demo", "countdown", "igsm-small"])
def test_every_recipe_for_a_laptop_passes_its_checks(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = PROJECT_ROOT / f"recipes/{recipe}.toml"
    assert main(["run", str(path), "--dry-run"]) == 0, capsys.readouterr().err
    assert f"students/{read_toml(path)['student'].rpartition('/')[2]}" in capsys.readouterr().out


def test_keys_says_of_each_what_it_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{key} = " in f"\n{printed}" or f"[{key}]" in printed for key in known_keys())
    assert main(["keys", "rl.group_size"]) == 0
    assert capsys.readouterr().out.startswith("rl.group_size = 8: a whole number of at least 1")
    assert main(["keys", "rl.group_sise"]) == 2
    assert 'did you mean "rl.group_size"?' in capsys.readouterr().err


def test_show_config_prints_what_a_run_would_use(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show-config", "recipe.toml", "rl.group_size=4", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["config"]["rl"]["group_size"] == 4
    assert record["provenance"]["overrides"] == ["rl.group_size=4"]
    assert main(["show-config", "recipe.toml", "rl.group_size=4"]) == 0
    assert "group_size = 4\n" in capsys.readouterr().out


def test_tasks_are_listed_also_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--json"]) == 0
    assert "knights" in json.loads(capsys.readouterr().out)
    assert main(["tasks"]) == 0
    assert capsys.readouterr().out.startswith("knights ")


def test_no_arguments_are_a_cry_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "show-config" in capsys.readouterr().out


def test_status_tells_running_from_killed_from_finished(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder.create(here / "runs", prepared(here).resolved, name="a") as folder:
        book = RunJournal(folder, Silent())
        book.start("rl")
        book.metrics("rl", 3, {"reward": 0.25})
        book.spend("rl", {"rollouts": 1024})
        status = read_status(folder.path)
        assert (status.state, status.pid) == ("running", os.getpid())
    assert main(["status", "a", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "killed" and found["pid"] is None
    assert found["stages"] == {"rl": "begun"}
    assert found["spent"]["rl"]["rollouts"] == 1024
    text = as_text(read_status(here / "runs" / "a"))
    assert "rl step 3, reward 0.25" in text and "rollouts 1,024" in text


# ----- how a run ends


def test_a_finished_run_leaves_a_report_and_frees_its_folder(here: Path) -> None:
    seen = []

    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        seen.append((config, folder.path))
        RunJournal(folder, screen).start("rl")

    execute(prepared(here), launch, plain=True)
    folder = here / "runs" / "a"
    assert seen == [(prepared(here).resolved.config, folder)]
    assert (folder / "report.html").is_file()
    assert read_status(folder).state == "finished"
    execute(prepared(here, resume=folder), launch, plain=True)
    assert len(seen) == 2


def test_a_component_that_dies_is_a_sentence_a_traceback_in_the_folder_and_a_way_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        raise EngineError("engine 1 died:\n\x1b[31mout of memory")

    assert ended(here, launch) == 3
    said = capsys.readouterr().err
    assert said == (
        "error: engine 1 died: out of memory\ngo on with: python -m tailor_rl run --resume runs/a\n"
    )
    assert "Traceback" in (here / "runs" / "a" / "error.log").read_text()
    status = read_status(here / "runs" / "a")
    assert (status.state, status.error) == ("failed", "engine 1 died: out of memory")


def test_a_defect_names_its_log_and_exits_with_1(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        raise ZeroDivisionError("division by zero")

    assert ended(here, launch) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("\n") == 2
    assert "division by zero (ZeroDivisionError; see" in said and "error.log" in said
    assert "ZeroDivisionError" in (here / "runs" / "a" / "error.log").read_text()


@pytest.mark.parametrize(
    "error", [ConfigError("too small"), TeacherError("no key", before_start=True)]
)
def test_wrong_input_found_by_the_launcher_leaves_no_folder(here: Path, error: Exception) -> None:
    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        execute(prepared(here), launch, plain=True)
    assert not (here / "runs" / "a").exists()


def test_wrong_input_on_resume_keeps_the_folder(here: Path) -> None:
    with RunFolder.create(here / "runs", prepared(here).resolved, name="a") as folder:
        path = folder.path

    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        raise ConfigError("too small")

    assert ended(here, launch, resume=path) == 2
    assert (path / "config.json").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_run_and_says_how_to_go_on(
    here: Path, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    cleaned = []
    before = signal.getsignal(signal.SIGTERM)

    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleaned.append(True)

    assert ended(here, launch) == code
    assert cleaned == [True]
    said = capsys.readouterr().err
    assert said == "stopped; go on with: python -m tailor_rl run --resume runs/a\n"
    assert read_status(here / "runs" / "a").state == "stopped"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_background_job_that_ignores_ctrl_c_still_ends_on_sigterm(here: Path) -> None:
    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert ended(here, launch) == 143
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("code", [15, 143])
def test_an_exit_made_of_sigterm_by_others_is_one(here: Path, code: int) -> None:
    def launch(config: Any, folder: RunFolder, screen: Any) -> None:
        raise SystemExit(code)

    assert ended(here, launch) == 143
