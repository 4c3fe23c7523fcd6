"""Reading reasoning primitives out of a teacher's answer: tolerant of form, strict on content.

Form: JSON (alone, fenced or in prose), else labelled text in which bold, bullets, numbering,
headings, code fences, values on the next line and thinking blocks are all read. Content: whatever
`rejection` names is refused, so what comes back is safe to show and to put into a prompt.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tailor_rl.teachers.screen import has_control_tokens, has_url

_MAX_ANSWER_CHARS = 65536
_MAX_BROKEN_JSON = 200  # starts of a JSON value that lead nowhere, before the search is given up
_LABEL = re.compile(
    r"^[\s>*_#`\u2022\u2013\d.()-]*(?:primitive\s*\d*[\s*_:.\u2013-]*)?"
    r"(PATTERN|NAME|INSTRUCTION)[\s*_`]*[:\uff1a]\s*[*_`]*(.*)$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*(?:```.*|[-*_=]{3,}|#+\s.*|\**primitive\s*\d+\W*)\s*$", re.IGNORECASE)
_JSON_START = re.compile(r'[{\[]\s*["{\[]')
_QUOTES = " *_`\"'\u201c\u201d\u2018\u2019"
_TARGETS = ("pattern", "targets", "error pattern")

TOO_SHORT = "too-short"
TOO_LONG = "too-long"
CONTROL_TOKENS = "control-tokens"
URL = "url"
FORM = "form"
CUT = "cut"


@dataclass(frozen=True, slots=True)
class Draft:
    """A primitive as a teacher wrote it, before it has an id and a source."""

    name: str
    instruction: str
    targets: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A draft that must not be used: `reason` is a short slug, `detail` one phrase."""

    draft: Draft
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer holds, each in the order of the answer."""

    drafts: tuple[Draft, ...]
    refused: tuple[Refusal, ...]


def read_primitives(text: str, *, complete: bool = True) -> Reading:
    """The primitives of an answer and those refused; never raises.

    `complete=False` says that the answer was cut at the token limit: the last block of labelled
    text is refused; in JSON a cut object is no object. Examples::

        PATTERN: Stops at the first guess.
        NAME: Retract on conflict
        INSTRUCTION: Assume one speaker is truthful, derive, and retract on a conflict.

        {"primitives": [{"pattern": "Stops ...", "name": "Retract ...", "instruction": "..."}]}
    """
    answer = _without_thinking(text)
    found = [_from_json(row) for row in _json_primitives(answer)]
    cut: list[Refusal] = []
    if not found:
        found = [_from_block(block) for block in _labelled_blocks(answer)]
        if found and not complete:
            cut = [Refusal(found.pop(), CUT, "the answer ends in the middle of it")]
    judged = [(draft, refusal_of(draft)) for draft in found]
    return Reading(
        drafts=tuple(draft for draft, refusal in judged if refusal is None),
        refused=(*(refusal for _, refusal in judged if refusal is not None), *cut),
    )


def parse_primitives(text: str, *, complete: bool = True) -> list[Draft]:
    """The acceptable primitives of `read_primitives`; never raises."""
    return list(read_primitives(text, complete=complete).drafts)


def format_primitives(drafts: list[Draft]) -> str:
    """The answer that `parse_primitives` reads back, for a teacher that is a program."""
    return "\n\n".join(
        f"PATTERN: {d.targets}\nNAME: {d.name}\nINSTRUCTION: {d.instruction}" for d in drafts
    )


def refusal_of(draft: Draft) -> Refusal | None:
    """Why a draft must not be used: lengths, control tokens, URLs, a form that was not filled."""
    for field, value, low, high in (
        ("name", draft.name, 2, 80),
        ("instruction", draft.instruction, 20, 800),
        ("pattern", draft.targets, 4, 500),
    ):
        if _width(value) < low or len(value) > high:
            detail = f"the {field} has {len(value)} characters, not {low} to {high}"
            return Refusal(draft, TOO_LONG if len(value) > high else TOO_SHORT, detail)
        if has_control_tokens(value) or not value.isprintable():
            return Refusal(draft, CONTROL_TOKENS, f"the {field} holds control tokens")
        if has_url(value):
            return Refusal(draft, URL, f"the {field} holds a URL")
        if value.startswith("<") and value.endswith(">"):
            return Refusal(draft, FORM, f"the {field} repeats the form")
    return None


def _width(text: str) -> int:
    """Characters, those of Chinese, Japanese and Korean twice: they say more each."""
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


def _without_thinking(text: str) -> str:
    # Servers that do not separate a reasoning model's thoughts leave them in front of the answer.
    return text[:_MAX_ANSWER_CHARS].rpartition("</think>")[2]


def _json_primitives(text: str) -> Iterator[dict[str, str]]:
    """Objects with an "instruction" in any JSON of a text; keys in lower case, in order.

    Of a list that is broken or cut at its end the whole objects are still found one by one.
    """
    decoder = json.JSONDecoder(strict=False)
    place, num_broken = 0, 0
    while num_broken < _MAX_BROKEN_JSON and (start := _JSON_START.search(text, place)):
        try:
            value, place = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            num_broken += 1
            place = start.start() + 1
            continue
        yield from _objects(value)


def _objects(value: Any) -> Iterator[dict[str, str]]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                row = {str(key).strip().lower().replace("_", " "): v for key, v in found.items()}
                if "instruction" in row:
                    yield {key: v for key, v in row.items() if isinstance(v, str)}
                else:
                    waiting.extend(reversed(list(row.values())))
            case list() as found:
                waiting.extend(reversed(found))


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


def _from_block(block: dict[str, list[str]]) -> Draft:
    name, instruction, targets = (
        _value(" ".join(block.get(label, []))) for label in ("NAME", "INSTRUCTION", "PATTERN")
    )
    return Draft(name=name, instruction=instruction, targets=targets)


def _from_json(row: dict[str, str]) -> Draft:
    targets = next((row[key] for key in _TARGETS if key in row), "")
    return Draft(
        name=_value(row.get("name", "")),
        instruction=_value(row.get("instruction", "")),
        targets=_value(targets),
    )


def _value(text: str) -> str:
    return " ".join(text.split()).strip(_QUOTES)
