"""Reading reasoning primitives out of a teacher's answer: tolerant of form, strict on content.

Form: bold, bullets, numbering, headings, code fences, values on the next line and thinking blocks
are all read. Content: whatever `rejection` names is left out, so what comes back is safe to show
and to put into a prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailor_rl.teachers.screen import has_control_tokens, has_url

_MAX_ANSWER_CHARS = 65536
_LABEL = re.compile(
    r"^[\s>*_#`\u2022\u2013\d.()-]*(?:primitive\s*\d*[\s*_:.\u2013-]*)?"
    r"(PATTERN|NAME|INSTRUCTION)[\s*_`]*[:\uff1a]\s*[*_`]*(.*)$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*(?:```.*|[-*_=]{3,}|#+\s.*|\**primitive\s*\d+\W*)\s*$", re.IGNORECASE)
_QUOTES = " *_`\"'\u201c\u201d\u2018\u2019"


@dataclass(frozen=True, slots=True)
class Draft:
    """A primitive as a teacher wrote it, before it has an id and a source."""

    name: str
    instruction: str
    targets: str


def parse_primitives(text: str, *, complete: bool = True) -> list[Draft]:
    """Every acceptable `PATTERN / NAME / INSTRUCTION` block of an answer, in order; never raises.

    `complete=False` says that the answer was cut at the token limit: its last block is left out.
    Example::

        PATTERN: Stops at the first guess.
        NAME: Retract on conflict
        INSTRUCTION: Assume one speaker is truthful, derive, and retract on a conflict.
    """
    drafts = [_draft(block) for block in _labelled_blocks(_without_thinking(text))]
    if not complete:
        drafts = drafts[:-1]
    return [draft for draft in drafts if rejection(draft) is None]


def format_primitives(drafts: list[Draft]) -> str:
    """The answer that `parse_primitives` reads back, for a teacher that is a program."""
    return "\n\n".join(
        f"PATTERN: {d.targets}\nNAME: {d.name}\nINSTRUCTION: {d.instruction}" for d in drafts
    )


def rejection(draft: Draft) -> str | None:
    """Why a draft must not be used, in one phrase, or None."""
    for field, value, low, high in (
        ("name", draft.name, 2, 80),
        ("instruction", draft.instruction, 20, 800),
        ("pattern", draft.targets, 4, 500),
    ):
        if not low <= len(value) <= high:
            return f"the {field} has {len(value)} characters, not {low} to {high}"
        if has_control_tokens(value) or not value.isprintable():
            return f"the {field} holds control tokens"
        if has_url(value):
            return f"the {field} holds a URL"
        if value.startswith("<") and value.endswith(">"):
            return f"the {field} repeats the form"
    return None


def _without_thinking(text: str) -> str:
    # Servers that do not separate a reasoning model's thoughts leave them in front of the answer.
    return text[:_MAX_ANSWER_CHARS].rpartition("</think>")[2]


def _labelled_blocks(text: str) -> list[dict[str, list[str]]]:
    """Lines by label. A label that the block already has begins the next block."""
    blocks: list[dict[str, list[str]]] = []
    value: list[str] | None = None
    for line in text.splitlines():
        if match := _LABEL.match(line):
            label = match[1].upper()
            if not blocks or label in blocks[-1]:
                blocks.append({})
            value = blocks[-1][label] = [match[2]] if match[2].strip(_QUOTES) else []
        elif _RULE.match(line) or (not line.strip() and value):
            value = None  # what follows is a remark, not part of the value
        elif value is not None:
            value.append(line)
    return blocks


def _draft(block: dict[str, list[str]]) -> Draft:
    name, instruction, targets = (
        " ".join(" ".join(block.get(label, [])).split()).strip(_QUOTES)
        for label in ("NAME", "INSTRUCTION", "PATTERN")
    )
    return Draft(name=name, instruction=instruction, targets=targets)
