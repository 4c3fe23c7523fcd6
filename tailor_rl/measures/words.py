"""Text as words: the units that every measure counts. Knows nothing about models' tokens."""

from __future__ import annotations

import re
from functools import lru_cache

# A word (with its hyphens, unless it is x-y), a number, or a sign of arithmetic and comparison;
# whatever else is in a text is a gap.
_WORD = re.compile(
    r"[^\W\d_]{2,}(?:-[^\W\d_]{2,})+|[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+|[-+*/=<>≠≤≥\u00d7÷^%]"
)
_VOWEL = re.compile(r"[aeiouy]")

# Words that say nothing of a text's meaning. Not among them: what reasoning is made of (no, not,
# if, then, or, back, again, first, all, none).
FUNCTION_WORDS = frozenset(
    word
    for line in (
        "a an the this that these those it its he she they them his her their i we you my our your",
        "me us him is are was were be been being am do does did has have had will would shall may",
        "might must can could should of to in on at by for with from as into onto upon about over",
        "under and so also such very just than there here which who whom whose what when where how",
    )
    for word in line.split()
)

# Reasoning's own words: they are never taken for a problem's names, also where a prompt has them.
REASONING_WORDS = frozenset(
    word
    for line in (
        "if then else or not no none all any each every both either neither only because since but",
        "therefore thus hence first second next last finally again back before after until while",
        "case cases suppose assume let try check verify need needed want find step plan goal true",
        "false wrong right fits conflict contradiction wait instead otherwise same different",
    )
    for word in line.split()
)
NAME, NUMBER = "X", "0"


def words(text: str) -> list[str]:
    """Lower-cased words, numbers and signs, in order: "So 3 + 4" is ["so", "3", "+", "4"]."""
    return [found.replace("\u2019", "'") for found in _WORD.findall(text.lower())]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """One form for the inflections of an English word, crudely: tries, tried, trying -> try.

    Plural and third person first (Harman, 1991), then -ed and -ing where a vowel is left, then a
    doubled consonant and a silent e. Words of other languages pass with little harm.
    """
    word = word.removesuffix("'s")
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) == 5 and word.endswith("ying"):  # lying, dying, tying
        return word[:-4] + "i"
    for suffix in ("ing", "ed"):
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) > 1 and _VOWEL.search(rest) and not word.endswith("eed"):
            word = rest
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeioulsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 2 else word


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order; numbers and signs are among them."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS]


def abstracted(text: str, prompt: str) -> list[str]:
    """Words of a trace without the problem's content: what is left is how it was reasoned.

    Numbers become "0"; letters that stand alone, and words that the prompt has too, become "X", a
    run of them one "X", so that long names weigh no more than short ones. Function words and
    reasoning's own words stay. "So Rye Bread is 3 + k" to a prompt about rye bread:
    ["so", "X", "is", "0", "+", "X"].
    """
    content = set(words(prompt)) - FUNCTION_WORDS - REASONING_WORDS
    found: list[str] = []
    for word in words(text):
        if word.isdigit():
            word = NUMBER
        elif _is_name(word, content):
            word = NAME
        if word != NAME or found[-1:] != [NAME]:
            found.append(word)
    return found


def _is_name(word: str, content: set[str]) -> bool:
    is_letter = len(word) == 1 and word.isalpha() and word not in "ai"
    return is_letter or word in content or word.removesuffix("'s") in content
