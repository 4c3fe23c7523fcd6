"""Learning rates as functions of the step."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cosine"]


def learning_rate(
    step: int, *, peak: float, warmup_steps: int, num_steps: int, schedule: Schedule
) -> float:
    """Learning rate of update `step` (counted from 0): linear warm-up, then constant or cosine.

    With W = `warmup_steps`, N = `num_steps`::

        peak (step + 1) / W                                     step < W
        peak                                                    constant
        peak (1 + cos(pi (step - W) / (N - W))) / 2             cosine

    The cosine is equation 5 of SGDR (arXiv 1608.03983). It would reach 0 at step N, after the last
    update, so no update is wasted. Steps beyond N keep the rate of step N.
    """
    if step < 0:
        raise ValueError(f"steps are counted from 0, not {step}")
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if schedule == "constant":
        return peak
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return peak * (1.0 + math.cos(math.pi * min(progress, 1.0))) / 2.0
