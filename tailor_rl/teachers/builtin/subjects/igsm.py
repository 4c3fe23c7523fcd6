# ruff: noqa: E501 - a table of sentences reads best one sentence a line
"""iGSM, as the built-in teacher knows it."""

from __future__ import annotations

from random import Random

from tailor_rl.tasks.igsm.reading import ReadProblem, read_problem
from tailor_rl.tasks.igsm.traces import Solver, Style
from tailor_rl.teachers.builtin.subject import Habit, Subject
from tailor_rl.teachers.builtin.subjects.igsm_diagnosis import PATTERNS, diagnose
from tailor_rl.teachers.builtin.subjects.igsm_habits import places

HABITS = (
    Habit("order", "forward", "from what is told", r"\bforwards?\b|plain numbers|build (it )?up", (
        "Work forwards: settle a quantity as soon as all that it is made of has a value.",
        "Start with the quantities that are plain numbers, and go on from those until the question is reached.",
        "Let the solution build up from the text towards the question.",
    )),
    Habit("order", "backward", "from the question", r"\bbackwards?\b|from the question|asked for", (
        "Work backwards: see what the question depends on, what that depends on, and so on down to the text.",
        "Begin with what is asked for, and go down to its parts before you calculate.",
        "Start from the question and follow it to its sources.",
    )),
    Habit("everything", True, "no quantity left out", r"every quantity|everything|useless", (
        "Work out every quantity of the text, also those that look useless.",
        "Give a value to everything that can have one before you answer.",
    )),
    Habit("everything", False, "only what counts", r"only what|irrelevant|distract", (
        "Calculate only what the answer depends on.",
        "Leave irrelevant quantities alone, however many the text mentions.",
        "Do not let yourself be distracted: pass over whatever the answer can do without.",
    )),
    Habit("plan", True, "a plan first", r"\bplan\b|outline|list (what|all)", (
        "Make a plan: list what is needed, in the order of the work, before the first number.",
        "Outline the solution at the very beginning by naming its quantities in order.",
    )),
    Habit("restate", True, "sentence repeated", r"restat|repeat|quote\b|copy\b", (
        "Repeat the sentence about a quantity before you calculate with it.",
        "Quote each definition as it stands, and only then put numbers in.",
    )),
    Habit("verify", True, "second calculation", r"verif|double.?check|second time|check (the|all|every|each|your)", (
        "Verify: do all the operations a second time at the end.",
        "Double-check the sums when you are through, and start afresh where one has changed.",
    )),
    Habit("reflect", True, "gaps named aloud", r"\bunknown|missing|not known yet|notice", (
        "Notice aloud when something is unknown yet, and turn to that first.",
        "Whenever a value is missing, say which, and find it before you go on.",
    )),
    Habit("symbols", True, "letters", r"\bletters?\b|symbol|variable|algebra", (
        "Let letters stand for the quantities, and put the numbers in last.",
        "Introduce a symbol for whatever you define, and write operations as algebra.",
    )),
    Habit("symbols", False, "full names", r"side by side|(full|own) names?|abbreviat", (
        "Keep name and value side by side in each operation.",
        "Call things by their full names instead of abbreviating them.",
    )),
)  # fmt: skip
ASIDES = (
    Habit("subgoals", True, "sub-goals named", r"sub-?goals?|intermediate (goal|step)", (
        "Name a sub-goal before you work on it.",
        "Always say which intermediate goal comes next.",
    )),
    Habit("go_back", True, "retreat aloud", r"\bgo back|retreat|dead end", (
        "Where you are stuck, say so and go back.",
        "Admit a dead end, and retreat from it in so many words.",
    )),
    Habit("announce", True, "direction announced", r"announce|which direction|from where", (
        "Announce the direction of your work at the beginning.",
        "Say first in which direction you work.",
    )),
)  # fmt: skip


def _write(read: ReadProblem, style: Style, rng: Random, slip: float) -> str:
    return Solver(read, style, rng=rng, slip=slip).write()


IGSM_PROBLEMS = Subject(
    name="iGSM problems",
    style=Style,
    method="order",
    habits=HABITS,
    patterns=PATTERNS,
    read=read_problem,
    write=_write,
    diagnose=diagnose,
    asides=ASIDES,
    four={
        "order": "backward",
        "verify": True,
        "subgoals": True,
        "go_back": True,
        "announce": True,
    },
    places=places,
)
