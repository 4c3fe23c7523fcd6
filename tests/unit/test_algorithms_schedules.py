"""Learning rates by the step, and the punishment of length."""

from __future__ import annotations

import math

import pytest

from tailor_rl.algorithms.rewards import soft_overlong_punishment
from tailor_rl.algorithms.schedules import learning_rate


def test_soft_overlong_punishment_sinks_over_the_buffer() -> None:
    lengths = [0, 80, 85, 90, 100, 101, 1000]
    punished = [soft_overlong_punishment(n, max_tokens=100, buffer=20) for n in lengths]
    assert punished == pytest.approx([0, 0, -0.25, -0.5, -1, -1, -1])
    assert soft_overlong_punishment(1000, max_tokens=100, buffer=0) == 0.0
    with pytest.raises(ValueError, match="buffer"):
        soft_overlong_punishment(1, max_tokens=100, buffer=101)


def test_constant_schedule_warms_up_linearly() -> None:
    rates = [
        learning_rate(step, peak=2.0, warmup_steps=4, num_steps=8, schedule="constant")
        for step in range(8)
    ]
    assert rates == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_cosine_schedule_starts_at_the_peak_and_wastes_no_step() -> None:
    rates = [
        learning_rate(step, peak=2.0, warmup_steps=2, num_steps=6, schedule="cosine")
        for step in range(7)
    ]
    half = math.sqrt(0.5)
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1 + half, 1.0, 1 - half, 0.0])
    assert learning_rate(9, peak=2.0, warmup_steps=2, num_steps=6, schedule="cosine") == 0.0
    with pytest.raises(ValueError, match="counted from 0"):
        learning_rate(-1, peak=1.0, warmup_steps=0, num_steps=1, schedule="constant")
