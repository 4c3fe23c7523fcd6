"""One text as those who disguise words mean it to be read: full-width, accented, s p a c e d, l33t.

For checks only: what is stored and shown stays the original. Knows nothing of what is looked for.
"""

from __future__ import annotations

import html
import re
import unicodedata

# Small letters that look like Latin ones: Cyrillic, then Greek.
_LOOKALIKES = str.maketrans(
    "авеёкмнорстухһіїјѕԁӏԛԝүгпғ" + "αεικνορτυχωϲϳηβ" + "ıɑɡɩłøđ",
    "abeekmhopctyxhiijsdlqwyrnf" + "aeikvoptuxwcjnb" + "iagilod",
)
_DIGITS = "0134578@$!"
_SPELLINGS = (str.maketrans(_DIGITS, "oieastbasi"), str.maketrans(_DIGITS, "oleastbasi"))
_WORD = re.compile(r"(?:\w|[@$!](?=\w))+")
_HAS_LEET = re.compile(r"[^\W\d_][0134578@$!]|[0134578@$!][^\W\d_]")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_ROT13 = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm"
)  # what is written so is meant to be decoded by the model, and by nobody who reads the page
_SENTENCE_END = re.compile(r"[.!?;:\n\u3002]+")
_POSSESSIVE = re.compile(r"['\u2019]s\b")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")
_GAP = re.compile(r"[^\w.]+")
# Five or more lone letters in a row, "i g n o r e" or "i.g.n.o.r.e"; but not "a, b, c, d, e".
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ .*|/-]{1,3}[^\W\d_]){4,}(?!\w)")


def folded(text: str) -> str:
    """Lower case; compatible forms made one (NFKC); no accents, marks or invisible characters."""
    text = unicodedata.normalize("NFKC", html.unescape(text))
    if not text.isascii():
        apart = unicodedata.normalize("NFD", text)
        text = "".join(c for c in apart if unicodedata.category(c) not in ("Cf", "Mn"))
        text = unicodedata.normalize("NFC", text)
    return text.lower()


def stream(text: str) -> str:
    """The words of a folded text with one blank between two, and " . " where a sentence ends."""
    text = _APOSTROPHE.sub("", _POSSESSIVE.sub("_s", text))
    words = _GAP.sub(" ", _SENTENCE_END.sub(" . ", text)).split()
    return f" {' '.join(('.', *words, '.'))} "


def streams(text: str) -> list[str]:
    """Each reading of a folded text once: as it stands, look-alikes as Latin letters, and digits
    within words as the letters that they are drawn for.
    """
    latin = text.translate(_LOOKALIKES)
    found = [stream(text), stream(latin), stream(_HYPHEN.sub("", latin))]
    if _HAS_LEET.search(latin):
        found += [stream(_spelt(latin, spelling)) for spelling in _SPELLINGS]
    return list(dict.fromkeys(found))


def disguises(text: str) -> list[str]:
    """Streams of a folded text read from its end, and by the ROT13 cipher."""
    return [stream(text[::-1]), stream(text.translate(_ROT13))]


def squeezed(text: str) -> str | None:
    """A folded text without blanks ("." at the end of a sentence), where some of its words are
    spaced out; None where none is.
    """
    text = text.translate(_LOOKALIKES)
    if not _SPACED.search(text):
        return None
    joined = _SPACED.sub(lambda run: re.sub(r"[\W_]", "", run[0]), text)
    return stream(joined).replace(" ", "")


def _spelt(text: str, spelling: dict[int, int]) -> str:
    def word(found: re.Match[str]) -> str:
        return found[0].translate(spelling) if _HAS_LEET.search(found[0]) else found[0]

    return _WORD.sub(word, text)
