"""GeneralPoints, as the built-in teacher knows it: Countdown's habits on the values of cards."""

from __future__ import annotations

from dataclasses import replace

from tailor_rl.tasks.general_points.wording import read_hand
from tailor_rl.teachers.builtin.subjects.countdown import COUNTDOWN
from tailor_rl.teachers.builtin.subjects.countdown_diagnosis import HAND_PATTERNS, diagnose_hand

GENERAL_POINTS = replace(
    COUNTDOWN,
    name="hands of cards",
    patterns=HAND_PATTERNS,
    read=read_hand,
    diagnose=diagnose_hand,
)
