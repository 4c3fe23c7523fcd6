"""Stand-ins for what the screen of primitives talks to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import UnusableAnswer
from tailor_rl.types import Primitive, Problem

RED_TEAM = Path(__file__).parent / "data" / "red_team.jsonl"

Answer = str | Exception


def red_team(split: str) -> list[dict[str, str]]:
    """Rows of text, label ("unsafe", "injecting", "harmless"), category, obfuscation and note."""
    rows = [json.loads(line) for line in RED_TEAM.read_text().splitlines()]
    return [row for row in rows if row["split"] == split]


class ScriptedTeacher:
    """Answers by `say(request)`: a text, "" for an answer without one, or an error to raise."""

    name = "scripted"

    def __init__(self, say: Callable[[TeacherRequest], Answer]) -> None:
        self._say = say
        self.requests: list[TeacherRequest] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.005)
        self.in_flight -= 1
        answer = self._say(request)
        if isinstance(answer, Exception):
            raise answer
        reply = TeacherReply(answer, self.name, "stop", 1, 1, paid=True)
        if not answer:
            raise UnusableAnswer("no text", reply)
        return reply


class MeaningEmbedder:
    """Texts with the same first word mean the same; any two others have nothing in common."""

    name = "first-word"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.calls += 1
        firsts = list(dict.fromkeys(text.split()[0] for text in texts))
        points_ND = np.zeros((len(texts), len(firsts)))
        for i, text in enumerate(texts):
            points_ND[i, firsts.index(text.split()[0])] = 1.0
        return points_ND


def primitive(
    number: int, instruction: str, *, name: str = "A name", targets: str = ""
) -> Primitive:
    return Primitive(
        id=f"primitive-{number:03d}", name=name, instruction=instruction, targets=targets,
        source_attempt_ids=(), teacher="scripted", temperature=0.8,
    )  # fmt: skip


def problems(num: int) -> list[Problem]:
    """Additions: the answer is the text."""
    return [
        Problem(id=f"addition:train:{i}", prompt=f"{i}+1", answer=str(i + 1), split="train",
                difficulty=1)
        for i in range(num)
    ]  # fmt: skip
