"""Laws of the guard model's verdicts."""

from __future__ import annotations

import pytest

from tailor_rl.errors import TeacherError
from tailor_rl.primitives.guard import guarded, read_verdict
from tailor_rl.primitives.safety import Refusal
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent
from tailor_rl.teachers.prompts import Prompts, parse_guard_prompt
from tests.screen_fakes import Answer, ScriptedTeacher, primitive

CANDIDATE = primitive(1, "Check each step twice.", name="Check twice", targets="It never checks.")


async def verdict(*answers: Answer) -> tuple[Refusal | None, list[TeacherRequest]]:
    waiting = list(answers)
    teacher = ScriptedTeacher(lambda request: waiting.pop(0))
    found = await guarded(CANDIDATE, teacher, guard="llama", prompts=Prompts(), max_tokens=99)
    return found, teacher.requests


@pytest.mark.parametrize(
    "answer",
    ["safe", "Safe", "SAFE.", "\n\nsafe\n", "  safe", "**safe**", "No", "no.",
     "<think>hm</think>\nsafe", "Safety: Safe\nCategories: None", "<score> no </score>",
     '{"User Safety": "safe"}'],
)  # fmt: skip
def test_a_safe_verdict_is_read_in_any_dress(answer: str) -> None:
    assert read_verdict(answer) == ()


@pytest.mark.parametrize(
    ("answer", "categories"),
    [
        ("unsafe\nS1,S10", ("s1", "s10")),
        ("\n\nUNSAFE\ns9", ("s9",)),
        ("unsafe", ("unsafe",)),
        ("unsafe\nself-harm, deception", ("self-harm", "deception")),
        ("Yes", ("unsafe",)),
        ("unsafe S2", ("s2",)),
        ("Safety: Unsafe\nCategories: Violent, PII", ("violent", "pii")),
        ("Safety: Controversial\nCategories: Jailbreak", ("jailbreak",)),
        ("<score> yes </score>", ("unsafe",)),
        ('{"User Safety": "unsafe", "Safety Categories": "Violence"}', ("violence",)),
    ],
)
def test_an_unsafe_verdict_is_read_with_its_categories(
    answer: str, categories: tuple[str, ...]
) -> None:
    assert read_verdict(answer) == categories


@pytest.mark.parametrize(
    "answer",
    ["", "I cannot say.", "It is safe to say that this is unsafe", "not unsafe", "safe\nunsafe\nS1",
     "safety first", "<html>"],
)  # fmt: skip
def test_what_is_no_verdict_is_not_taken_for_one(answer: str) -> None:
    assert read_verdict(answer) is None


async def test_the_guard_is_asked_at_temperature_zero_and_shown_every_field() -> None:
    found, (request,) = await verdict("safe")
    assert found is None
    assert (request.purpose, request.teacher, request.temperature) == ("guard", "llama", 0.0)
    shown = parse_guard_prompt(request.prompt)
    for text in (CANDIDATE.name, CANDIDATE.instruction, CANDIDATE.targets):
        assert text in shown


async def test_an_unsafe_verdict_refuses_under_its_first_category() -> None:
    found, _ = await verdict("unsafe\nS1,S10")
    assert found is not None and found.reason == "guard:s1" and "s10" in found.detail


@pytest.mark.parametrize("first", ["perhaps", ""])
async def test_an_unreadable_verdict_is_asked_for_once_more(first: str) -> None:
    found, requests = await verdict(first, "safe")
    assert found is None
    assert [request.sample for request in requests] == [0, 1]


async def test_two_unreadable_verdicts_refuse() -> None:
    found, requests = await verdict("perhaps", "who knows")
    assert found is not None and found.reason == "guard:unreadable" and "who knows" in found.detail
    assert len(requests) == 2


async def test_without_money_for_a_verdict_nothing_passes() -> None:
    found, _ = await verdict(BudgetSpent("the budget of 10 tokens is spent"))
    assert found is not None and found.reason == "guard:budget"


async def test_a_guard_that_is_down_stops_the_run() -> None:
    with pytest.raises(TeacherError, match="refused the connection"):
        await verdict(TeacherError("refused the connection"))
