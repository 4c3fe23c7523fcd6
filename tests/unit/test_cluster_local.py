"""A Ray of a run's own on a busy machine: tried again, and nothing of a failed start is left."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import psutil
import pytest
import ray

from cluster import local
from cluster.placement import Plan, Share
from tailor_rl.errors import TailorError

SHARE = Share(cpus=0.5, gpus=0)
PLAN = Plan(engines=1, engine=SHARE, ranks=1, rank=SHARE, teachers=0)
TOO_SLOW = "The current node timed out during startup. This could happen because some of the ..."


class SlowRay:
    """Starts a process, as Ray does, and fails the first `fails` times by `error`."""

    def __init__(self, fails: int, error: str = TOO_SLOW) -> None:
        self.fails, self.error = fails, error
        self.begun: list[psutil.Process] = []

    def init(self, **_: Any) -> None:
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        self.begun.append(psutil.Process(sleeper.pid))
        if len(self.begun) <= self.fails:
            raise Exception(self.error)

    def alive(self) -> list[bool]:
        return [each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in self.begun]


@pytest.fixture
def slow_ray(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SlowRay:
    fake = SlowRay(**request.param)
    monkeypatch.setattr(ray, "init", fake.init)
    monkeypatch.setattr(local, "PAUSE_S", 0.01)
    request.addfinalizer(lambda: [each.kill() for each in fake.begun if each.is_running()])
    return fake


@pytest.mark.parametrize("slow_ray", [{"fails": 2}], indirect=True)
def test_a_slow_start_is_tried_again(slow_ray: SlowRay) -> None:
    with local.ray_session("local", PLAN) as started_here:
        assert started_here
        for failed in slow_ray.begun[:-1]:
            psutil.wait_procs([failed], timeout=5)
        assert slow_ray.alive() == [False, False, True]


@pytest.mark.parametrize("slow_ray", [{"fails": 9}], indirect=True)
def test_a_machine_too_busy_for_ray_is_named(slow_ray: SlowRay) -> None:
    with (
        pytest.raises(TailorError, match="did not start in 3 tries: this machine is too busy"),
        local.ray_session("local", PLAN),
    ):
        pass
    assert len(slow_ray.begun) == 3


@pytest.mark.parametrize("slow_ray", [{"fails": 9, "error": "no space"}], indirect=True)
def test_another_fault_is_not_tried_again(slow_ray: SlowRay) -> None:
    with pytest.raises(Exception, match="no space"), local.ray_session("local", PLAN):
        pass
    assert len(slow_ray.begun) == 1
