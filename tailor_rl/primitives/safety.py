"""Whether a text may become a prompt and training data: form, then injection, then unsafe content.

A text is refused whole, never repaired: what is left of an injected text after stripping is still
written by whoever injected it. Functions of one text; no model is asked. Patterns are a first net,
read by people and easily passed by a determined writer; a guard model is the second.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tailor_rl.primitives.phrases import elsewhere, injection, marked
from tailor_rl.primitives.phrases.unsafe import UNSAFE
from tailor_rl.primitives.readings import disguises, folded, squeezed, streams
from tailor_rl.printable import one_line
from tailor_rl.teachers.screen import (
    has_code,
    has_control_tokens,
    has_markup,
    has_template,
    has_url,
    odd_character,
)

MAX_CHARS = 800

_GAP = re.compile(r" ?~(\d)")
_NEGATIONS = tuple(
    f" {words}"
    for words in (
        "do not", "dont", "do not ever", "must not", "should not", "never", "avoid", "without",
        "rather than", "instead of", "not to", "never to",
    )
)  # fmt: skip
_NEGATED = re.compile(f"(?:{'|'.join(_NEGATIONS)})$")
_ROLES = "system|user|assistant|human|developer|admin"
_TURN = re.compile(
    rf"""^\s*(?:assistant|user|human|ai|bot)\s?: | [\n.!?;]\s*(?:{_ROLES}|ai|bot)\s?:
      | \#{{1,6}}\s?(?:{_ROLES}|instructions?|response|input|prompt)\b
      | \[\s?(?:{_ROLES}|override|inst)\b | </?(?:{_ROLES}|instructions?|prompt|rules)[\s/>]
      | \b(?:begin|end)\ (?:of\ )?(?:system|prompt|instructions)\b""",
    re.VERBOSE,
)
# Bytes in binary that are letters, and the escapes of programs.
_ESCAPES = re.compile(
    r"\b01[01]{6}(?: 01[01]{6}){3}|(?:\\x[0-9a-f]{2}){3}|(?:\\u[0-9a-f]{4}){3}|(?:%[0-9a-f]{2}){3}",
    re.IGNORECASE,
)
_RUN = re.compile(r"(?<![\w+/])[\w+/-]{20,}={0,2}")
_SCRIPTS = ("CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC")
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text must not be used: a short slug, and what the text does ("holds a URL")."""

    reason: str
    detail: str


def refusal(text: str, *, max_chars: int = MAX_CHARS) -> Refusal | None:
    """The first rule that a text breaks, or None. Linear in its length.

    Reasons: "too-long", "characters", "control-tokens", "url", "markup", "code", "template",
    "injection" and "unsafe:<category>".
    """
    if len(text) > max_chars:
        return Refusal("too-long", f"has {len(text)} characters, more than {max_chars}")
    return form_refusal(text) or injection_refusal(text) or unsafe_refusal(text)


def form_refusal(text: str) -> Refusal | None:
    """Characters that cannot be seen, chat-template tokens, links, markup, code, templates."""
    if odd := odd_character(text):
        name = unicodedata.name(odd, "a control character").lower()
        return Refusal("characters", f"holds U+{ord(odd):04X} ({name}), which a reader cannot see")
    if word := _mixed_word(text):
        return Refusal("characters", f"mixes alphabets within one word ({one_line(word, 40)!r})")
    shapes = (text, unicodedata.normalize("NFKC", text))
    for reason, found, what in (
        ("control-tokens", has_control_tokens, "holds a chat-template token"),
        ("url", has_url, "holds a link"),
        ("markup", has_markup, "holds HTML, an image or a link in Markdown"),
        ("code", has_code, "holds a code fence, a system call or a tool call"),
        ("template", has_template, "holds an expression of a template engine"),
    ):
        if any(map(found, shapes)):
            return Refusal(reason, what)
    return None


def injection_refusal(text: str) -> Refusal | None:
    """Attempts to take over the model that reads the text, or its grader."""
    plain = folded(text)
    if _TURN.search(plain):
        return Refusal("injection", "imitates the turns or headings of a prompt")
    if _ESCAPES.search(text) or any(map(_encoded, _RUN.findall(text))):
        return Refusal("injection", "holds encoded text")
    spaced = (*streams(plain), *disguises(plain))
    if phrase := _Readings(plain, spaced, squeezed(plain)).phrase("injection"):
        return Refusal("injection", f"gives orders beyond the problem ({one_line(phrase, 60)!r})")
    return None


def unsafe_refusal(text: str) -> Refusal | None:
    """Unsafe content, the first category that is found."""
    plain = folded(text)
    readings = _Readings(plain, tuple(streams(plain)), squeezed(plain))
    for category in UNSAFE:
        if phrase := readings.phrase(category):
            detail = f"reads as {category} ({one_line(phrase, 60)!r})"
            return Refusal(f"unsafe:{category}", detail)
    return None


def _mixed_word(text: str) -> str | None:
    """A word of Latin and, say, Cyrillic letters: no language has any. Greek is mathematics."""
    if text.isascii():
        return None
    for word in _WORD.findall(text):
        if not word.isascii():
            scripts = {unicodedata.name(c, "").partition(" ")[0] for c in word}
            if "LATIN" in scripts and scripts.intersection(_SCRIPTS):
                return str(word)
    return None


def _encoded(run: str) -> bool:
    """Whether a long run of letters and digits is base64 or hex rather than a word or a sum."""
    if re.fullmatch(r"[0-9a-fA-F]+", run):
        return not run.isdigit() and not run.isalpha()
    if "-" in run or "_" in run:
        return False
    mixed = any(c.isupper() for c in run[1:]) and any(c.islower() for c in run)
    try:
        decoded = base64.b64decode(run.rstrip("=") + "=" * (-len(run.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        return mixed and any(c.isdigit() for c in run)
    readable = sum(0x20 <= byte < 0x7F for byte in decoded)
    return mixed and (any(c.isdigit() for c in run) or readable >= 0.9 * len(decoded))


@dataclass(frozen=True, slots=True)
class _Readings:
    """What a text may say, worked out once for all categories."""

    plain: str
    spaced: tuple[str, ...]
    squeezed: str | None

    def phrase(self, category: str) -> str | None:
        """What is said of a category, in any reading; "never ..." does not count."""
        for reading in self.spaced:
            if found := _said(_spaced_pattern(category), reading):
                return found
        if self.squeezed and (found := _said(_squeezed_pattern(category), self.squeezed)):
            return found
        free = _free_pattern(category)
        match = free.search(self.plain) if free else None
        return match[0] if match else None


def _said(pattern: re.Pattern[str], reading: str) -> str | None:
    place = 0
    while match := pattern.search(reading, place):
        if not _NEGATED.search(reading, max(0, match.start() - 16), match.start()):
            return match[0].strip(" .")
        place = match.start() + 1
    return None


def _phrases(category: str) -> Iterable[str]:
    if category == "injection":
        return (
            *injection.OVERRIDE,
            *injection.ROLE,
            *injection.LEAKING,
            *injection.GRADING,
            *marked.INJECTION,
            *elsewhere.INJECTION_ELSEWHERE,
        )
    return (
        *UNSAFE[category],
        *marked.UNSAFE[category],
        *elsewhere.UNSAFE_ELSEWHERE.get(category, ()),
    )


@lru_cache(maxsize=64)
def _spaced_pattern(category: str) -> re.Pattern[str]:
    return re.compile(f" (?:{'|'.join(map(_compiled, _phrases(category)))})(?= )")


@lru_cache(maxsize=64)
def _squeezed_pattern(category: str) -> re.Pattern[str]:
    return re.compile("|".join(map(_compiled_squeezed, _phrases(category))))


@lru_cache(maxsize=64)
def _free_pattern(category: str) -> re.Pattern[str] | None:
    free = {"injection": elsewhere.INJECTION_FREE, **elsewhere.UNSAFE_FREE}
    phrases = free.get(category, ())
    return re.compile("|".join(map(folded, phrases))) if phrases else None


def _compiled(phrase: str) -> str:
    phrase = re.sub(r"\((?!\?)", "(?:", folded(phrase)).replace(" .", r" \.")
    # Possessive, so that a long word is read once.
    return _GAP.sub(r"(?: [^ .]++){0,\1}", phrase).replace(r"\w*", r"\w*+").replace(r"\w+", r"\w++")


def _compiled_squeezed(phrase: str) -> str:
    phrase = re.sub(r"\((?!\?)", "(?:", folded(phrase))
    phrase = re.sub(r"(^|[ (|])\.", r"\1\\.", phrase)
    phrase = _GAP.sub("[^.]{0,16}", phrase)
    return phrase.replace(" ", "").replace(r"\w*", r"\w{0,9}").replace(r"\w+", r"\w{1,9}")
