"""Laws of demonstrations, with a hand-written teacher."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tailor_rl.errors import GradeError, TeacherError
from tailor_rl.primitives.assign import following, unguided
from tailor_rl.primitives.demonstrate import DemonstrationCounts, demonstrate
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.prompts import Prompts, parse_demonstrate_prompt
from tailor_rl.types import Demonstration, Primitive, Problem
from tests.fakes import FakeGrader, FakeTask

PROMPTS = Prompts()
Say = Callable[[str, str | None, int], str]


class FakeTeacher:
    """Answers by `say(problem, instruction, sample)`, later problems sooner."""

    name = "fake"

    def __init__(self, say: Say, *, budget: int = 1_000_000) -> None:
        self._say = say
        self._budget = budget
        self.requests: list[TeacherRequest] = []

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        if len(self.requests) >= self._budget:
            raise BudgetSpent("the budget is spent")
        self.requests.append(request)
        await asyncio.sleep(0.01 / len(self.requests))
        asked = parse_demonstrate_prompt(request.prompt)
        text = self._say(asked.problem, asked.instruction, request.sample)
        reply = TeacherReply(text, "fake", "stop", 3, 2, True)
        if not text:
            raise UnusableAnswer("nothing came", reply)
        return reply


def problems(num: int) -> list[Problem]:
    return [Problem(f"task:train:{i}", f"{i} + 1 = ?", str(i + 1), "train", 1) for i in range(num)]


def primitives(num: int) -> list[Primitive]:
    return [
        Primitive(f"primitive-{i:03d}", f"n{i}", f"Instruction {i}.", "t", (), "fake", 0.8)
        for i in range(num)
    ]


class LastWord(FakeTask):
    def grade(self, problem: Problem, text: str) -> float:
        return float(text.split()[-1:] == [problem.answer])


def solve(problem: str, instruction: str | None, sample: int) -> str:
    return f"I think, so it is {int(problem.split()[0]) + 1}"


async def made(
    teacher: FakeTeacher, num_problems: int, num_primitives: int, **changed: Any
) -> tuple[list[Demonstration], DemonstrationCounts]:
    settings: dict[str, Any] = {
        "temperature": 0.4, "max_tries": 3, "max_tokens": 99, "keep": "correct",
        "task": LastWord(), "order": 1, "seed": 0, **changed,
    }  # fmt: skip
    chosen: Sequence[Problem] = problems(num_problems)[:: settings.pop("order")]
    seed, grader = settings.pop("seed"), FakeGrader(settings.pop("task"))
    known = primitives(num_primitives)
    guides = following(PROMPTS, known, chosen, seed=seed) if known else unguided(PROMPTS)
    return await demonstrate(chosen, guides, teacher, grader, **settings)


async def test_one_right_trace_a_problem_in_the_order_of_the_problems() -> None:
    kept, counts = await made(FakeTeacher(solve), 20, 4)
    assert [d.problem_id for d in kept] == [p.id for p in problems(20)]
    assert counts == DemonstrationCounts(
        problems=20, kept=20, requests=20, prompt_tokens=60, completion_tokens=40
    )
    first = kept[0]
    assert (first.prompt, first.trace) == ("0 + 1 = ?", "I think, so it is 1")
    assert (first.reward, first.origin, first.prompt_tokens) == (1.0, "teacher", 3)
    assert (first.teacher, first.temperature) == ("fake", 0.4)
    assert first.prompt_version == PROMPTS.versions["demonstrate"]
    assert len({d.id for d in kept}) == 20


async def test_the_instruction_is_in_the_teachers_prompt_and_not_in_the_students() -> None:
    teacher = FakeTeacher(solve)
    kept, _ = await made(teacher, 8, 4)
    by_id = {p.id: p.instruction for p in primitives(4)}
    asked = {parse_demonstrate_prompt(r.prompt).problem: r.prompt for r in teacher.requests}
    for demonstration in kept:
        assert demonstration.primitive_id is not None
        assert by_id[demonstration.primitive_id] in asked[demonstration.prompt]
        assert "Instruction" not in demonstration.prompt


@pytest.mark.parametrize(("num_problems", "num_primitives"), [(100, 25), (10, 4), (3, 5), (1, 1)])
async def test_no_primitive_is_used_more_than_once_more_than_another(
    num_problems: int, num_primitives: int
) -> None:
    kept, _ = await made(FakeTeacher(solve), num_problems, num_primitives)
    used = Counter(d.primitive_id for d in kept)
    uses = [used[p.id] for p in primitives(num_primitives)]
    assert max(uses) - min(uses) <= 1


async def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_problems() -> None:
    drawn = []
    for changed in ({}, {"order": -1}, {"seed": 1}):
        kept, _ = await made(FakeTeacher(solve), 40, 8, **changed)
        drawn.append({d.problem_id: d.primitive_id for d in kept})
    assert drawn[0] == drawn[1] != drawn[2]


async def test_another_try_follows_another_primitive() -> None:
    teacher = FakeTeacher(lambda p, i, sample: solve(p, i, sample) if sample == 2 else "wrong 0")
    kept, counts = await made(teacher, 5, 3)
    assert (len(kept), counts.refused, counts.requests) == (5, 10, 15)
    tried: dict[str, set[str | None]] = {}
    for request in teacher.requests:
        asked = parse_demonstrate_prompt(request.prompt)
        tried.setdefault(asked.problem, set()).add(asked.instruction)
    assert all(len(instructions) == 3 for instructions in tried.values())


async def test_with_one_primitive_tries_differ_by_their_sample_number() -> None:
    teacher = FakeTeacher(lambda p, i, sample: solve(p, i, sample) if p[0] == "0" else "wrong")
    kept, counts = await made(teacher, 2, 1)
    assert (len(kept), counts.given_up) == (1, 1)
    assert len(set(teacher.requests)) == len(teacher.requests) == 4


async def test_a_problem_without_a_right_trace_is_given_up_and_counted() -> None:
    teacher = FakeTeacher(lambda p, i, s: "wrong 0" if p.startswith("3") else solve(p, i, s))
    kept, counts = await made(teacher, 6, 2, max_tries=2)
    assert [d.problem_id for d in kept] == [p.id for p in problems(6) if p.id[-1] != "3"]
    assert (counts.kept, counts.given_up, counts.refused, counts.requests) == (5, 1, 2, 7)


@pytest.mark.parametrize("text", ["", "  \n", "it is <|im_end|> 1", "it is \x00 1"])
async def test_an_unusable_answer_is_never_kept_and_its_cost_is_counted(text: str) -> None:
    teacher = FakeTeacher(lambda p, i, sample: text if sample == 0 else solve(p, i, sample))
    kept, counts = await made(teacher, 1, 2)
    assert kept[0].trace == "I think, so it is 1"
    assert (counts.unusable, counts.refused, counts.requests) == (1, 0, 2)
    assert (counts.prompt_tokens, counts.completion_tokens) == (6, 4)


@pytest.mark.parametrize("keep", ["correct", "wrong", "all"])
async def test_a_trace_that_was_cut_off_is_never_kept(keep: str) -> None:
    """The student would learn to stop in the middle; and it is no example of a wrong thought."""

    class Cut(FakeTeacher):
        async def complete(self, request: TeacherRequest) -> TeacherReply:
            reply = await super().complete(request)
            return replace(reply, finish_reason="length") if request.sample == 0 else reply

    def say(problem: str, instruction: str | None, sample: int) -> str:
        return "wrong 0" if keep == "wrong" else solve(problem, instruction, sample)

    kept, counts = await made(Cut(say), 4, 2, keep=keep)
    assert (len(kept), counts.unusable, counts.requests) == (4, 4, 8)


async def test_without_primitives_the_teacher_is_asked_to_think_step_by_step() -> None:
    teacher = FakeTeacher(solve)
    kept, _ = await made(teacher, 3, 0)
    assert [d.primitive_id for d in kept] == [None] * 3
    assert all("step by step" in r.prompt.splitlines()[0] for r in teacher.requests)


async def test_not_one_right_trace_is_an_error_with_its_end() -> None:
    with pytest.raises(TeacherError, match=r"Not one of 6 traces .* 'it is no idea'"):
        await made(FakeTeacher(lambda *_: "it is no idea"), 2, 2)
    assert (await made(FakeTeacher(solve), 0, 2))[0] == []


async def test_a_grader_that_always_fails_ends_the_stage_with_an_example() -> None:
    class Broken(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            raise RuntimeError("the grader is broken")

    with pytest.raises(GradeError, match="the grader is broken"):
        await made(FakeTeacher(solve), 3, 2, task=Broken())


async def test_every_problem_is_reported_when_it_is_done() -> None:
    told: list[tuple[int, int, str]] = []
    teacher = FakeTeacher(lambda p, i, s: "wrong" if p.startswith("1") else solve(p, i, s))
    kept, _ = await made(teacher, 3, 2, on_progress=lambda *t: told.append(t))
    assert len(kept) == 2
    assert [t[:2] for t in told] == [(1, 3), (2, 3), (3, 3)]


def sometimes(problem: str, instruction: str | None, sample: int) -> str:
    """Even problems are solved at the second try, odd ones at the first."""
    return "wrong 0" if int(problem.split()[0]) % 2 == sample else solve(problem, None, sample)


@pytest.mark.parametrize(
    ("keep", "rewards", "requests"),
    [
        ("correct", [1.0, 1.0, 1.0, 1.0], 6),
        ("all", [0.0, 1.0, 0.0, 1.0], 4),
        ("wrong", [0.0, 0.0, 0.0, 0.0], 6),
    ],
)
async def test_the_policy_decides_which_grades_are_kept_and_when_to_try_again(
    keep: str, rewards: list[float], requests: int
) -> None:
    teacher = FakeTeacher(sometimes)
    kept, counts = await made(teacher, 4, 2, keep=keep)
    assert [d.reward for d in kept] == rewards
    assert (counts.requests, counts.refused) == (requests, requests - 4)


async def test_where_nothing_is_wrong_a_set_of_wrong_traces_is_an_error_with_the_fix() -> None:
    with pytest.raises(TeacherError, match=r"is wrong, as demonstrations.keep asks: raise"):
        await made(FakeTeacher(solve), 3, 2, keep="wrong")


async def test_a_spent_budget_ends_the_stage_with_what_there_is() -> None:
    kept, counts = await made(FakeTeacher(solve, budget=7), 20, 4)
    assert (len(kept), counts.unbought, counts.given_up) == (7, 13, 0)
    assert counts.stopped == "the budget is spent"


async def test_a_budget_that_buys_nothing_is_an_error() -> None:
    with pytest.raises(BudgetSpent, match="the budget is spent"):
        await made(FakeTeacher(solve, budget=0), 5, 2)
