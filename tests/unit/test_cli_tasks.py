"""`tailor tasks`: every built-in task, a look at problems, and honest verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailor_rl.cli import main
from tailor_rl.tasks.registry import BUILT_IN

OWN_TASK = '''
from tailor_rl.types import Problem

class Letters:
    """Say the letter."""

    name = "letters"
    splits = ("train", "validation", "test")

    def __init__(self, *, seed=0, letters="ab"):
        self.letters = letters

    def size(self, split):
        return len(self.letters)

    def problem(self, split, index):
        letter = self.letters[index % len(self.letters)]
        return Problem(id=f"letters:{split}:{index}", prompt=f"Say {letter}.", answer=letter,
                       split=split, difficulty=1)

    def grade(self, problem, text):
        if "echo" in problem.prompt:
            raise KeyError(text)
        return float(text == problem.answer)

    def answer_text(self, problem):
        return problem.answer
'''


@pytest.fixture
def own_task(tmp_path: Path) -> str:
    (tmp_path / "letters.py").write_text(OWN_TASK)
    return f"{tmp_path}/letters.py:Letters"


def test_every_built_in_task_is_listed_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BUILT_IN)
    assert all(len(line.split()) > 3 for line in lines)
    assert main(["tasks", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(BUILT_IN)


def test_a_problem_is_shown_with_what_the_grader_says_of_good_and_bad_answers(
    own_task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "show", own_task, "letters=xyz", "--split", "test"]) == 0
    shown = capsys.readouterr().out
    verdicts = [line.split() for line in shown.partition("the grader on")[2].splitlines() if line]
    found = {" ".join(words[:2]): words[-2:] for words in verdicts}
    assert "Say x." in shown and "letters:test:0" in shown
    assert found["the shortest"] == ["correct", "1"]
    for bad in ("the same,", "another problem's", "the prompt,", "nothing: ''"):
        assert found[bad] == ["correct", "0"], bad


def test_a_failing_grader_is_shown_as_failing(
    own_task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "show", own_task, 'letters=["echo"]']) == 0
    assert "KeyError" in capsys.readouterr().out


def test_json_is_one_problem_a_line_and_no_more_than_there_are(
    own_task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "show", own_task, "--num", "9", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == ["letters:train:0", "letters:train:1"]
    assert {"prompt", "answer", "difficulty", "metadata", "family", "split"} <= rows[0].keys()


def test_the_task_of_a_recipe_is_shown_with_its_options(
    own_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('[task]\nname = "letters.py:Letters"\n[task.options]\nletters = "qrs"\n')
    assert main(["tasks", "show", str(recipe), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "q"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["knigts"], "did you mean 'knights'"),
        (["knights", "--split", "tset"], "did you mean 'test'"),
        (["knights", "peple=[3]"], "did you mean 'people'"),
        (["knights", "people"], "write key=value"),
        (["nowhere.py:Task"], "there is no file nowhere.py"),
        (["nowhere.toml"], "there is no recipe nowhere.toml"),
        (["no.such.module:Task"], "cannot import"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "show", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and len(err.splitlines()) == 1


def test_a_recipe_without_a_task_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text('student = "x"\n')
    assert main(["tasks", "show", f"{tmp_path}/r.toml"]) == 2
    assert "no [task] section" in capsys.readouterr().err
