"""A teacher that the run hosts: real vLLM in a Ray actor, beside the built-in one, behind real
services with a purchase book. One engine for all tests; the last one kills it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.crew import Crew, hire
from cluster.handles import Actor, TeacherHandle
from cluster.hosted import build_hosted, fetch_hosted_models
from cluster.local import cluster_nodes, ray_session
from cluster.placement import check_fits, make_plan
from cluster.teaching import build_services, hire_services, open_teachers, teacher_of
from cluster.watch import guarded
from tailor_rl.concurrency import together
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.endpoints import Endpoint
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tests.tiny import make_student

MAX_MODEL_LEN = 512
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}


def question(i: int, **changes: Any) -> TeacherRequest:
    plain = TeacherRequest("demonstrate", "Be brief.", f"What is {i} + 1?", 1.0, 24)
    return replace(plain, **changes)


QUESTIONS = [question(i) for i in range(24)]


class World:
    """A crew whose only vLLM is the hosted teacher's, on an event loop that tests take turns on."""

    def __init__(self, cfg: RunConfig, endpoints: list[Endpoint], book: Path) -> None:
        self.cfg, self.endpoints, self.book = cfg, endpoints, book
        # A run has rollout engines and ranks too; here they would only take time.
        plan = replace(make_plan(cfg), engines=0, ranks=0)
        check_fits(plan, cluster_nodes())
        self.runner = asyncio.Runner()
        self.crew = hire(plan, cfg, reserve=True)

    async def build(self) -> None:
        models = fetch_hosted_models(self.cfg)
        await together(
            [
                build_hosted(self.crew.hosted, self.cfg, folders=models),
                self.build_services(self.crew.teachers, self.cfg),
            ]
        )

    async def build_services(self, services: tuple[Actor, ...], cfg: RunConfig) -> None:
        await build_services(
            services, cfg, endpoints=self.endpoints, hosted=self.crew.hosted, book=self.book
        )

    @property
    def teacher(self) -> TeacherHandle:
        return teacher_of(self.cfg, self.crew.teachers)

    @property
    def engine(self) -> Actor:
        return self.crew.hosted["own"][0]

    def ask(self, requests: list[TeacherRequest]) -> list[TeacherReply]:
        return self.runner.run(together(self.teacher.complete(each) for each in requests))

    def ask_engine(self, request: TeacherRequest) -> TeacherReply:
        reply: TeacherReply = self.runner.run(
            self.engine.call("complete", request, deadline_s=60.0)
        )
        return reply

    def generated_tokens(self) -> int:
        return int(self.runner.run(self.engine.call("stats")).generated_tokens)

    @contextlib.contextmanager
    def other_services(self, **teacher: Any) -> Iterator[TeacherHandle]:
        """The same teachers and book behind new services with other settings."""
        cfg = self.cfg.model_copy(update={"teacher": self.cfg.teacher.model_copy(update=teacher)})
        services = hire_services(1, cfg)
        try:
            self.runner.run(self.build_services(services, cfg))
            yield teacher_of(cfg, services)
        finally:
            for each in services:
                each.kill()


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    # An answer without a text is an error, and a random student's draws differ between machines.
    return str(make_student(tmp_path_factory.mktemp("student"), tied=False, talkative=True))


@pytest.fixture(scope="module")
def world(student: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    cfg = RunConfig.model_validate(
        {
            "student": student,
            "task": {"name": "knights"},
            "teacher": {
                "actors": 2,
                "more": {
                    "own": {
                        "base_url": "vllm",
                        "model": student,
                        "structured_output": True,
                        "price_completion": 1e6,  # so that money counts completion tokens
                        "hosted": {
                            "dtype": "float32",
                            "max_sequences": 16,
                            "max_model_len": MAX_MODEL_LEN,
                            "kv_cache_gib": 0.1,
                        },
                    }
                },
            },
        }
    )
    book = tmp_path_factory.mktemp("run") / "teacher.sqlite"
    with open_teachers(cfg) as endpoints, ray_session("local", make_plan(cfg)):
        built = World(cfg, endpoints, book)
        try:
            built.runner.run(built.build())
            yield built
        finally:
            built.runner.run(built.crew.dismiss(print))
            built.runner.close()


def test_two_teachers_share_the_requests_and_every_answer_is_in_the_book(
    world: World, student: str
) -> None:
    replies = world.ask(QUESTIONS)
    assert {reply.model for reply in replies} == {"builtin-solver", student}
    assert all(reply.paid and reply.text.strip() for reply in replies)
    own = [reply for reply in replies if reply.model == student]
    assert {reply.finish_reason for reply in own} <= {"stop", "length"}
    for reply in own:
        assert 1 <= reply.completion_tokens <= 24
        assert reply.cost == pytest.approx(reply.completion_tokens)
    with sqlite3.connect(world.book) as book:
        states = book.execute("SELECT state, COUNT(*) FROM purchases GROUP BY state").fetchall()
    assert states == [("received", len(QUESTIONS))]


def test_answers_that_were_bought_cost_nothing_again_also_in_other_services(world: World) -> None:
    first = world.ask(QUESTIONS)
    before = world.generated_tokens()
    with world.other_services() as teacher:
        again = world.runner.run(together(teacher.complete(each) for each in QUESTIONS))
    assert [reply.text for reply in again] == [reply.text for reply in first]
    assert not any(reply.paid for reply in again)
    assert world.generated_tokens() == before


def test_the_sample_number_draws_another_answer_and_the_same_request_the_same(
    world: World,
) -> None:
    draws = [world.ask_engine(question(0, sample=i, max_tokens=64)) for i in (0, 1, 0)]
    assert draws[0].text == draws[2].text != draws[1].text


def test_an_answer_follows_the_schema_that_is_asked_for(world: World) -> None:
    asked = [
        question(i, schema=json.dumps(SCHEMA), max_tokens=300, teacher="own") for i in range(4)
    ]
    for reply in world.ask(asked):
        assert reply.finish_reason == "stop"
        answer = json.loads(reply.text, strict=False)  # a random model likes control characters
        assert set(answer) == {"name", "count"} and isinstance(answer["count"], int)


def test_a_schema_that_is_none_is_one_sentence_and_the_engine_goes_on(world: World) -> None:
    with pytest.raises(TeacherError, match="refused a request") as refusal:
        world.ask_engine(question(0, schema='{"type": "nonsense"}'))
    assert "\n" not in str(refusal.value)
    world.ask_engine(question(0))


def test_a_prompt_longer_than_the_context_is_a_matter_of_that_question_alone(
    world: World,
) -> None:
    long = question(0, prompt="x" * MAX_MODEL_LEN, teacher="own")
    with pytest.raises(UnusableAnswer, match=r"no room .* hosted\.max_model_len=512"):
        world.ask([long])
    # One that leaves little room is answered as far as that goes.
    reply = world.ask_engine(question(0, prompt="x" * (MAX_MODEL_LEN - 100), max_tokens=400))
    assert reply.prompt_tokens + reply.completion_tokens <= MAX_MODEL_LEN


def test_a_spent_budget_stops_the_hosted_teacher_and_not_what_was_bought(world: World) -> None:
    bought = world.ask([question(1, teacher="own")])[0]
    with world.other_services(budget_tokens=1) as teacher:
        again = world.runner.run(teacher.complete(question(1, teacher="own")))
        assert (again.text, again.paid) == (bought.text, False)
        before = world.generated_tokens()
        with pytest.raises(BudgetSpent, match=r"teacher\.budget_tokens allows 1"):
            world.runner.run(teacher.complete(question(1000, teacher="own")))
    assert world.generated_tokens() == before


def test_a_killed_engine_is_a_teacher_error_that_names_it_and_the_book_still_answers(
    world: World,
) -> None:
    first = world.ask(QUESTIONS)

    async def kill(crew: Crew) -> int:
        pid = (await world.engine.place()).pid
        idle = asyncio.create_task(guarded(asyncio.sleep(60), crew.actors))
        await asyncio.sleep(1.0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(TeacherError, match="engine 0 of hosted teacher 'own' died"):
            await idle
        return pid

    killed = time.monotonic()
    world.runner.run(kill(world.crew))
    with pytest.raises(TeacherError, match="engine 0 of hosted teacher 'own' died") as death:
        world.ask([question(2000, teacher="own")])
    assert time.monotonic() - killed < 15
    assert "\n" not in str(death.value)
    assert [reply.text for reply in world.ask(QUESTIONS)] == [reply.text for reply in first]
