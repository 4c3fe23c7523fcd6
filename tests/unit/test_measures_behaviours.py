"""The report on what RL can amplify, from graded answers."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from tailor_rl.measures.answers import choose_judged
from tailor_rl.measures.behaviours import BehaviourReport, make_report, missing_habits
from tailor_rl.measures.behaviours_table import to_sheets, verdicts
from tailor_rl.measures.forecast import forecast_gain
from tailor_rl.measures.habits import HABITS
from tailor_rl.measures.judge import Judgement
from tailor_rl.types import ProblemResult
from tests.measures_fakes import answer
from tests.problem_results import result

FOUR = [result(0, (1.0, 1.0)), result(1, (1.0, 0.0)), result(2, (0.0, 1.0)), result(3, (0.0, 0.0))]


def report(results: list[ProblemResult] = FOUR, **changes) -> BehaviourReport:
    known = {"answers": [answer(i, "Go back.") for i in range(4)], "k": 2, "seed": 0}
    asked = {"subject": "demo-sft", "temperature": 1.0, **known, **changes}
    return make_report(results, **asked)


def test_a_report_by_hand() -> None:
    """pass@1 (1 + 1/2 + 1/2 + 0) / 4, pass@2 3/4, mixed 2/4: (3/4 - 1/2) x 1/2."""
    found = report()
    assert (found.pass_1.value, found.pass_k.value, found.mixed.value) == (0.5, 0.75, 0.5)
    assert (found.all_right, found.none_right) == (0.25, 0.25)
    assert (found.num_problems, found.num_families, found.entropy) == (4, 4, 0.5)
    assert found.forecast.value == pytest.approx(0.125)
    assert found.forecast.low <= 0.125 <= found.forecast.high


@pytest.mark.parametrize("grades", [(1.0, 1.0), (0.0, 0.0), (0.4, 0.9)])
def test_without_mixed_groups_nothing_is_forecast(grades: tuple[float, ...]) -> None:
    found = forecast_gain([result(i, grades) for i in range(5)], k=2, seed=0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_doubling_every_family_changes_neither_forecast_nor_its_interval() -> None:
    """Families are resampled as wholes: siblings add no information."""
    once = [replace(each, family=str(i)) for i, each in enumerate(FOUR * 5)]
    assert forecast_gain([*once, *once], k=2, seed=3) == forecast_gain(once, k=2, seed=3)


def test_problems_with_too_few_graded_answers_are_left_out_and_counted() -> None:
    found = report([*FOUR, replace(result(4, (1.0,)), ungraded=1)])
    assert (found.num_problems, found.num_left_out, found.ungraded) == (4, 1, 1)
    assert found.pass_1.value == 0.5
    with pytest.raises(ValueError, match="none of 1 problems has the 2 graded answers"):
        report([result(0, (1.0,))])


def test_a_habit_is_missing_when_it_is_surely_rarer_than_one_answer_in_ten() -> None:
    rows = {row.habit: row for row in report().habits}
    assert rows["backtracking"].mean == 1.0 and rows["backtracking"].verdict == "present"
    assert rows["verification"].verdict == "unclear"  # four answers cannot tell
    many = [answer(i, "Go back." if i else "Sub-goal: 3.") for i in range(100)]
    found = report([result(i) for i in range(100)], answers=many)
    assert {row.habit: row.verdict for row in found.habits} == {
        "verification": "missing",
        "backtracking": "present",
        "subgoal_setting": "missing",
        "backward_chaining": "missing",
    }
    assert missing_habits(found) == ("verification", "subgoal_setting", "backward_chaining")
    assert "verification, subgoal setting, backward chaining" in verdicts(found)[0]


def test_answers_of_one_problem_are_not_independent() -> None:
    """Eight answers each to ten problems: the interval is that of ten, not of eighty."""
    texts = [answer(i % 10, "Go back." if i % 10 < 5 else "") for i in range(80)]
    share = report([result(i) for i in range(10)], answers=texts).habits[1].share
    assert share is not None and share.value == 0.5
    assert share.high - share.low > 0.5


def test_without_texts_habits_are_unknown_and_the_rest_stands() -> None:
    found = report(answers=[])
    assert {row.verdict for row in found.habits} == {"unknown"}
    assert missing_habits(found) == () and found.forecast.value == pytest.approx(0.125)
    assert to_sheets(found)


def test_a_judge_is_believed_before_patterns_and_its_agreement_is_told() -> None:
    answers = [answer(i, "Go back.") for i in range(100)]
    counts = tuple({**dict.fromkeys(HABITS, 0), "verification": None} for _ in answers)
    found = report(
        [result(i) for i in range(100)],
        answers=answers,
        judged=answers,
        judgement=Judgement("judge-1", counts, 100, 0),
    )
    assert missing_habits(found) == ("backtracking", "subgoal_setting", "backward_chaining")
    assert found.judged_habits[0].verdict == "unknown"
    assert set(found.agreement) == set(HABITS) - {"verification"}
    assert found.agreement["backtracking"].same_presence == 0.0
    assert found.agreement["subgoal_setting"].same_count == 1.0
    titles = [sheet.title for sheet in to_sheets(found)]
    assert titles[-2:] == [
        "habits in 100 answers, by the judge judge-1",
        "agreement of patterns and judge",
    ]


@pytest.mark.parametrize(
    ("grades", "advice"), [((0.0, 0.0), "choose easier"), ((1.0, 1.0), "choose harder")]
)
def test_few_mixed_groups_are_said_with_what_to_do(grades: tuple[float, ...], advice: str) -> None:
    found = verdicts(report([result(i, grades) for i in range(60)]))
    assert any(advice in line for line in found)


def test_answers_that_are_cut_off_are_said() -> None:
    cut = [replace(each, truncated=(True, False)) for each in FOUR]
    assert any("hit the length limit" in line for line in verdicts(report(cut)))
    assert not any("hit the length limit" in line for line in verdicts(report()))


def test_every_table_has_rows_as_long_as_its_head() -> None:
    for sheet in to_sheets(report()):
        assert {len(row) for row in sheet.rows} == {len(sheet.columns)}


def test_a_judge_reads_answers_to_as_many_problems_as_it_can() -> None:
    answers = [answer(i // 2, f"{i}") for i in range(6)]
    assert [each.text for each in choose_judged(answers, 4)] == ["0", "2", "4", "1"]
    assert len(choose_judged(answers, 99)) == 6


def test_the_same_answers_give_the_same_report() -> None:
    assert asdict(report()) == asdict(report())
