"""What a teacher is asked, and the inverses, for teachers that are programs.

Foreign text stands verbatim in a Markdown code block whose fence is longer than any run of
backticks inside it, so a student's answer that imitates a heading changes nothing::

    ### Student's answer (wrong)
    ```
    Bob says ...
    ```

The words are files (tailor_rl/prompts), which a user may replace; see prompt_files.py. The inverses
read the shipped ones, and others that keep their headings and the titles of their blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tailor_rl.measures.habits import HABITS
from tailor_rl.teachers.parse import Draft, format_primitives, parse_primitives
from tailor_rl.teachers.prompt_files import ShownAttempt, read_prompt_files
from tailor_rl.types import Attempt

__all__ = [
    "Asked",
    "DemonstratePrompt",
    "DiscoverPrompt",
    "Draft",
    "Prompts",
    "ShownAttempt",
    "demonstrate_prompt",
    "discover_prompt",
    "format_primitives",
    "parse_demonstrate_prompt",
    "parse_discover_prompt",
    "parse_guard_prompt",
    "parse_habits_prompt",
    "parse_judge_prompt",
    "parse_primitives",
]

PROBLEM = "Problem"
RIGHT = "Student's answer (right)"
WRONG = "Student's answer (wrong)"
CUT_OFF = "Student's answer (wrong, cut off at the length limit)"
KNOWN = "Primitives written so far"
INSTRUCTION = "Instruction"
SOLUTION = "Solution"
TEXT = "Text"

_MAX_ANSWER_CHARS = 6000
_BLOCK = re.compile(
    r"^### (?P<title>[^\n]+)\n(?P<fence>`{3,})\n(?P<body>.*?)\n(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_COUNT = re.compile(r"^Write exactly (\d+) reasoning primitives?\.", re.MULTILINE)
_FOUR_HABITS = re.compile(r"^## The four habits$", re.MULTILINE)
_ONE_HABIT = re.compile(r"^## The habit: ([a-z ]+)$", re.MULTILINE)

_FIELDS = {
    "pattern": "the pattern in the student's answers that it repairs, one sentence",
    "name": "two to five words",
    "instruction": "the instruction, one to three sentences",
}
# Every property required and no other allowed: the subset that all strict endpoints take.
PRIMITIVES_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "primitives": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "description": says}
                        for name, says in _FIELDS.items()
                    },
                    "required": list(_FIELDS),
                    "additionalProperties": False,
                },
            }
        },
        "required": ["primitives"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is sent. `version` names the prompt file: "discover@1a2b3c4d"."""

    system: str
    prompt: str
    version: str
    schema: str = ""  # JSON schema of the answer, for endpoints that take one


@dataclass(frozen=True, slots=True)
class DiscoverPrompt:
    attempts: tuple[ShownAttempt, ...]
    num_primitives: int
    known: tuple[str, ...]  # "name: instruction" of the primitives that exist already


@dataclass(frozen=True, slots=True)
class DemonstratePrompt:
    problem: str
    instruction: str | None  # None: plain step-by-step solution


class Prompts:
    """The prompt files, read and checked. Those of the same name in `folder` replace the shipped.

    ConfigError for a folder or file that cannot be read, is no template or misses a variable.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._files = read_prompt_files(folder)

    def __reduce__(self) -> tuple[object, ...]:
        return (Prompts, (self._folder,))

    @property
    def versions(self) -> dict[str, str]:
        """Of every prompt by its name: what a lineage stores."""
        return {name: file.version for name, file in self._files.items()}

    @property
    def sources(self) -> dict[str, str]:
        """The text of every prompt file by its name."""
        return {name: file.source for name, file in self._files.items()}

    def discover(
        self,
        attempts: Sequence[Attempt],
        *,
        num_primitives: int,
        known: Sequence[str],
        complaint: str = "",
    ) -> Asked:
        """Ask for primitives; `known` are "name: instruction" lines that new ones must differ from.

        `complaint` says in a sentence why the last answer to the same question could not be used.
        """
        return self._asked(
            "discover",
            schema=PRIMITIVES_SCHEMA,
            attempts=[_shown(attempt) for attempt in attempts],
            num_primitives=num_primitives,
            known=[" ".join(line.split()) for line in known],
            complaint=complaint,
        )

    def demonstrate(self, problem: str, *, instruction: str | None) -> Asked:
        """Ask for a solution that follows `instruction`; None: plain step-by-step thinking."""
        if instruction is None:
            return self._asked("plain", problem=problem)
        return self._asked("demonstrate", problem=problem, instruction=instruction)

    def habits(self, problem: str) -> Asked:
        """Ask for a solution that shows all four habits."""
        return self._asked("habits", problem=problem)

    def judge(self, habit: str, *, problem: str, trace: str) -> Asked:
        """Ask how often `habit` (one of HABITS) occurs; the answer holds <count>N</count>."""
        if habit not in HABITS:
            raise ValueError(f"{habit!r} is no habit: give one of {', '.join(HABITS)}")
        return self._asked("judge", habit=habit, problem=problem, trace=trace)

    def guard(self, text: str) -> Asked:
        """Ask whether a text is safe: first line "safe" or "unsafe", second line categories."""
        return self._asked("guard", text=text)

    def _asked(self, name: str, *, schema: str = "", **values: object) -> Asked:
        file = self._files[name]
        system, prompt = file.render(**values)
        return Asked(system=system, prompt=prompt, version=file.version, schema=schema)


def parse_discover_prompt(text: str) -> DiscoverPrompt:
    """Inverse of `Prompts.discover`. Raises ValueError for any other text."""
    blocks = _blocks(text)
    count = _COUNT.search(_BLOCK.sub("", text))
    known: tuple[str, ...] = ()
    if blocks and blocks[-1][0] == KNOWN:
        known = tuple(blocks.pop()[1].split("\n"))
    if count is None or not blocks or len(blocks) % 2:
        raise ValueError("This is not a request for reasoning primitives.")
    attempts = []
    for (title, problem), (grade, answer) in zip(blocks[::2], blocks[1::2], strict=True):
        if title != PROBLEM or grade not in (RIGHT, WRONG, CUT_OFF):
            raise ValueError(f"Unexpected sections {title!r} and {grade!r} in a discover request.")
        attempts.append(ShownAttempt(problem=problem, answer=answer, right=grade == RIGHT))
    return DiscoverPrompt(tuple(attempts), num_primitives=int(count[1]), known=known)


def parse_demonstrate_prompt(text: str) -> DemonstratePrompt:
    """Inverse of `Prompts.demonstrate`. Raises ValueError for any other text."""
    blocks = _blocks(text)
    titles = [title for title, _ in blocks]
    if titles == [PROBLEM] and not _FOUR_HABITS.search(_BLOCK.sub("", text)):
        return DemonstratePrompt(problem=blocks[0][1], instruction=None)
    if titles == [INSTRUCTION, PROBLEM]:
        return DemonstratePrompt(problem=blocks[1][1], instruction=blocks[0][1])
    raise ValueError("This is not a request for a demonstration.")


def parse_habits_prompt(text: str) -> str:
    """Inverse of `Prompts.habits`: the problem. Raises ValueError for any other text."""
    blocks = _blocks(text)
    if [title for title, _ in blocks] != [PROBLEM] or not _FOUR_HABITS.search(_BLOCK.sub("", text)):
        raise ValueError("This is not a request for a solution with the four habits.")
    return blocks[0][1]


def parse_judge_prompt(text: str) -> tuple[str, str, str]:
    """Inverse of `Prompts.judge`: habit, problem, trace. Raises ValueError for any other text."""
    blocks = _blocks(text)
    heading = _ONE_HABIT.search(_BLOCK.sub("", text))
    habit = heading[1].replace(" ", "_") if heading else ""
    if [title for title, _ in blocks] != [PROBLEM, SOLUTION] or habit not in HABITS:
        raise ValueError("This is not a request to count a habit.")
    return habit, blocks[0][1], blocks[1][1]


def parse_guard_prompt(text: str) -> str:
    """Inverse of `Prompts.guard`: the text to judge. Raises ValueError for any other text."""
    blocks = _blocks(text)
    if [title for title, _ in blocks] != [TEXT]:
        raise ValueError("This is not a request for a verdict on safety.")
    return blocks[0][1]


@cache
def _shipped() -> Prompts:
    return Prompts()


def discover_prompt(
    attempts: Sequence[Attempt], *, num_primitives: int, known: Sequence[str]
) -> str:
    """`Prompts.discover` with the shipped file: its text alone."""
    return _shipped().discover(attempts, num_primitives=num_primitives, known=known).prompt


def demonstrate_prompt(problem: str, *, instruction: str | None) -> str:
    """`Prompts.demonstrate` with the shipped files: its text alone."""
    return _shipped().demonstrate(problem, instruction=instruction).prompt


def _blocks(text: str) -> list[tuple[str, str]]:
    return [(match["title"], match["body"]) for match in _BLOCK.finditer(text)]


def _shown(attempt: Attempt) -> ShownAttempt:
    right = attempt.reward >= 1.0
    cut_off = ", cut off at the length limit" if attempt.finish_reason == "length" else ""
    return ShownAttempt(
        problem=attempt.prompt,
        answer=_shortened(attempt.text),
        right=right,
        grade="right" if right else f"wrong{cut_off}",
    )


def _shortened(text: str) -> str:
    if len(text) <= _MAX_ANSWER_CHARS:
        return text
    half = _MAX_ANSWER_CHARS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
