"""The four habits in a solution of a Knights & Knaves puzzle, found by following its thread.

Followed are suppositions ("Suppose ANN honest.", "Assume Ann is a knight.") and judgements of
claims under them. What counts:

- verification: a claim is judged again under roles under which it was judged before, or every claim
  fits under one case that names everybody; a run of such judgements is one place;
- backtracking: after a judgement that ends in a conflict somebody is given another role;
- subgoal setting: somebody is named, without a role and without a judgement, before anything is
  supposed or judged of them next;
- backward chaining: it is said which roles would let a claim fit, before they are supposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tailor_rl.tasks.knights.wording import ReadPuzzle
from tailor_rl.teachers.builtin.sentences import sentences

_SUPPOSES = re.compile(
    r"(?:suppose|let|case\b|assum|if\b|say\b|try\b|now (?:suppose|let|assume))", re.IGNORECASE
)
_CONFLICT = re.compile(r"\b(?:conflict|contradict\w*|impossible|inconsistent)\b", re.IGNORECASE)
_NO_CONFLICT = re.compile(r"\bno (?:conflict|contradiction)\b", re.IGNORECASE)
_FITS = re.compile(r"\b(?:fits?|consistent|holds?|no contradiction)\b", re.IGNORECASE)
_ONLY = re.compile(r"\b(?:only|must|would|needs?|requires?|unless)\b", re.IGNORECASE)


def places(puzzle: ReadPuzzle, habit: str, trace: str) -> list[str] | None:
    """The sentences at which a habit is seen; None where nothing is supposed or judged."""
    reader = _Reader(puzzle)
    found = [said for said in sentences(trace) if habit in reader.take(said)]
    return found if reader.understood else None


class _Reader:
    """What is supposed so far, and what was judged under it."""

    def __init__(self, puzzle: ReadPuzzle) -> None:
        self._people = {name.upper() for name in puzzle.names}
        names = "|".join(re.escape(name) for name in puzzle.names)
        roles = "|".join(map(re.escape, ("honest", "lying", "knight", "knave", *puzzle.role_words)))
        self._name = re.compile(rf"\b({names})\b", re.IGNORECASE)
        self._role = re.compile(
            rf"\b({names})(?: is)?(?: not)?(?: an?)? ({roles})\b", re.IGNORECASE
        )
        self._supposed: dict[str, str] = {}
        self._judged: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._fitting: set[str] = set()  # whose claims fit as it is supposed now
        self._conflict = self._again = self.understood = False

    def take(self, said: str) -> set[str]:
        """The habits that are seen in the next sentence."""
        if self._told_backwards(said):
            return {"backward_chaining"}
        if _SUPPOSES.match(said) and self._role.search(said) and not _CONFLICT.search(said):
            return self._suppose(said)
        if self._role.search(said) and (_CONFLICT.search(said) or _FITS.search(said)):
            return self._judge(said)
        named = self._name.search(said) and not self._role.search(said)
        aims = named and not _CONFLICT.search(said) and "answer>" not in said
        return {"subgoal_setting"} if aims else set()

    def _suppose(self, said: str) -> set[str]:
        supposed = dict(self._roles(said))
        changed = any(self._supposed.get(name, role) != role for name, role in supposed.items())
        back = self._conflict and changed
        self._supposed, self._fitting = supposed, set()
        self._conflict = self._again = False
        self.understood = True
        return {"backtracking"} if back else set()

    def _judge(self, said: str) -> set[str]:
        found = self._name.search(said)
        assert found is not None, said
        speaker = found[1].upper()
        self._conflict = bool(_CONFLICT.search(_NO_CONFLICT.sub("", said)))
        self.understood = True
        key = (speaker, frozenset(self._supposed.items()))
        again, goes_on = key in self._judged, self._again
        self._judged.add(key)
        self._again = again
        if again:
            return set() if goes_on else {"verification"}
        if self._conflict or self._supposed.keys() != self._people:
            return set()
        self._fitting.add(speaker)
        return {"verification"} if self._fitting == self._people else set()

    def _told_backwards(self, said: str) -> bool:
        """Whether a verdict comes first and the roles that it asks for behind it."""
        fits, role = _FITS.search(said), self._role.search(said)
        return bool(fits and role and fits.start() < role.start() and _ONLY.search(said))

    def _roles(self, said: str) -> Iterator[tuple[str, str]]:
        for name, role in self._role.findall(said):
            yield name.upper(), role.lower()
