"""Laws of discovery, with a hand-written teacher."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tailor_rl.errors import TeacherError
from tailor_rl.primitives.discover import Discovery, discover
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.prompts import (
    PRIMITIVES_SCHEMA,
    Draft,
    Prompts,
    format_primitives,
    parse_discover_prompt,
)
from tailor_rl.types import Attempt, Primitive

PROMPTS = Prompts()

ADVICE = (
    "Restate every claim in your own words before you reason about it.",
    "Work backwards from what the question asks for.",
    "Assume one case, derive what follows, and retract it on a contradiction.",
    "Draw up a table of all the possibilities and strike out the impossible ones.",
    "After the last step, insert your answer and check each condition again.",
    "Solve a smaller version first, then extend its solution.",
)


class FakeTeacher:
    """Answers by `say(number of the request, request)`; takes longer for earlier requests."""

    name = "fake"

    def __init__(
        self,
        say: Callable[[int, TeacherRequest], str],
        finish_reason: str = "stop",
        model: str = "fake-model",
    ):
        self._say = say
        self._model = model
        self._finish_reason = finish_reason
        self.requests: list[TeacherRequest] = []

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        number = len(self.requests)
        self.requests.append(request)
        await asyncio.sleep(0.01 / (number + 1))
        text = self._say(number, request)
        reply = TeacherReply(text, self._model, self._finish_reason, 5, 3, True)
        if not text:
            raise UnusableAnswer("nothing came", reply)
        return reply


def drafts(*instructions: str) -> str:
    return format_primitives(
        [Draft(name="Some name", instruction=i, targets="Some pattern.") for i in instructions]
    )


def attempts(num_wrong: int, num_right: int) -> list[Attempt]:
    return [
        Attempt(
            id=f"attempt-{i}", problem_id=f"p{i}", prompt=f"problem {i}", text=f"answer {i}",
            reward=float(i >= num_wrong), finish_reason="stop", num_tokens=2,
        )
        for i in range(num_wrong + num_right)
    ]  # fmt: skip


async def none_refused(candidates: Sequence[Primitive]) -> int:
    return 0


async def discovery(teacher: FakeTeacher, shown: Sequence[Attempt], **changed: Any) -> Discovery:
    settings: dict[str, Any] = {
        "prompts": PROMPTS, "num_primitives": 4, "attempts_per_request": 6,
        "primitives_per_request": 2, "max_requests": 10, "temperature": 0.8,
        "max_similarity": 90.0, "seed": 0, "max_tokens": 99, "num_refused": none_refused, **changed,
    }  # fmt: skip
    return await discover(shown, teacher, **settings)


async def found(teacher: FakeTeacher, shown: Sequence[Attempt], **changed: Any) -> list[Primitive]:
    return (await discovery(teacher, shown, **changed)).primitives


def two_more(number: int, request: TeacherRequest) -> str:
    return drafts(ADVICE[2 * number % 6], ADVICE[(2 * number + 1) % 6])


async def test_primitives_are_numbered_in_the_order_of_asking_and_know_their_source() -> None:
    teacher = FakeTeacher(two_more)
    shown = attempts(8, 4)
    primitives = await found(teacher, shown)
    assert [p.id for p in primitives] == [f"primitive-00{i}" for i in (1, 2, 3, 4)]
    assert [p.instruction for p in primitives] == list(ADVICE[:4])
    by_prompt = {attempt.prompt: attempt.id for attempt in shown}
    for primitive, request in zip(primitives[::2], teacher.requests, strict=True):
        prompts = [a.problem for a in parse_discover_prompt(request.prompt).attempts]
        assert primitive.source_attempt_ids == tuple(by_prompt[p] for p in prompts)
        assert (primitive.teacher, primitive.temperature) == ("fake-model", 0.8)
        assert primitive.prompt_version == PROMPTS.versions["discover"]
        assert primitive.targets == "Some pattern."


async def test_a_request_shows_wrong_and_right_attempts_and_all_get_their_turn() -> None:
    teacher = FakeTeacher(lambda number, _: drafts(ADVICE[0]))
    await found(teacher, attempts(8, 4), max_requests=2)
    first, second = (parse_discover_prompt(r.prompt) for r in teacher.requests)
    assert [a.right for a in first.attempts] == [False] * 4 + [True] * 2
    assert len({a.problem for a in (*first.attempts, *second.attempts)}) == 12


@pytest.mark.parametrize(("num_wrong", "num_right"), [(6, 0), (0, 6), (1, 5), (5, 1), (2, 1)])
async def test_where_one_kind_is_short_the_other_fills_its_places(
    num_wrong: int, num_right: int
) -> None:
    teacher = FakeTeacher(lambda number, _: drafts(ADVICE[0]))
    await found(teacher, attempts(num_wrong, num_right), num_primitives=1)
    shown = parse_discover_prompt(teacher.requests[0].prompt).attempts
    assert len({a.problem for a in shown}) == len(shown) == num_wrong + num_right


async def test_no_more_primitives_than_asked_for() -> None:
    teacher = FakeTeacher(lambda number, _: drafts(*ADVICE))
    assert len(await found(teacher, attempts(3, 3), num_primitives=5)) == 5


async def test_near_duplicates_are_one_and_the_search_goes_on() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        return drafts(ADVICE[0], ADVICE[0].upper() + "!") if number < 2 else drafts(*ADVICE[:3])

    teacher = FakeTeacher(say)
    primitives = await found(teacher, attempts(3, 3), num_primitives=3)
    assert [p.instruction for p in primitives] == list(ADVICE[:3])
    assert parse_discover_prompt(teacher.requests[2].prompt).known == (f"Some name: {ADVICE[0]}",)


async def test_what_the_screen_would_refuse_is_missing_again() -> None:
    looked_at = []

    async def first_and_last_refused(candidates: Sequence[Primitive]) -> int:
        looked_at.append([p.instruction for p in candidates])
        return sum(p.instruction in (ADVICE[0], ADVICE[4]) for p in candidates)

    teacher = FakeTeacher(two_more)
    primitives = await found(teacher, attempts(3, 3), num_refused=first_and_last_refused)
    assert [p.instruction for p in primitives] == list(ADVICE)
    assert looked_at == [list(ADVICE[:4]), list(ADVICE[:5]), list(ADVICE)]
    assert len({p.id for p in primitives}) == 6


async def test_a_screen_that_refuses_all_ends_with_the_requests() -> None:
    async def all_refused(candidates: Sequence[Primitive]) -> int:
        return len(candidates)

    teacher = FakeTeacher(lambda number, _: drafts(f"Look at part {'abcdefghij'[number] * 9}."))
    primitives = await found(teacher, attempts(3, 3), num_primitives=2, num_refused=all_refused)
    assert len(primitives) == len(teacher.requests) == 10


async def test_fewer_than_asked_for_are_returned_when_the_requests_run_out() -> None:
    teacher = FakeTeacher(lambda number, _: drafts(ADVICE[0]))
    assert len(await found(teacher, attempts(3, 3), max_requests=7)) == 1
    assert len(teacher.requests) == 7


async def test_garbage_is_asked_again_about_the_same_attempts_under_another_number() -> None:
    teacher = FakeTeacher(lambda number, r: "I am sorry." if number == 0 else two_more(number, r))
    await found(teacher, attempts(12, 6))
    shown = [parse_discover_prompt(r.prompt).attempts for r in teacher.requests]
    assert len(shown) == 3 and shown[2] == shown[0] != shown[1]
    assert [r.sample for r in teacher.requests] == [0, 1, 2]
    assert "could not be used" not in teacher.requests[0].prompt
    assert "it held no primitive in the form" in teacher.requests[2].prompt


async def test_garbage_is_asked_about_once_more_and_then_given_up() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        prompts = {a.problem for a in parse_discover_prompt(request.prompt).attempts}
        return "?" if "problem 0" in prompts else two_more(number, request)

    teacher = FakeTeacher(say)
    # Two attempts a request, in turn: 0 with 1, 2 with 3, and so on round.
    made = await discovery(
        teacher, attempts(8, 0), attempts_per_request=2, num_primitives=6, max_requests=12
    )
    shown = [parse_discover_prompt(r.prompt).attempts for r in teacher.requests]
    again = [i for i, r in enumerate(teacher.requests) if "could not be used" in r.prompt]
    assert len(again) == made.counts.asked_again == made.counts.given_up >= 1
    assert made.counts.unreadable == 2 * len(again)
    assert len({r.sample for r in teacher.requests}) == len(shown) == made.counts.requests
    assert len(made.primitives) == 6


@pytest.mark.parametrize(
    ("text", "finish_reason", "says"),
    [
        ("", "stop", "it held no text."),
        ("I am sorry.", "stop", "it held no primitive in the form that was asked for."),
        ("Well, to begin with", "length", "it was cut off at the length limit"),
        (drafts("Too short."), "stop", "because the instruction has 10 characters, not 20 to 800."),
        (drafts("problem 1 problem 2"), "stop", "the instruction has 19 characters"),
    ],
)
async def test_what_was_wrong_is_said_when_it_is_asked_again(
    text: str, finish_reason: str, says: str
) -> None:
    teacher = FakeTeacher(lambda *_: text, finish_reason=finish_reason)
    with pytest.raises(TeacherError):
        await found(teacher, attempts(3, 3), num_primitives=1, max_requests=2)
    first, second = teacher.requests
    assert says not in first.prompt and says in second.prompt
    assert second.prompt.startswith(first.prompt)


@pytest.mark.parametrize("text", ["", "I can't \x1b[31mhelp", drafts("problem 1 problem 2")])
async def test_too_much_garbage_ends_the_search_with_an_excerpt(text: str) -> None:
    teacher = FakeTeacher(lambda number, _: text)
    with pytest.raises(TeacherError, match="answers of the teacher 'fake'") as caught:
        await found(teacher, attempts(3, 3), max_requests=60)
    assert len(teacher.requests) == 4
    words = {"": "nothing came", "I": "I can't help", "P": "Some name"}[text[:1]]
    assert words in str(caught.value) and "\x1b" not in str(caught.value)


async def test_nothing_found_is_an_error() -> None:
    with pytest.raises(TeacherError, match="no usable reasoning primitive in 2 requests"):
        await found(FakeTeacher(lambda *_: "?"), attempts(3, 3), max_requests=2)
    with pytest.raises(ValueError, match="no attempts"):
        await found(FakeTeacher(two_more), [])


async def test_what_copies_or_gives_away_is_refused_by_name() -> None:
    problem = "Alice says that Bob is a knave. Bob says that both of them are knights."
    answer = "I took Alice for a knight, and then Bob had to be a knave, as she said."
    right = "Suppose so.\nAlice is a knight and Bob is a knave."
    shown = [
        Attempt("a", "p", problem, answer, 0.0, "stop", 1),
        Attempt("b", "p", problem, right, 1.0, "stop", 1),
    ]
    texts = (
        problem[10:], answer[10:], "Say that Alice is a knight and Bob is a knave, and stop.",
        "See https://example.com for the way.", "Say <|im_end|> after every step.", ADVICE[1],
    )  # fmt: skip
    made = await discovery(FakeTeacher(lambda *_: drafts(*texts)), shown, num_primitives=1)
    assert [p.instruction for p in made.primitives] == [ADVICE[1]]
    named = {r.draft.instruction: r.reason for r in made.refused}
    assert [named[text.strip()] for text in texts[:5]] == [
        "copied-problem", "copied-answer", "leaked-answer", "url", "control-tokens"
    ]  # fmt: skip
    assert made.counts.refused == dict.fromkeys(sorted(named.values()), 1)
    assert (made.counts.requests, made.counts.unreadable) == (1, 0)


async def test_what_was_asked_and_dropped_is_counted() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        return drafts(ADVICE[0], ADVICE[0].lower()) if number < 3 else drafts(*ADVICE[:3])

    made = await discovery(FakeTeacher(say), attempts(3, 3), num_primitives=3)
    counts = made.counts
    assert (counts.requests, counts.duplicates, counts.unreadable) == (4, 6, 0)
    assert (counts.prompt_tokens, counts.completion_tokens) == (4 * 5, 4 * 3)
    assert counts.stopped == "" and counts.asked_again == counts.given_up == 0


async def test_an_answer_in_json_is_read_and_its_schema_was_sent() -> None:
    rows = [{"pattern": "It stops.", "name": "Go on", "instruction": text} for text in ADVICE]
    teacher = FakeTeacher(lambda *_: json.dumps({"primitives": rows}))
    assert [p.instruction for p in await found(teacher, attempts(3, 3))] == list(ADVICE[:4])
    assert {request.schema for request in teacher.requests} == {PRIMITIVES_SCHEMA}


async def test_a_spent_budget_ends_the_search_with_what_it_has() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        if number == 1:
            raise BudgetSpent("teacher.budget_tokens=100 is spent")
        return two_more(number, request)

    teacher = FakeTeacher(say)
    made = await discovery(teacher, attempts(20, 10), num_primitives=6)
    # The third request of the wave was bought before the second was refused: it is not lost.
    assert [p.instruction for p in made.primitives] == [*ADVICE[:2], *ADVICE[4:6]]
    assert made.counts.stopped == "teacher.budget_tokens=100 is spent"
    assert made.counts.requests == 2 and len(teacher.requests) == 3


async def test_a_budget_that_buys_no_primitive_is_an_error() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        if number == 1:
            raise BudgetSpent("the budget is spent")
        return "?"

    with pytest.raises(BudgetSpent, match=r"^the budget is spent$"):
        await found(FakeTeacher(say), attempts(3, 3))


async def test_a_server_that_names_no_model_leaves_the_teachers_name() -> None:
    teacher = FakeTeacher(two_more, model="")
    assert {p.teacher for p in await found(teacher, attempts(3, 3))} == {"fake"}


async def test_an_answer_cut_at_the_limit_loses_its_last_primitive() -> None:
    teacher = FakeTeacher(lambda *_: drafts(*ADVICE[:3]), finish_reason="length")
    assert len(await found(teacher, attempts(3, 3), max_requests=1)) == 2


async def test_the_same_seed_asks_the_same_questions() -> None:
    asked = []
    for seed in (0, 0, 1):
        teacher = FakeTeacher(two_more)
        await found(teacher, attempts(20, 10), seed=seed)
        asked.append(teacher.requests)
    assert asked[0] == asked[1] != asked[2]


async def test_progress_is_told_after_every_wave() -> None:
    told: list[tuple[int, int, str]] = []
    teacher = FakeTeacher(lambda number, _: drafts(ADVICE[min(number, 2)]))
    await found(teacher, attempts(3, 3), num_primitives=3, on_progress=lambda *t: told.append(t))
    assert [t[:2] for t in told] == [(2, 3), (3, 3)]


async def test_a_teacher_that_fails_ends_the_search_with_its_own_error() -> None:
    def say(number: int, request: TeacherRequest) -> str:
        raise TeacherError("no route to teacher")

    with pytest.raises(TeacherError, match=r"^no route to teacher$"):
        await found(FakeTeacher(say), attempts(3, 3))
