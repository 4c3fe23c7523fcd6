"""`tailor measures`: which sets are found, what is refused, what is printed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.cli_measures import read_judge, show_measures
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.measures.habits import HABITS
from tailor_rl.measures.judge import Judgement
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tests.measures_fakes import demonstration, reply
from tests.sample_run import write_rows

SET = [demonstration(i, f"So it is {i}. Go back.", prompt="?") for i in range(3)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/demo", "runs/other", "old/runs/demo"):
        write_rows(tmp_path / name / "demonstrations.jsonl", SET)
        (tmp_path / name / "config.json").write_text("{}")
    write_rows(tmp_path / "mine.jsonl", SET[:2])
    return tmp_path


def show(*paths: str, **changes: Any) -> None:
    asked = {"student": None, "embedder": "words", "threads": 1, "seed": 0, "as_json": True}
    show_measures(paths, runs_dir=Path("runs"), **{**asked, **changes})


def test_sets_are_found_by_name_path_and_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show("demo", "runs/other", "mine.jsonl")
    found = json.loads(capsys.readouterr().out)
    sets = [(each["name"], each["num_traces"]) for each in found["sets"]]
    assert sets == [("demo", 3), ("other", 3), ("mine", 2)]
    assert found["shared"]["mine"]["demo"] == 1.0


def test_sets_of_one_name_are_told_apart_by_their_folders(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "runs").rename(here / "new")
    show("new/demo", "old/runs/demo")
    names = [each["name"] for each in json.loads(capsys.readouterr().out)["sets"]]
    assert names == ["new/demo", "runs/demo"]


def test_tables_are_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show("demo", "mine.jsonl", as_json=False)
    out = capsys.readouterr().out
    for part in ("the sets", "diversity", "coverage", "habits a trace", "mine"):
        assert part in out


@pytest.mark.parametrize(
    ("paths", "changes", "part"),
    [
        (["nothing"], {}, "there is no run folder"),
        (["no.jsonl"], {}, "there is no no.jsonl"),
        (["empty"], {}, "has no demonstrations.jsonl"),
        (["none.jsonl"], {}, "holds no demonstration"),
        (["broken.jsonl"], {}, "broken.jsonl, line 2 is no demonstration"),
        (["demo", "runs/demo"], {}, "more than once"),
        (["demo"], {"student": Path("nobody")}, "neither a folder"),
        (["demo"], {"embedder": "nobody"}, "is no folder"),
    ],
)
def test_wrong_input_is_one_sentence(
    here: Path, paths: list[str], changes: dict[str, Any], part: str
) -> None:
    (here / "empty").mkdir()
    (here / "none.jsonl").write_text("")
    (here / "broken.jsonl").write_text((here / "mine.jsonl").read_text().replace("d1", '"'))
    with pytest.raises((ConfigError, RunFolderError)) as caught:
        show(*paths, **changes)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_a_judge_of_a_recipe_counts_besides_the_patterns(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = here / "judge.toml"
    recipe.write_text(
        'student = "s"\n[task]\nname = "knights"\n'
        '[measures]\njudge = "teacher"\njudged_traces = 2\n'
    )
    asked: list[TeacherRequest] = []

    class Judge:
        name = "judge"

        async def complete(self, request: TeacherRequest) -> TeacherReply:
            asked.append(request)
            return reply("There are some. <count>3</count>")

    def ask_judge(cfg: RunConfig, work: Any, *, book: Path) -> Judgement:
        assert book == here / "evaluations" / "judge.sqlite"
        made: Judgement = asyncio.run(work(Judge()))
        return made

    show("demo", judge=read_judge(recipe), ask_judge=ask_judge)
    (found,) = json.loads(capsys.readouterr().out)["sets"]
    assert found["judged_habits"] == dict.fromkeys(HABITS, 3.0)
    assert len(asked) == 2 * len(HABITS)
    assert {request.teacher for request in asked} == {"teacher"}


def test_a_recipe_without_a_judge_is_refused_in_one_sentence(here: Path) -> None:
    recipe = here / "none.toml"
    recipe.write_text('student = "s"\n[task]\nname = "knights"\n')
    with pytest.raises(ConfigError, match=r"names no judge: set measures\.judge"):
        read_judge(recipe)
