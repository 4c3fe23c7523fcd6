# ruff: noqa: E501 - a table of sentences reads best one sentence a line
"""Knights & Knaves, as the built-in teacher knows it."""

from __future__ import annotations

from random import Random

from tailor_rl.tasks.knights.puzzle import PLAIN
from tailor_rl.tasks.knights.traces import Solver, Style
from tailor_rl.tasks.knights.wording import ReadPuzzle, read_puzzle, reworded
from tailor_rl.teachers.builtin.subject import Habit, Subject
from tailor_rl.teachers.builtin.subjects.knights_diagnosis import PATTERNS, diagnose
from tailor_rl.teachers.builtin.subjects.knights_habits import places

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
ASIDES = (
    Habit("subgoals", True, "sub-goals named", r"sub-?goals?|intermediate (goal|step)", (
        "Name a sub-goal before you work on it.",
        "Always say which intermediate goal comes next.",
    )),
    Habit("backward", True, "from what must hold", r"must hold|has to hold|would need|from the goal", (
        "Ask of one claim what must hold so that it fits, and try nothing else.",
        "Reason from the goal: which roles would need to be given?",
    )),
)  # fmt: skip


def _write(puzzle: ReadPuzzle, style: Style, rng: Random, slip: float) -> str:
    text = Solver(puzzle.names, puzzle.statements, style, rng=rng, slip=slip).write()
    return reworded(text, PLAIN, puzzle.role_words)


KNIGHTS = Subject(
    name="Knights & Knaves puzzles",
    style=Style,
    method="method",
    habits=HABITS,
    patterns=PATTERNS,
    read=read_puzzle,
    write=_write,
    diagnose=diagnose,
    asides=ASIDES,
    four={"verify": True, "retract": "explicit", "subgoals": True, "backward": True},
    places=places,
)
