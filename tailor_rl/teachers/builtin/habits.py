# ruff: noqa: E501 - a table of sentences reads best one sentence a line
"""What instructions ask for: free text to a Knights & Knaves style, and a style to free text.

Reading is by keywords, so an instruction written by a person or by another teacher works as well as
our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tailor_rl.tasks.knights.traces import Style


@dataclass(frozen=True, slots=True)
class Habit:
    """One value of one field of a style: how it is asked for, and by which words it is recognised."""

    field: str
    value: Any
    label: str
    cues: str  # a regular expression, matched without case
    wordings: tuple[str, ...]


HABITS = (
    Habit("method", "cases", "whole cases", r"complete case|whole case|everybody at once|full assignment", (
        "Write down a complete case that gives everybody a role before you judge a single claim.",
        "Work with full assignments: name the role of everybody at once, then test what they say.",
        "Always think in whole cases, never about one person alone.",
    )),
    Habit("method", "grow", "one person at a time", r"one person at a time|step by step along the people|grow", (
        "Settle one person at a time, and judge a claim as soon as everybody in it has a role.",
        "Let the solution grow: give the next person a role, test what is decided by now, and only then go on.",
        "Go step by step along the people, so that a wrong start is noticed early.",
    )),
    Habit("knights_first", True, "trusting start", r"people to be knights|knights? first|trust|honest", (
        "Assume people to be knights first, and turn to knaves only when that fails.",
        "Begin by trusting: try knight before knave for every person.",
        "Start from the idea that people are honest.",
    )),
    Habit("knights_first", False, "suspicious start", r"people to be knaves|knaves? first|suspicio|liar", (
        "Assume people to be knaves first, and turn to knights only when that fails.",
        "Begin with suspicion: try knave before knight for every person.",
        "Start from the idea that everyone is a liar.",
    )),
    Habit("last_fastest", True, "last one moves", r"last (person|speaker).{0,30}(change|flip|move|vary)", (
        "When a case has to change, let the last person change and keep the earlier ones.",
        "Go through the possibilities in order, so that the last person changes fastest.",
    )),
    Habit("last_fastest", False, "first one moves", r"first (person|speaker).{0,30}(change|flip|move|vary)", (
        "When a case has to change, let the first person change and keep the later ones.",
        "Go through the possibilities so that the first speaker moves fastest.",
    )),
    Habit("check_forward", True, "in order told", r"order (in which )?(they|it|the claims) (are|is|were) (told|made)|top to bottom|first claim to the last", (
        "Judge the claims from top to bottom.",
        "Test what is said in the order in which the claims are told.",
    )),
    Habit("check_forward", False, "last claim first", r"backwards?|from the last claim|bottom to top|last claim first", (
        "Work backwards: judge from the last claim to the first.",
        "Judge the claims from bottom to top, since the last claim first often decides.",
    )),
    Habit("facts_first", True, "facts first", r"facts? (first|before)|list (all )?(the )?(facts|claims)|restate", (
        "List the facts first: repeat who says what before you assume anything.",
        "Restate every claim in short before the first assumption, so that none is misread later.",
    )),
    Habit("verify", True, "final check", r"verif|double.?check|check (everything |it |the answer )?(again|once more)|second time", (
        "When a case fits, verify it: judge all the claims a second time before you answer.",
        "Double-check the case that you want to answer against every claim.",
    )),
    Habit("retract", "explicit", "take it back aloud", r"take (it|that|the assumption) back|retract|withdraw", (
        "On a contradiction say so and take that back before you try the next possibility.",
        "Retract openly: a conflict ends the assumption, and you say that it is withdrawn.",
    )),
    Habit("retract", "next", "straight to the next", r"straight to the next|move on at once|say next|next one at once", (
        "At the first conflict stop judging and go straight to the next possibility.",
        "Waste no words on a failed possibility: at a conflict move on at once.",
    )),
    Habit("retract", "silent", "quiet about failures", r"no comment|silently|without comment|quiet", (
        "Drop a failed possibility without comment.",
        "Change a failed assumption silently and keep the text short.",
    )),
    Habit("numbered", True, "numbered table", r"number(ed)?\b|\btable\b|tabulat", (
        "Keep a table: give every attempt a number so that none is tried twice.",
        "Number what you try, one line after the other.",
    )),
)  # fmt: skip


def recognised(instruction: str) -> dict[str, Any]:
    """The fields that an instruction speaks of, by its words; the first habit of a field that
    matches counts.
    """
    fields: dict[str, Any] = {}
    for habit in HABITS:
        if habit.field not in fields and re.search(habit.cues, instruction, re.IGNORECASE):
            fields[habit.field] = habit.value
    return fields


def style_for(instruction: str | None, rng: Random, *, variety: float) -> Style:
    """A style that obeys the instruction; each field it leaves open is drawn at random with chance
    `variety`.
    """
    fields = recognised(instruction or "")
    for habit in rng.sample(HABITS, len(HABITS)):
        if habit.field not in fields and rng.random() < variety / 2:
            fields[habit.field] = habit.value
    return replace(Style(), **fields)


def describe(habits: Iterable[Habit], rng: Random) -> tuple[str, str]:
    """A name and an instruction in words for a set of habits."""
    chosen = list(habits)
    name = ", ".join(habit.label for habit in chosen[:2])
    return name.capitalize(), " ".join(rng.choice(habit.wordings) for habit in chosen)
