"""sync_weights and MeetingChannel: both sides run together, no failure leaves one waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailor_rl.errors import LearnerError, WeightSyncError
from tailor_rl.sync import MeetingChannel, sync_weights
from tailor_rl.types import WeightVersion

VERSION = WeightVersion(step=7, checksum="abc")


class FakeLearner:
    def __init__(
        self, events: list[str], *, fails: bool = False, never_offers: bool = False
    ) -> None:
        self.events = events
        self.fails = fails
        self.never_offers = never_offers

    async def version(self) -> WeightVersion:
        return VERSION

    async def send(self, version: WeightVersion, channel: Any) -> None:
        self.events.append("send begins")
        if self.fails:
            raise LearnerError("rank 1 is gone")
        if self.never_offers:
            await _wait_for_cancellation(self.events, "send cancelled")
        await channel.offer(("weights", version))
        self.events.append("send ends")


class FakePool:
    def __init__(
        self, events: list[str], *, fails: bool = False, never_accepts: bool = False
    ) -> None:
        self.events = events
        self.fails = fails
        self.never_accepts = never_accepts
        self.received: Any = None

    async def receive(self, version: WeightVersion, channel: Any) -> None:
        self.events.append("receive begins")
        if self.fails:
            raise WeightSyncError("engine 0: wrong checksum")
        if self.never_accepts:
            await _wait_for_cancellation(self.events, "receive cancelled")
        try:
            self.received = await channel.accept()
        except asyncio.CancelledError:
            self.events.append("receive cancelled")
            raise
        self.events.append("receive ends")


async def _wait_for_cancellation(events: list[str], note: str) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        events.append(note)
        raise


def sync(learner: FakeLearner, pool: FakePool, timeout_s: float = 5.0) -> WeightVersion:
    return asyncio.run(sync_weights(learner, pool, timeout_s=timeout_s))  # type: ignore[arg-type]


def test_both_sides_are_there_before_either_is_done() -> None:
    events: list[str] = []
    pool = FakePool(events)
    assert sync(FakeLearner(events), pool) == VERSION
    assert pool.received == ("weights", VERSION)
    assert set(events[:2]) == {"send begins", "receive begins"}
    assert set(events[2:]) == {"send ends", "receive ends"}


def test_a_failing_learner_cancels_the_pool_and_its_own_error_is_seen() -> None:
    events: list[str] = []
    with pytest.raises(LearnerError, match="rank 1 is gone"):
        sync(FakeLearner(events, fails=True), FakePool(events))
    assert "receive ends" not in events


def test_a_failing_pool_cancels_a_learner_that_waits_to_be_met() -> None:
    events: list[str] = []
    with pytest.raises(WeightSyncError, match="wrong checksum"):
        sync(FakeLearner(events, never_offers=True), FakePool(events, fails=True))
    assert "send cancelled" in events


def test_a_deadline_names_the_side_that_was_waited_for() -> None:
    events: list[str] = []
    with pytest.raises(WeightSyncError, match="the engines' receive and the learner's send"):
        sync(FakeLearner(events), FakePool(events, never_accepts=True), timeout_s=0.05)
    assert "receive cancelled" in events


def test_an_offer_is_over_only_when_it_was_accepted() -> None:
    async def meet() -> tuple[bool, Any]:
        channel = MeetingChannel()
        offer = asyncio.create_task(channel.offer("payload"))
        await asyncio.sleep(0.01)
        over_too_soon = offer.done()
        payload = await channel.accept()
        await asyncio.wait_for(offer, 1)
        return over_too_soon, payload

    assert asyncio.run(meet()) == (False, "payload")
