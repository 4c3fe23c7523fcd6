# ruff: noqa: E501 - a table of sentences reads best one sentence a line
"""Countdown, as the built-in teacher knows it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tailor_rl.tasks.countdown.traces import Solver, Style
from tailor_rl.tasks.countdown.wording import Given, UnreadableProblem, read_problem
from tailor_rl.teachers.builtin.subject import Habit, Subject
from tailor_rl.teachers.builtin.subjects.countdown_diagnosis import PATTERNS, diagnose
from tailor_rl.teachers.builtin.subjects.countdown_habits import places

_MOST_NUMBERS = 6  # the task's own limit; beyond it a search may take minutes
_MOST_TRIES = 8  # with more than three numbers, so that a trace stays within 1,024 tokens

# None asks for no tries at all, or to leave comparing out: a solution that falls from the sky, and
# results that nobody looks at, are nothing to learn from.
HABITS = (
    Habit("method", "forward", "from the numbers up", r"\bforwards?\b|build (it )?up(wards)?\b", (
        "Work forwards: join two of the numbers, see what is left, and go on from there.",
        "Start from the given numbers and build upwards, two at a time, until one is left.",
        "Think forwards, from what you have to what you could make of it.",
    )),
    Habit("method", "backward", "back from the target", r"\bbackwards?\b|target apart|\bundo", (
        "Work backwards: undo one operation on the target, then ask whether the other numbers make what is needed.",
        "Take the target apart: set one number aside and look for what the rest must then make.",
        "Think backwards, from the target to what would be needed for it.",
    )),
    Habit("method", "subgoals", "a sub-goal first", r"sub-?goal|intermediate (goal|target)", (
        "Name a sub-goal first: a value from which one last operation reaches the target.",
        "Set yourself an intermediate target, make it from some of the numbers, and finish with the one that you kept.",
        "Always say which sub-goal you are after before you calculate anything.",
    )),
    Habit("tries", 2, "look ahead", r"look ahead|hopeless|search short", (
        "Look ahead before you calculate, so that a try or two are enough.",
        "Keep the search short: pass over hopeless possibilities and write only promising ones.",
    )),
    Habit("tries", 12, "patient search", r"patien|\bmany (ways|tries)|dozen", (
        "Be patient: go through many ways, a dozen if need be, before you settle for an answer.",
        "Search with patience and pass over no possibility, however unlikely it looks.",
    )),
    Habit("each", True, "all operations in turn", r"in (a|one) row|(every|all) (the )?operations?", (
        "For the last two numbers, write every operation in a row and see which of the results fits.",
        "As soon as two numbers are left, run through all the operations on them at once.",
    )),
    Habit("each", False, "one calculation at a time", r"(calculation|operation) at a time|single (calculation|operation)", (
        "Make one calculation at a time, and decide on it before the next.",
        "Write a single operation in a sentence, never a list of them.",
    )),
    Habit("products_first", True, "products first", r"products? first|multipl[^.]{0,40}before", (
        "Try multiplication and division before addition and subtraction.",
        "Products first: multiply or divide wherever you can, and add or take away afterwards.",
    )),
    Habit("products_first", False, "sums first", r"sums? first|addition[^.]{0,40}before", (
        "Try addition and subtraction before multiplication and division.",
        "Sums first: add or take away as long as you can, and multiply or divide afterwards.",
    )),
    Habit("large_first", True, "large numbers first", r"larg[^.]{0,40}\bfirst|largest|large to small", (
        "Begin with the largest numbers, since they decide how near you come.",
        "Sort the numbers from large to small and use them in that order.",
    )),
    Habit("large_first", False, "numbers as given", r"as (they are )?(given|told)\b|left to right", (
        "Use the numbers in the order as given.",
        "Go through the numbers from left to right and do not rearrange them.",
    )),
    Habit("restate", True, "task repeated", r"restat|repeat the (task|question)|say what is asked", (
        "Restate the task first: which numbers there are and what they have to make.",
        "Repeat the question before the first step, so that no number is forgotten.",
    )),
    Habit("verify", True, "results compared", r"verif|double.?check|compare\b|check (the|each|every|your)", (
        "Compare each result with the target, and verify the whole solution before you answer.",
        "Double-check the way that you found: calculate it once more from the inside out.",
    )),
    Habit("retract", "explicit", "go back aloud", r"\bgo back|take (it|that) back|\breturn to", (
        "When a way fails, say that you go back, and to which numbers.",
        "After a dead end return to the numbers that you had before, and name them.",
    )),
    Habit("retract", "again", "another attempt", r"try again|new attempt|fresh attempt", (
        "After a failure say no more than that you try again.",
        "Announce a new attempt briefly wherever the last one has failed.",
    )),
    Habit("retract", "silent", "quiet about failures", r"silent|without (a )?comment|no comment", (
        "Drop a way that fails without a comment.",
        "Turn silently from a dead end to the next possibility.",
    )),
    Habit("numbered", True, "numbered tries", r"number what you|\bnumbered\b|count (your|the) (tries|attempts)", (
        "Number what you try, so that nothing is tried twice.",
        "Keep a numbered record of the search.",
    )),
)  # fmt: skip
ASIDES = (
    Habit("goals", True, "what is needed is a goal", r"\bcall\b[^.]{0,50}\bgoals?\b", (
        "On the way back call whatever is needed a goal.",
        "Call everything that is still needed a goal of its own.",
    )),
)  # fmt: skip


def _read(problem: str) -> Given:
    given = read_problem(problem)
    if len(given.numbers) > _MOST_NUMBERS or "+" not in given.operators:
        raise UnreadableProblem("a problem has at most six numbers, and they may be added")
    return given


def _write(given: Given, style: Style, rng: Random, slip: float) -> str:
    if len(given.numbers) > 3:
        style = replace(style, tries=min(style.tries, _MOST_TRIES))
    return Solver(given, style, rng=rng, slip=slip).write()


COUNTDOWN = Subject(
    name="Countdown problems",
    style=Style,
    method="method",
    habits=HABITS,
    patterns=PATTERNS,
    read=_read,
    write=_write,
    diagnose=diagnose,
    asides=ASIDES,
    four={"method": "backward", "goals": True, "verify": True, "retract": "explicit"},
    places=places,
)
