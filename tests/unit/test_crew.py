"""How a crew is dismissed: what was paid for is waited for, and said, but not for ever."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from cluster.crew import Crew
from tailor_rl.errors import TeacherError


class FakeActor:
    def __init__(self, *, takes_s: float = 0.0, dead: bool = False) -> None:
        self._takes_s = takes_s
        self._dead = dead
        self.said = ""
        self.killed = False

    async def call(self, method: str, *args: Any) -> None:
        assert method == "aclose" and not self.killed
        if self._dead:
            raise TeacherError("teacher service 0 died")
        await asyncio.sleep(self._takes_s)
        self.said = "closed"

    def kill(self) -> None:
        self.killed = True


def crew_of(*services: FakeActor, last_words_s: float) -> Crew:
    others: Any = (FakeActor(),)
    teachers: Any = services
    return Crew(others, (), {}, teachers, None, last_words_s=last_words_s)


@pytest.mark.parametrize(("takes_s", "said"), [(0.0, False), (0.3, True)])
async def test_answers_that_are_on_their_way_are_waited_for(
    takes_s: float, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.crew.GRACE_S", 0.1)
    log: list[str] = []
    teacher = FakeActor(takes_s=takes_s)
    crew = crew_of(teacher, last_words_s=60)
    await crew.dismiss(log.append)
    assert teacher.said == "closed"
    assert bool(log) == said and ("waiting up to 60 s" in "".join(log)) == said
    assert all(actor.killed for actor in crew.actors)  # type: ignore[attr-defined]


async def test_a_teacher_that_never_closes_is_killed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cluster.crew.GRACE_S", 0.1)
    teacher = FakeActor(takes_s=60)
    begin = time.monotonic()
    await crew_of(teacher, last_words_s=0.1).dismiss(lambda line: None)
    assert teacher.killed and not teacher.said
    assert time.monotonic() - begin < 10


async def test_a_service_that_died_costs_the_others_no_answer() -> None:
    dead, living = FakeActor(dead=True), FakeActor(takes_s=0.1)
    await crew_of(dead, living, last_words_s=60).dismiss(lambda line: None)
    assert living.said == "closed" and living.killed


async def test_who_does_not_wait_for_the_last_words_leaves_no_actor_behind() -> None:
    crew = crew_of(FakeActor(takes_s=60), last_words_s=60)
    dismissing = asyncio.create_task(crew.dismiss(lambda line: None))
    await asyncio.sleep(0.01)
    dismissing.cancel()
    await asyncio.wait([dismissing])
    assert all(actor.killed for actor in crew.actors)  # type: ignore[attr-defined]
