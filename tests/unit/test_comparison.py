"""Paired comparison: hand-worked figures, what may not be compared, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.cli import main
from tailor_rl.comparison import MCNEMAR, SIGN_FLIP, compare, verdicts
from tailor_rl.errors import ConfigError
from tailor_rl.runs.folder import RunFolder
from tailor_rl.types import ProblemResult
from tests.problem_results import result
from tests.run_folders import resolved


def greedy_results(answers: str, **keywords: Any) -> list[ProblemResult]:
    return [result(i, greedy=float(c), **keywords) for i, c in enumerate(answers)]


def write(path: Path, results: Sequence[ProblemResult]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in results))
    return path


# ----- figures


def test_greedy_answers_that_only_one_solves_give_mcnemars_p() -> None:
    # 9 problems only B solves, 1 only A, 2 both, 3 neither.
    first = greedy_results("1" + "0" * 9 + "11" + "000")
    second = greedy_results("0" + "1" * 9 + "11" + "000")
    (found,) = compare(first, second)
    assert found.greedy is not None
    assert (found.greedy.only_first, found.greedy.only_second) == (1, 9)
    assert found.greedy.p == pytest.approx(22 / 1024)
    greedy, pass_1 = found.figures
    assert (greedy.first, greedy.second) == (pytest.approx(3 / 15), pytest.approx(11 / 15))
    assert (greedy.p, greedy.test, greedy.apart) == (found.greedy.p, MCNEMAR, True)
    assert (pass_1.difference.value, pass_1.p, pass_1.apart) == (0.0, 1.0, False)
    # Greedy comes first: B minus A is 8/15.
    assert verdicts(found)[0].startswith("test, greedy: B is above A by 53.3 points [")
    assert "not told apart" in verdicts(found)[1]


def test_siblings_are_flipped_together_and_mcnemar_is_not_believed() -> None:
    first = [result(i, greedy=0.0, family=f"f{i % 3}") for i in range(12)]
    second = [result(i, greedy=1.0, family=f"f{i % 3}") for i in range(12)]
    (found,) = compare(first, second)
    assert found.greedy is not None and found.greedy.families_repeat
    assert found.greedy.p < 0.001
    greedy = found.figures[0]
    assert (greedy.p, greedy.test) == (2 / 2**3, SIGN_FLIP)
    assert greedy.difference.low == greedy.difference.high == 1.0
    assert not greedy.apart  # three families prove nothing, though the bootstrap has no width


def test_pass_at_1_is_compared_problem_by_problem() -> None:
    # 0, .5, 1 against .5, .5, .5: the difference of means is 0, of problems .5, 0, -.5.
    first = [result(0, (0, 0)), result(1, (0, 1)), result(2, (1, 1))]
    second = [result(i, (0.0, 1.0)) for i in range(3)]
    (found,) = compare(first, second)
    (figure,) = found.figures
    assert (figure.metric, figure.first, figure.second) == ("pass@1", 0.5, 0.5)
    assert figure.difference.value == 0.0
    assert figure.difference.low == -0.5 and figure.difference.high == 0.5
    assert figure.p == 1.0
    assert found.greedy is None


def test_only_a_grade_of_1_is_solved() -> None:
    (found,) = compare([result(0, (0.9, 0.0))], [result(0, (1.0, 0.9))])
    assert (found.figures[0].first, found.figures[0].second) == (0.0, 0.5)


def test_swapping_a_and_b_turns_the_verdict_round() -> None:
    low = [result(i, (0, 0, 0, 1)) for i in range(40)]
    high = [result(i, (1, 1, 0, i % 2)) for i in range(40)]
    above, below = (verdicts(compare(*pair)[0])[0] for pair in ((low, high), (high, low)))
    assert "B is above A by 37.5 points [" in above and "p < 0.001" in above
    assert "B is below A by 37.5 points [" in below
    ends = [float(n) for n in above.split("[")[1].split("]")[0].split(",")]
    assert 0 < ends[0] < 37.5 < ends[1]


def test_splits_are_compared_apart_and_problems_of_one_only_are_counted() -> None:
    first = [result(i) for i in range(5)] + [result(0, split="ood/large")]
    second = [result(i) for i in range(2, 8)] + [result(0, split="ood/large")]
    test, large = compare(first, second)
    assert (test.split, test.only_in_first, test.only_in_second) == ("test", 2, 3)
    assert test.figures[0].num_problems == 3
    assert (large.split, large.only_in_first, large.only_in_second) == ("ood/large", 0, 0)


def test_problems_without_a_graded_sample_are_left_out_of_pass_at_1() -> None:
    first = [result(0, ()), result(1, (1,)), result(2, (0,))]
    (found,) = compare(first, [result(i, (1,)) for i in range(3)])
    assert found.figures[0].num_problems == 2


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        ([result(0)], [result(1)], "share no problem"),
        ([result(0)], [result(0, split="ood/large")], "share no problem"),
        ([result(0), result(0)], [result(0)], "A has addition:test:0 of test twice"),
        ([result(0, family="x")], [result(0, family="y")], "family 'x' and 'y'"),
        ([result(0, difficulty=3)], [result(0)], "difficulty 3 and 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    first: list[ProblemResult], second: list[ProblemResult], part: str
) -> None:
    with pytest.raises(ConfigError, match=part):
        compare(first, second)


# ----- the command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with results of one stage, and two files of results, in the current folder."""
    monkeypatch.chdir(tmp_path)
    with RunFolder.create(tmp_path / "runs", resolved(tmp_path), name="demo") as folder:
        write(folder.path / "results" / "eval-sft.jsonl", [result(i, (0, 0)) for i in range(30)])
    (tmp_path / "recipe.toml").unlink()
    write(tmp_path / "b.jsonl", [result(i, (1, i % 2), greedy=1.0) for i in range(32)])
    write(tmp_path / "other.jsonl", [result(0, split="ood/large")])
    write(tmp_path / "empty.jsonl", [])
    return tmp_path


def test_a_stage_of_a_run_is_compared_with_a_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "demo:sft", "b.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "test: 30 problems in both, 2 only in B left out" in shown
    assert "test, pass@1: B is above A by 75.0 points [" in shown


def test_programs_get_the_same_figures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs/demo:sft", "b.jsonl", "--split", "test", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["splits"]
    assert (row["split"], row["only_in_first"], row["only_in_second"]) == ("test", 0, 2)
    (figure,) = row["figures"]
    assert figure["difference"]["value"] == 0.75 and figure["apart"] is True
    assert figure["test"] == SIGN_FLIP


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["demo:rl", "b.jsonl"], "give demo:sft"),
        (["demo", "b.jsonl"], "give demo:sft"),
        (["runs/demo", "b.jsonl"], "give demo:sft"),
        (["nothing:rl", "b.jsonl"], "there is no run folder"),
        (["nothing", "b.jsonl"], "nothing is no evaluation"),
        (["b.jsonl", "no.jsonl"], "there is no no.jsonl"),
        (["b.jsonl", "empty.jsonl"], "holds no results"),
        (["b.jsonl", "broken.jsonl"], "broken.jsonl, line 1 is no result of a problem"),
        (["b.jsonl", "other.jsonl"], "share no problem"),
        (["b.jsonl", "b.jsonl", "--split", "tets"], "did you mean 'test'?"),
    ],
)
def test_wrong_input_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    (here / "broken.jsonl").write_text('{"stage": "rl"}\n')
    assert main(["compare", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ") and output.err.count("\n") == 1
    assert part in output.err


def test_a_torn_last_line_is_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (here / "b.jsonl").open("a") as file:
        file.write('{"stage": "rl", "ste')
    assert main(["compare", "demo:sft", "b.jsonl"]) == 0
