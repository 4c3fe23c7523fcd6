"""Laws of the trial: the same problems with a primitive and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.config.schema import FIRST_TEACHER
from tailor_rl.errors import TeacherError
from tailor_rl.primitives.trial import Trial, change, trials
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent
from tailor_rl.teachers.prompts import Prompts, parse_demonstrate_prompt
from tailor_rl.types import Primitive
from tests.fakes import FakeGrader
from tests.screen_fakes import Answer, ScriptedTeacher, primitive, problems

GOOD, BAD = primitive(1, "Add it right."), primitive(2, "Add it wrong.")


def solver(request: TeacherRequest) -> Answer:
    """Right, unless the instruction says otherwise."""
    asked = parse_demonstrate_prompt(request.prompt)
    a, b = asked.problem.split("+")
    return "wrong" if "wrong" in (asked.instruction or "") else str(int(a) + int(b))


async def tried(teacher: ScriptedTeacher, *shown: Primitive, num: int = 3) -> list[Trial | None]:
    return await trials(
        shown, problems(10), teacher, FakeGrader(), prompts=Prompts(), num_problems=num,
        temperature=0.4, seed=7, max_tokens=99,
    )  # fmt: skip


async def test_a_trial_counts_right_answers_with_and_without() -> None:
    good, bad = await tried(ScriptedTeacher(solver), GOOD, BAD)
    assert good == Trial(num=3, right=3, plain_right=3, changed=0.0)
    assert bad == Trial(num=3, right=0, plain_right=3, changed=1.0)


async def test_plain_traces_are_bought_once_and_everything_goes_out_together() -> None:
    teacher = ScriptedTeacher(solver)
    await tried(teacher, GOOD, BAD)
    plain = [r for r in teacher.requests if parse_demonstrate_prompt(r.prompt).instruction is None]
    assert (len(plain), len(teacher.requests), teacher.most_in_flight) == (3, 9, 9)
    assert {(r.purpose, r.teacher, r.sample) for r in teacher.requests} == {
        ("trial", FIRST_TEACHER, 0)
    }


async def test_a_second_sitting_asks_the_same() -> None:
    first, second = ScriptedTeacher(solver), ScriptedTeacher(solver)
    await tried(first, GOOD, BAD)
    await tried(second, GOOD, BAD)
    assert first.requests == second.requests


async def test_every_primitive_is_tried_on_the_same_problems() -> None:
    teacher = ScriptedTeacher(solver)
    await tried(teacher, GOOD, BAD, num=4)
    asked = [parse_demonstrate_prompt(request.prompt) for request in teacher.requests]
    shown = {
        i: {a.problem for a in asked if a.instruction == i} for i in {a.instruction for a in asked}
    }
    assert len(shown) == 3
    assert all(len(each) == 4 and each == shown[None] for each in shown.values())


@pytest.mark.parametrize("answer", ["", "1<|im_end|>"])
async def test_no_text_and_control_tokens_count_as_wrong(answer: str) -> None:
    def mute(request: TeacherRequest) -> Answer:
        return answer if "wrong" in request.prompt else solver(request)

    (trial,) = await tried(ScriptedTeacher(mute), BAD)
    assert trial is not None and (trial.num, trial.right, trial.plain_right) == (3, 0, 3)


async def test_a_budget_that_ends_leaves_untried_what_it_did_not_reach() -> None:
    def broke(request: TeacherRequest) -> Answer:
        return BudgetSpent("spent") if "wrong" in request.prompt else solver(request)

    good, bad = await tried(ScriptedTeacher(broke), GOOD, BAD)
    assert good is not None and bad is None


async def test_a_teacher_that_is_down_stops_the_run() -> None:
    with pytest.raises(TeacherError, match="down"):
        await tried(ScriptedTeacher(lambda request: TeacherError("down")), GOOD)


def test_a_change_is_the_share_of_words_that_differ() -> None:
    assert change("a b c d", "a b c d") == 0.0
    assert change("a b", "c d") == 1.0
    assert change("a b c d", "a b x d") == pytest.approx(0.25)  # 1 - 2 * 3 / (4 + 4)


@given(st.text(), st.text())
def test_a_change_is_a_share_and_has_no_direction(one: str, other: str) -> None:
    assert 0.0 <= change(one, other) <= 1.0
    assert change(one, other) == pytest.approx(change(other, one))
    assert change(one, one) == 0.0
