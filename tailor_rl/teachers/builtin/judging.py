"""Counting one of the four habits in a trace, as a judge who reads it.

Where the problem is of a subject of ours and the trace speaks of its people, quantities or numbers,
its thread is followed: what is assumed, worked out, tested, given up, aimed at. See the `places` of
each subject. Any other text is judged by its words, a sentence at a time, which is no more than a
guess. Nothing here is shared with the counts by patterns in `tailor_rl/measures`, so that the two
can be held against each other.
"""

from __future__ import annotations

import re

from tailor_rl.teachers.builtin.sentences import sentences
from tailor_rl.teachers.builtin.subject import Subject

_MAX_CHARS = 60_000  # what stands behind is not read
_WORDS = {
    "verification": r"\b(?:verif\w+|double.?check\w*|to check\b|checking|let(?:'s| me| us) check"
    r"|plug(?:ging)? (?:it |this |that )?(?:back )?in|satisf(?:y|ies)|confirm\w*"
    r"|does ?n[o']t match|which matches|sanity)",
    "backtracking": r"\b(?:wait\b|go(?:ing)? back|back to\b|dead end|start over|was wrong"
    r"|try (?:again|another|a different|something else)|instead,|take (?:that|it) back"
    r"|that (?:fails|does ?n[o']t work)|reconsider|contradict\w*)",
    "subgoal_setting": r"\b(?:sub-?goals?|first,? (?:i|we|let)\b|the next (?:step|goal)|my plan"
    r"|(?:i|we) (?:will )?need to (?:find|get|reach)|the plan|step \d+:|aim (?:for|at)"
    r"|intermediate)",
    "backward_chaining": r"\b(?:work(?:ing)? backwards?|backwards? from|depends on"
    r"|in order to (?:get|have|know)|to get [^.]{0,40}\bneed|requires? (?:knowing|that)"
    r"|what would have to)",
}
_COMPILED = {habit: re.compile(words, re.IGNORECASE) for habit, words in _WORDS.items()}


def judgement(habit: str, problem: str, trace: str, *, subject: Subject | None) -> str:
    """A judge's answer: "I see backtracking at 2 places, first in 'Go back to 3 7 2.'
    <count>2</count>".
    """
    found = places(habit, problem, trace, subject=subject)
    spoken = habit.replace("_", " ")
    if not found:
        return f"I see no {spoken} in this solution. <count>0</count>"
    noun = "1 place" if len(found) == 1 else f"{len(found)} places"
    shown = found[0][:100].replace("<", "").replace(">", "")
    return f"I see {spoken} at {noun}, first in {shown!r}. <count>{len(found)}</count>"


def places(habit: str, problem: str, trace: str, *, subject: Subject | None) -> list[str]:
    """The sentences at which the habit is seen, in order."""
    text = trace[:_MAX_CHARS]
    if subject is not None:
        followed = subject.places(subject.read(problem), habit, text)
        if followed is not None:
            return followed
    return [said for said in sentences(text) if _COMPILED[habit].search(said)]
