"""Asked for the four habits, the built-in teacher shows them; asked for primitives in JSON, it
writes them so; and its server answers many at once.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import httpx
import pytest

from tailor_rl.measures.habits import HABITS, count_habits
from tailor_rl.tasks.countdown.task import Countdown
from tailor_rl.tasks.general_points.task import GeneralPoints
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.teachers.builtin import BuiltinTeacher
from tailor_rl.teachers.builtin.brain import reply, subject_of
from tailor_rl.teachers.builtin.judging import places
from tailor_rl.teachers.builtin.strengths import STRENGTHS
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Attempt

TASKS: dict[str, Any] = {
    "knights": KnightsKnaves(),
    "countdown": Countdown(),
    "points": GeneralPoints(),
    "igsm-small": IGSM(preset="small"),
    "igsm": IGSM(),
}
PROMPTS = Prompts()
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))


@pytest.fixture(scope="module")
def teacher_url() -> Iterator[str]:
    with BuiltinTeacher() as teacher:
        yield teacher.base_url


def shown(task: Any, index: int, *, habits: bool) -> tuple[str, str]:
    problem = task.problem("train", index).prompt
    asked = PROMPTS.habits(problem) if habits else PROMPTS.demonstrate(problem, instruction=None)
    return problem, reply(asked.prompt, temperature=0.4, rng=Random(index))


@each_task
def test_all_four_habits_are_seen_by_the_judge_and_by_the_patterns(task: Any) -> None:
    seen = dict.fromkeys(HABITS, 0)
    voiced = dict.fromkeys(HABITS, 0)
    for index in range(45):
        problem, text = shown(task, index, habits=True)
        assert task.grade(task.problem("train", index), text) == 1.0
        for habit, count in count_habits(text).items():
            found = places(habit, problem, text, subject=subject_of(problem))
            seen[habit] += bool(found)
            voiced[habit] += count > 0
    # Where the first try is right there is nothing to go back from, and without an operation
    # nothing to verify.
    assert min(seen.values()) >= 22, seen
    assert min(voiced.values()) >= 22, voiced


@each_task
def test_a_plain_solution_shows_fewer_habits(task: Any) -> None:
    totals = []
    for habits in (False, True):
        shows = 0
        for index in range(45):
            problem, text = shown(task, index, habits=habits)
            subject = subject_of(problem)
            shows += sum(bool(places(h, problem, text, subject=subject)) for h in HABITS)
        totals.append(shows)
    assert totals[0] < 0.7 * totals[1], totals


def discover_body(*, schema: bool) -> dict[str, Any]:
    problem = KnightsKnaves().problem("train", 1)
    attempts = [Attempt("a", problem.id, problem.prompt, "I guess", 0.0, "stop", 2)] * 2
    asked = PROMPTS.discover(attempts, num_primitives=3, known=[])
    body: dict[str, Any] = {
        "model": "builtin-solver",
        "messages": [{"role": "user", "content": asked.prompt}],
        "temperature": 0.8,
    }
    if schema:
        form = {"name": "answer", "schema": json.loads(asked.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def test_primitives_come_in_the_form_of_the_schema_where_one_is_sent() -> None:
    with BuiltinTeacher() as teacher, httpx.Client(base_url=teacher.base_url) as client:
        said = [
            client.post("/chat/completions", json=discover_body(schema=schema)).json()["choices"][
                0
            ]["message"]["content"]
            for schema in (False, True)
        ]
    assert said[0].startswith("PATTERN: ")
    rows = json.loads(said[1])["primitives"]
    assert len(rows) == 3
    assert all(set(row) == {"pattern", "name", "instruction"} for row in rows)
    assert all(row["instruction"].strip() for row in rows)


def test_every_strength_is_listed_and_answers_under_its_own_name() -> None:
    with BuiltinTeacher() as teacher, httpx.Client(base_url=teacher.base_url) as client:
        listed = [row["id"] for row in client.get("/models").json()["data"]]
        assert listed == list(STRENGTHS) and len(listed) == 3
        for name in listed:
            answer = client.post(
                "/chat/completions", json=discover_body(schema=False) | {"model": name}
            )
            assert answer.json()["model"] == name


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"x"',
        b'{"model": "builtin-solver", "messages": []}',
        b'{"model": "builtin-solver", "messages": [{"content": ["x"]}]}',
        b'{"model": ["x"], "messages": [{"content": "x"}]}',
        b'{"model": "builtin-solver", "messages": [{"content": "x"}], "temperature": NaN}',
        b'{"model": "builtin-solver", "messages": [{"content": "x"}], "temperature": -1}',
        b'{"model": "builtin-solver", "messages": [{"content": "x"}], "max_tokens": "9"}',
        b'{"model": "builtin-solver", "messages": [{"content": "x"}], "response_format": "json"}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_request_is_refused_in_words(teacher_url: str, body: bytes) -> None:
    answer = httpx.post(f"{teacher_url}/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_header_that_is_no_length_is_refused_and_the_connection_ends() -> None:
    with BuiltinTeacher() as teacher:
        host, port = httpx.URL(teacher.base_url).host, httpx.URL(teacher.base_url).port
        with socket.create_connection((host, port or 0), timeout=5) as line:
            line.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n")
            said = b"".join(iter(lambda: line.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length" in said


async def test_64_connections_at_once_are_all_answered_without_a_wait_for_a_lost_packet() -> None:
    body = {"model": "builtin-solver", "messages": [{"role": "user", "content": "hello"}]}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    with BuiltinTeacher() as teacher:
        async with httpx.AsyncClient(
            base_url=teacher.base_url, limits=limits, timeout=20
        ) as client:
            once = time.perf_counter()
            await asyncio.gather(
                *(client.post("/chat/completions", json=body | {"seed": i}) for i in range(64))
            )
            once = time.perf_counter() - once
            start = time.perf_counter()
            for i in range(40):
                answer = await client.post("/chat/completions", json=body | {"seed": i})
                assert answer.status_code == 200
            in_turn = time.perf_counter() - start
    assert once < 10
    assert in_turn < 1.2  # 40 ms each, were the answer sent in two parts that wait for each other
