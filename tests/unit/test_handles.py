"""What Ray is asked for when an actor starts, with a Ray that only remembers it."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.handles import Actor, Seat
from cluster.placement import Share
from tailor_rl.concurrency import ROLLOUTS_IN_FLIGHT
from tailor_rl.errors import TeacherError


class FakeRay:
    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def __call__(self, host: type) -> FakeRay:
        return self

    def options(self, **asked: Any) -> FakeRay:
        self.asked = asked
        return self

    def remote(self) -> str:
        return "a handle"


@pytest.mark.parametrize("concurrent", [True, False])
def test_ray_holds_back_the_calls_of_a_learner_rank_and_no_others(
    concurrent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRay()
    monkeypatch.setattr("ray.remote", fake)
    seat = Seat(Share(cpus=0, gpus=0), 1)
    Actor.start("an actor", seat, failure=TeacherError, concurrent=concurrent)
    at_once = fake.asked.get("max_concurrency", 1000 if concurrent else 1)  # Ray's own defaults
    # A demonstration for each of thousands of problems is asked for at once, too.
    assert at_once >= 100 * ROLLOUTS_IN_FLIGHT if concurrent else at_once == 1
