"""A judge's counts: what cannot be read is asked once more and is never a zero."""

from __future__ import annotations

import pytest

from tailor_rl.errors import TeacherError
from tailor_rl.measures.habits import HABITS
from tailor_rl.measures.judge import (
    JudgedText,
    Judgement,
    agreement,
    judge_habits,
    read_count,
)
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tests.measures_fakes import FakeJudgePrompts, ScriptedTeacher, read_question, reply

TEXTS = [JudgedText("1+2", f"trace {i} has these few words") for i in range(4)]


async def judged(teacher: ScriptedTeacher) -> Judgement:
    return await judge_habits(TEXTS, teacher, prompts=FakeJudgePrompts(), endpoint="strict")


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ("Two places. <count>2</count>", 2),
        ("<COUNT> 0 </COUNT>", 0),
        ("First <count>1</count>, no: <count>3</count>", 3),
        ("3", None),
        ("<count>three</count>", None),
        ("<count>-1</count>", None),
        ("<count>11</count>", None),  # more places than words
        ("<count>99999999</count>", None),
        ("", None),
    ],
)
def test_a_count_stands_between_its_tags(answer: str, count: int | None) -> None:
    assert read_count(answer, at_most=10) == count


async def test_every_habit_of_every_trace_is_one_question_at_temperature_zero() -> None:
    teacher = ScriptedTeacher(
        lambda request: f"<count>{HABITS.index(read_question(request)[0])}</count>"
    )
    found = await judged(teacher)
    assert found.counts == (dict(zip(HABITS, range(4), strict=True)),) * 4
    assert (found.judge, found.unjudged, found.asked_again) == ("judge-1", 0, 0)
    assert found.means["backward_chaining"] == 3.0
    questions = [read_question(request) for request in teacher.requests]
    assert sorted(questions) == sorted((habit, each.trace) for habit in HABITS for each in TEXTS)
    for request in teacher.requests:
        assert (request.purpose, request.teacher) == ("judge", "strict")
        assert (request.temperature, request.sample) == (0.0, 0)


async def test_what_cannot_be_read_is_asked_once_more() -> None:
    teacher = ScriptedTeacher(lambda request: "<count>4</count>" if request.sample else "Four.")
    found = await judged(teacher)
    assert (found.unjudged, found.asked_again) == (0, 16)
    assert all(count == 4 for counts in found.counts for count in counts.values())


async def test_what_is_unreadable_twice_is_unjudged_and_not_zero() -> None:
    def answer(request: TeacherRequest) -> str:
        habit, trace = read_question(request)
        if habit == "verification" and trace == TEXTS[3].trace:
            raise UnusableAnswer("no text came", reply(""))
        return "<count>1</count>"

    teacher = ScriptedTeacher(answer)
    found = await judged(teacher)
    assert found.counts[3] == {**dict.fromkeys(HABITS, 1), "verification": None}
    assert (found.unjudged, found.asked_again, len(teacher.requests)) == (1, 1, 17)
    assert found.means["verification"] == 1.0


async def test_a_judge_that_never_counts_is_one_sentence_and_costs_two_traces() -> None:
    teacher = ScriptedTeacher(lambda request: "I like\nthis trace.")
    with pytest.raises(TeacherError) as caught:
        await judged(teacher)
    text = str(caught.value)
    assert "'judge-1'" in text and "'I like this trace.'" in text and "\n" not in text
    assert "measures.judge" in text and caught.value.exit_code == 3
    assert len(teacher.requests) == 2 * len(HABITS) * 2


async def test_where_the_budget_ends_the_rest_is_unjudged() -> None:
    answered = 0

    def answer(request: TeacherRequest) -> str:
        nonlocal answered
        if answered == 9:
            raise BudgetSpent("the budget is spent")
        answered += 1
        return "<count>1</count>"

    found = await judged(ScriptedTeacher(answer))
    assert found.ended_by_budget and found.unjudged == 16 - 9


async def test_a_budget_that_is_spent_before_the_first_answer_is_no_silent_judge() -> None:
    def answer(request: TeacherRequest) -> str:
        raise BudgetSpent("the budget is spent")

    found = await judged(ScriptedTeacher(answer))
    assert found.ended_by_budget and found.unjudged == 16
    assert found.means == dict.fromkeys(HABITS, None)


async def test_a_teacher_that_cannot_be_used_is_raised() -> None:
    def answer(request: TeacherRequest) -> str:
        raise TeacherError("the key has expired")

    with pytest.raises(TeacherError, match="expired"):
        await judged(ScriptedTeacher(answer))


async def test_no_traces_ask_nothing() -> None:
    teacher = ScriptedTeacher(lambda request: "<count>1</count>")
    found = await judge_habits([], teacher, prompts=FakeJudgePrompts(), endpoint="")
    assert (found.counts, teacher.requests) == ((), [])


async def test_progress_counts_traces() -> None:
    seen: list[tuple[int, int]] = []
    await judge_habits(
        TEXTS,
        ScriptedTeacher(lambda request: "<count>1</count>"),
        prompts=FakeJudgePrompts(),
        endpoint="",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 4) for i in (1, 2, 3, 4)]


def test_agreement_by_hand() -> None:
    """Counts 0 1 2 3 and 0 2 1 -: the last is unjudged; ranks 1 2 3 and 1 3 2 correlate by 1/2."""
    patterns = [dict.fromkeys(HABITS, count) for count in (0, 1, 2, 3)]
    found = agreement(patterns, [dict.fromkeys(HABITS, count) for count in (0, 2, 1, None)])
    one = found["verification"]
    assert (one.num_traces, one.same_presence) == (3, 1.0)
    assert one.same_count == pytest.approx(1 / 3) and one.rank_correlation == pytest.approx(0.5)
    assert agreement(patterns, [dict.fromkeys(HABITS, None)] * 4) == {}
