"""Further rewards for RL on Knights & Knaves. What counts as solved is the task's `grade` alone."""

from __future__ import annotations

import re
from functools import lru_cache

from tailor_rl.tasks.answers import CLOSE, OPEN, tagged_answer
from tailor_rl.tasks.knights.puzzle import PLAIN, RoleWords
from tailor_rl.tasks.knights.wording import read_answer
from tailor_rl.types import Problem

_THINK, _THOUGHT = "<think>", "</think>"


def readable(problem: Problem, text: str) -> float:
    """1.0 where the answer gives everybody one role, right or wrong, else 0.0."""
    return float(read_answer(text, problem.metadata["names"], role_words(problem)) is not None)


def logic_rl(problem: Problem, text: str) -> float:
    """Logic-RL's graded reward (Xie et al., arXiv 2502.14768), from -3 to 3.

    The sum of two parts. Structure: +1 where thinking and answer stand once each and in order in
    `<think>...</think>...<answer>...</answer>`, else -1. Answer: +2 where everybody's role is
    right, -1.5 where everybody has one and some are wrong, -2 where the roles cannot be read, or
    the structure is wrong. An answer can be read where it holds as many role words as people, and
    says of everybody "NAME is a ROLE", upper or lower case.

    It differs from the published code in three ways. It sees the completion alone, so `<think>` may
    be absent: a chat template may have written it. "NAME ROLE" and "NAME: ROLE" are read as well,
    for that is how this task's students answer. The role words are the problem's own, and are
    counted as words, not as parts of words.
    """
    if not _well_structured(text):
        return -3.0
    answer = tagged_answer(text)
    roles = _read_loosely(answer, problem) if answer is not None else None
    if roles is None:
        return -1.0
    return 3.0 if roles == tuple(problem.metadata["solution"]) else -0.5


def role_words(problem: Problem) -> RoleWords:
    """What the problem calls who tells the truth, and who lies."""
    truthful, liar = problem.metadata.get("role_words", PLAIN)
    return truthful, liar


def _well_structured(text: str) -> bool:
    tags = (_THOUGHT, OPEN, CLOSE)
    if text.count(_THINK) > 1 or any(text.count(tag) != 1 for tag in tags):
        return False
    places = [text.find(_THINK), *(text.index(tag) for tag in tags)]
    return places == sorted(places)


def _read_loosely(answer: str, problem: Problem) -> tuple[bool, ...] | None:
    """Everybody's role where the answer names as many roles as there are people, else None."""
    names, words = problem.metadata["names"], role_words(problem)
    if len(_any_of(words).findall(answer)) != len(names):
        return None
    found = [_role_of(name, words).search(answer) for name in names]
    if not all(found):
        return None
    return tuple(match[1].casefold() == words[0].casefold() for match in found if match)


@lru_cache(maxsize=256)
def _any_of(words: RoleWords) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_either(words)})\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _role_of(name: str, words: RoleWords) -> re.Pattern[str]:
    return re.compile(
        rf"\b{re.escape(name)}\b(?:\s+is\s+an?\b|:)?\s+({_either(words)})\b", re.IGNORECASE
    )


def _either(words: RoleWords) -> str:
    return "|".join(map(re.escape, words))
