"""Rule-made traces of Countdown problems in many styles."""

from __future__ import annotations

from random import Random

from tailor_rl.tasks.countdown.traces import Solver, Style
from tailor_rl.tasks.countdown.wording import Given
from tailor_rl.tasks.styles import drawn_style


def varied_trace(given: Given, draw: int, *, seed: str) -> str:
    """In the style number `draw`: a solver's habits, drawn one by one. `seed` and `draw` decide
    which failures are shown, at most as many as in `rule_based`.
    """
    tries = (2, 6, 12) if len(given.numbers) <= 3 else (2, 5, 8)
    style = drawn_style(Style, Random(f"countdown/style/{draw}"), numbers={"tries": tries})
    return Solver(given, style, rng=Random(f"countdown/varied/{draw}/{seed}")).write()
