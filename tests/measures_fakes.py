"""A judge that answers from a script, prompts that can be read back, and demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tailor_rl.evaluation import Trace
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.types import Demonstration

HABIT, PROBLEM, TRACE = "habit: ", "problem: ", "trace: "


@dataclass(frozen=True)
class FakeQuestion:
    system: str
    prompt: str


class FakeJudgePrompts:
    def judge(self, habit: str, *, problem: str, trace: str) -> FakeQuestion:
        return FakeQuestion("count", f"{HABIT}{habit}\n{PROBLEM}{problem}\n{TRACE}{trace}")


def read_question(request: TeacherRequest) -> tuple[str, str]:
    """Habit and trace."""
    habit, _, trace = request.prompt.split("\n", 2)
    return habit.removeprefix(HABIT), trace.removeprefix(TRACE)


class ScriptedTeacher:
    """Answers by a function of the request, which may raise; remembers what it was asked."""

    name = "scripted"

    def __init__(self, answer: Callable[[TeacherRequest], str]) -> None:
        self._answer = answer
        self.requests: list[TeacherRequest] = []

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        self.requests.append(request)
        return reply(self._answer(request))


def reply(text: str) -> TeacherReply:
    return TeacherReply(text, "judge-1", "stop", 10, 5, paid=True)


def demonstration(
    index: int, trace: str, *, prompt: str = "", reward: float = 1.0, primitive: str | None = None
) -> Demonstration:
    return Demonstration(
        id=f"d{index}",
        problem_id=f"addition:train:{index}",
        prompt=prompt,
        trace=trace,
        reward=reward,
        origin="teacher",
        primitive_id=primitive,
        prompt_tokens=7,
        completion_tokens=11,
    )


def answer(index: int, text: str, *, correct: float = 1.0) -> Trace:
    name = f"addition:test:{index}"
    return Trace("rl", 1, "test", name, "1+2", "3", text, correct, correct)
