"""`tailor primitives`: libraries shown, merged and compared; prompts copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tailor_rl.cli_primitives import app
from tailor_rl.errors import ConfigError
from tailor_rl.primitives.library import read_library, write_library
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Primitive

ADVICE = (
    "Restate every claim in your own words before you reason about it.",
    "Work backwards from what the question asks for.",
    "Draw up a table of all the possibilities and strike out the impossible ones.",
)

Tailor = Callable[..., str]


@pytest.fixture
def tailor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tailor:
    """`tailor primitives ...` in an empty folder, on a terminal of 100 columns: what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: str) -> str:
        get_command(app).main(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return command


def library(folder: str, *instructions: str, name: str = "Some name") -> None:
    write_library(
        Path(folder),
        [
            Primitive(
                f"primitive-{i:03d}", name, instruction, f"Pattern {instruction[:8]}.",
                ("a", "b"), "some-teacher", 0.8, "discover@12345678",
            )
            for i, instruction in enumerate(instructions, 1)
        ],
    )  # fmt: skip


def rows(path: str, *lines: dict[str, Any]) -> None:
    Path(path).write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def demonstration(primitive_id: str | None, reward: float) -> dict[str, Any]:
    return {
        "id": "x", "problem_id": "p", "prompt": "?", "trace": "!", "reward": reward,
        "origin": "teacher", "primitive_id": primitive_id, "prompt_tokens": 1,
        "completion_tokens": 1,
    }  # fmt: skip


def test_a_run_shows_its_primitives_with_their_use_and_what_was_refused(tailor: Tailor) -> None:
    library("runs/demo", *ADVICE)
    used = [("primitive-001", 1.0), ("primitive-001+primitive-003", 0.0), (None, 1.0)]
    rows("runs/demo/demonstrations.jsonl", *(demonstration(*use) for use in used))
    verdicts = [{"accepted": False, "reason": "url"}] * 2 + [{"accepted": True, "reason": ""}]
    rows("runs/demo/screening.jsonl", *verdicts, {"accepted": False, "reason": "injection"})
    shown = tailor("show", "demo")
    assert "primitive-003" in shown and "some-teacher" in shown and "2 attempts" in shown
    assert shown.count("2 traces, 1") == 1 and shown.count("0 traces, 0") == 1
    assert "3 primitives against 3 error patterns" in shown
    assert "refused by the screen: 2 url, 1 injection" in shown
    found = json.loads(tailor("show", "runs/demo", "--json"))
    assert [(row["traces"], row["right"]) for row in found["primitives"]] == [
        (2, 1),
        (0, 0),
        (1, 0),
    ]
    assert found["primitives"][0]["prompt_version"] == "discover@12345678"
    assert len(found["patterns"]) == 3 and found["refused"] == {"url": 2, "injection": 1}


def test_a_library_that_no_run_used_says_nothing_of_use(tailor: Tailor) -> None:
    library("mine", *ADVICE[:1])
    assert "traces" not in tailor("show", "mine/primitives.jsonl")
    assert "traces" not in json.loads(tailor("show", "mine", "--json"))["primitives"][0]


@pytest.mark.parametrize("command", [("show", "mine"), ("diff", "mine", "other")])
def test_what_a_teacher_wrote_cannot_steer_a_terminal(
    tailor: Tailor, command: tuple[str, ...]
) -> None:
    hostile = "Think \x1b]0;title\x07\x1b[31mred[/bold] [link=x]on\u202e\x9b and on."
    library("mine", hostile, name="[red]\x1b[2J")
    library("other", ADVICE[0])
    for shown in (tailor(*command), tailor(*command, "--json")):
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)
    assert "[link=x]on" in " ".join(tailor(*command).split())


def test_a_merge_writes_a_library_and_says_what_it_dropped(tailor: Tailor) -> None:
    library("one", *ADVICE[:2])
    library("two", ADVICE[1].upper(), ADVICE[2])
    said = tailor("merge", "one", "two/primitives.jsonl", "--out", "both")
    assert "dropped two/primitive-001: 100 of 100 like one/primitive-002" in said
    assert said.endswith("3 of 4 primitives\n")
    assert [p.parents for p in read_library(Path("both"))] == [
        ("one/primitive-001",), ("one/primitive-002",), ("two/primitive-002",)
    ]  # fmt: skip
    assert Path("both/primitives.md").is_file()
    found = json.loads(tailor("merge", "one", "two", "--out", "both-2", "--json"))
    assert found["kept"] == 3 and found["dropped"][0]["kept_id"] == "primitive-002"


def test_libraries_of_the_same_name_are_told_apart(tailor: Tailor) -> None:
    library("a/run", ADVICE[0])
    library("b/run", ADVICE[1])
    tailor("merge", "a/run", "b/run", "--out", "both")
    assert [p.parents[0] for p in read_library(Path("both"))] == [
        "run/primitive-001", "run#2/primitive-001"
    ]  # fmt: skip


def test_a_merge_replaces_nothing(tailor: Tailor) -> None:
    library("one", ADVICE[0])
    library("two", ADVICE[1])
    before = Path("one/primitives.jsonl").read_bytes()
    with pytest.raises(ConfigError, match="--out one holds a library already"):
        tailor("merge", "one", "two", "--out", "one")
    Path("file").write_text("")
    with pytest.raises(ConfigError, match="--out file is a file"):
        tailor("merge", "one", "two", "--out", "file")
    assert Path("one/primitives.jsonl").read_bytes() == before


def test_a_difference_is_shown_by_side(tailor: Tailor) -> None:
    library("one", ADVICE[0], ADVICE[1])
    library("two", ADVICE[0].replace("claim", "statement"), ADVICE[2])
    shown = tailor("diff", "one", "two")
    assert "0 with the same words, 1 alike, 1 only in A, 1 only in B" in shown
    assert "only in A" in shown and "Work backwards" in shown
    found = json.loads(tailor("diff", "one", "two", "--json"))
    assert found["alike"][0]["likeness"] > 80
    assert found["only_second"][0]["instruction"] == ADVICE[2]


@pytest.mark.parametrize(
    "command", [("show", "nowhere"), ("merge", "nowhere", "--out", "o"), ("diff", "a", "nowhere")]
)
def test_a_missing_library_is_one_sentence(tailor: Tailor, command: tuple[str, ...]) -> None:
    library("a", ADVICE[0])
    with pytest.raises(ConfigError, match="there is no library nowhere"):
        tailor(*command)
    assert not Path("o").exists()


def test_the_prompts_are_copied_to_be_edited(tailor: Tailor) -> None:
    said = tailor("prompts", "mine")
    assert "mine/discover.md" in said and 'prompts.folder="mine"' in said
    assert Prompts("mine").versions == Prompts().versions
    with pytest.raises(ConfigError, match=r"mine/discover\.md exists already"):
        tailor("prompts", "mine")
