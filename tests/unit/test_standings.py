"""Tables by split, difficulty and axis: hand-worked figures, and the same ones in every form."""

from __future__ import annotations

import pytest

from tailor_rl.sheets import Sheet, print_sheets, to_markdown
from tailor_rl.standings import (
    GREEDY,
    PASS_1,
    Standing,
    make_gaps,
    make_standings,
    powers_of_two,
    to_rows,
    to_sheets,
)
from tailor_rl.statistics import difference_of_independent, wilson_interval
from tailor_rl.types import Interval, ProblemResult
from tests.problem_results import result


def standings(results: list[ProblemResult], samples: int = 2) -> list[Standing]:
    return make_standings(results, samples=samples, seed=0, temperature=1.0)


# test: difficulty 2 with 0 and 1 of 2 right, difficulty 3 with 2 of 2; ood: 0 of 2 twice.
RESULTS = [
    result(0, (0, 0), greedy=0.0),
    result(1, (0, 1), greedy=1.0),
    result(2, (1, 1), greedy=1.0, difficulty=3),
    result(0, (0, 0), greedy=0.0, split="ood/large", difficulty=4),
    result(1, (0, 0), greedy=1.0, split="ood/large", difficulty=4),
]


def test_pass_at_k_is_shown_for_powers_of_two_and_for_all_samples() -> None:
    assert powers_of_two(1) == (1,)
    assert powers_of_two(8) == (1, 2, 4, 8)
    assert powers_of_two(6) == (1, 2, 4, 6)


def test_figures_equal_those_worked_out_by_hand() -> None:
    found = {(s.part, s.split, s.difficulty): s.figures for s in standings(RESULTS)}
    assert list(found) == [
        ("split", "test", None),
        ("difficulty", "test", 2),
        ("difficulty", "test", 3),
        ("split", "ood/large", None),
        ("difficulty", "ood/large", 4),
    ]
    whole = found["split", "test", None]
    assert whole[PASS_1].value == pytest.approx((0 + 0.5 + 1) / 3)
    assert whole["pass@k", 2].value == pytest.approx((0 + 1 + 1) / 3)
    assert whole[GREEDY].value == pytest.approx(2 / 3)
    assert found["difficulty", "test", 2][PASS_1].value == pytest.approx(0.25)
    assert found["difficulty", "test", 2][GREEDY].num_problems == 2
    hard = found["difficulty", "test", 3][PASS_1]
    wilson = wilson_interval(1, 1)
    assert (hard.value, hard.low, hard.high) == (1.0, wilson.low, wilson.high)


def test_an_axis_is_measured_from_test() -> None:
    gaps = {(gap.metric, gap.k): gap for gap in make_gaps(standings(RESULTS))}
    greedy = gaps["greedy", 1]
    assert greedy.axis == "large"
    assert greedy.gap == difference_of_independent(wilson_interval(2, 3), wilson_interval(1, 2))
    assert gaps["accuracy", 1].gap.value == pytest.approx(-0.5)
    assert make_gaps(standings(RESULTS[3:])) == []  # nothing to measure from


def test_every_form_holds_the_same_figures() -> None:
    found = standings(RESULTS)
    rows = to_rows(found)
    assert {row["part"] for row in rows} == {"split", "difficulty", "axis"}
    axis = [row for row in rows if row["part"] == "axis" and row["metric"] == "greedy"]
    assert [(row["axis"], row["value"]) for row in axis] == [("large", 0.5)]
    assert axis[0]["gap"] == pytest.approx(0.5 - 2 / 3)
    sheets = {sheet.title: sheet for sheet in to_sheets(found)}
    test = sheets["test: 3 problems, 2 samples each at temperature 1"]
    assert [row[:2] for row in test.rows] == [
        ("greedy", "66.7"), ("pass@1", "50.0"), ("pass@2", "66.7"),
    ]  # fmt: skip
    assert test.rows[0][3] == "Wilson" and test.rows[1][3] == "bootstrap over families"
    assert test.note.startswith("3.0 tokens a sample, 0.0 % truncated, entropy 0.500 nats")
    levels = sheets["by difficulty"].rows
    names = [row[:2] for row in levels if row[0]]
    assert names == [("test, 2", "2"), ("test, 3", "1"), ("ood/large, 4", "2")]
    assert [row[2:4] for row in levels[:3]] == [
        ("greedy", "50.0"), ("pass@1", "25.0"), ("pass@2", "50.0"),
    ]  # fmt: skip
    axes = sheets["by out-of-distribution axis"].rows
    assert [row[:3] for row in axes] == [
        ("large", "greedy", "50.0"), ("", "pass@1", "0.0"), ("", "pass@2", "0.0"),
    ]  # fmt: skip
    assert axes[1][3].startswith("-50.0 [")


def test_families_that_repeat_are_counted() -> None:
    (title, *_) = (s.title for s in to_sheets(standings([result(i, family="f") for i in range(4)])))
    assert title == "test: 4 problems of 1 families, 2 samples each at temperature 1"


def test_problems_of_which_nothing_could_be_graded_have_no_figures() -> None:
    found = standings([result(0, ())])
    assert [standing.figures for standing in found] == [{}, {}]
    assert to_sheets(found) == []
    assert to_rows(found) == []


def test_a_sheet_is_safe_in_a_terminal_and_in_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet("a|b", ("", "%"), (("\x1b[31mred\x1b[0m|x", "1"),), note="n")
    assert to_markdown([sheet]) == "**a\\|b**\n\n|  | % |\n|:--|--:|\n| red\\|x | 1 |\n\nn\n"
    hostile = Sheet(r"a\|b <b> [x](http://e)", ("",), ())
    assert to_markdown([hostile]).startswith(r"**a\\\|b \<b\> \[x\](http:/\/e)**")
    print_sheets([sheet])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "red|x" in shown


def test_the_gap_of_a_figure_to_itself_is_nothing() -> None:
    same = Interval(0.4, 0.3, 0.5)
    gap = difference_of_independent(same, same)
    assert gap.value == 0 and gap.low == pytest.approx(-gap.high)
