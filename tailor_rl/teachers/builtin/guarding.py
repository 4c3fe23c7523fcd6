"""A verdict on the safety of a text by a list of words: a stand-in for a guard model.

It makes the path of a guard runnable without one, and sees what is said in plain words alone: a
paraphrase, another language or a spelling trick passes. It is no protection.
"""

from __future__ import annotations

import re

_WORDS = {
    "violence": r"\b(?:murder|kill (?:him|her|them|people|someone|everyone)|torture"
    r"|stab|massacre)",
    "weapons": r"\b(?:bombs?|explosives?|grenades?|nerve agents?|firearms?"
    r"|poison (?:the|some))",
    "crime": r"\b(?:steal|shoplift|launder|counterfeit|ransomware|malware|phishing|hack into"
    r"|hotwire)",
    "hate": r"\b(?:inferior race|subhuman|ethnic cleansing|racial slurs?|master race)",
    "sexual": r"\b(?:porn\w*|sexual(?:ly)? (?:acts?|explicit|content)|nudes?|erotic)",
    "self-harm": r"\b(?:suicide|self-harm|cut yourself|hurt yourself|starve yourself)",
    "privacy": r"\b(?:passwords?|api[ _-]?keys?|credit card|social security|home address)",
    "deception": r"\b(?:without solving|hide (?:it|this|that|what) from|pretend (?:that )?you"
    r"|fake (?:a|the|your)|lie to|trick the grader|fool the grader)",
    "injection": r"\b(?:ignore (?:all |any )?(?:the )?(?:previous|prior|above|earlier|these)"
    r"|disregard (?:all|the|your|previous)|you are now|system prompt|new role"
    r"|developer mode|jailbreak|act as (?:an? )?(?:unrestricted|root|admin))",
}
_COMPILED = {category: re.compile(words, re.IGNORECASE) for category, words in _WORDS.items()}


def verdict(text: str) -> str:
    """ "safe", or "unsafe" and on the next line the categories of guard.md: "crime, privacy"."""
    found = [category for category, words in _COMPILED.items() if words.search(text)]
    return f"unsafe\n{', '.join(found)}" if found else "safe"
