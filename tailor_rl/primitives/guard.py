"""The second net: a guard model's verdict on each candidate, bought like any other answer.

Fails closed. A verdict that cannot be read is asked for once more and then counts as a refusal; so
does one that the budget does not allow. A guard that cannot be reached raises its TeacherError: the
run stops, nothing passes, and a resumed run asks only for the verdicts that are missing.
"""

from __future__ import annotations

import re

from tailor_rl.primitives.safety import Refusal
from tailor_rl.printable import one_line
from tailor_rl.protocols import Teacher, TeacherRequest
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Primitive

NO_VERDICT = "guard:budget"  # the reason where the budget did not allow to ask
_TRIES = 2
_SAID = {
    "safe": False, "no": False,
    "unsafe": True, "yes": True, "controversial": True,
}  # fmt: skip
_TRIM = " \t*_`'\".,:;!#>-"
# "Safety: Unsafe", {"User Safety": "unsafe"}, <score> yes </score>
_LABELLED = re.compile(
    r"""(?:safety|verdict|assessment)["\s]{0,4}[:=]["\s]{0,4}(safe|unsafe|controversial)\b
      | <score>\s{0,8}(yes|no)\s{0,8}</score>""",
    re.VERBOSE,
)
_NAMED = re.compile(r"(?:safety )?categor(?:y|ies)[\"\s]{0,4}[:=]\s{0,4}([^\n}]{1,200})")
_CATEGORY = re.compile(r"[a-z][a-z0-9]*(?:[ _-][a-z0-9]+){0,4}")


async def guarded(
    primitive: Primitive, teacher: Teacher, *, guard: str, prompts: Prompts, max_tokens: int
) -> Refusal | None:
    """Why the teacher named `guard` refuses a primitive, or None. All of its fields are shown.

    Reasons: "guard:<category>" (its own first category), "guard:unreadable", "guard:budget".
    """
    asked = prompts.guard(f"{primitive.name}\n{primitive.instruction}\n{primitive.targets}")
    answer = ""
    for sample in range(_TRIES):
        request = TeacherRequest(
            purpose="guard",
            system=asked.system,
            prompt=asked.prompt,
            temperature=0.0,
            max_tokens=max_tokens,
            sample=sample,
            teacher=guard,
        )
        try:
            answer = (await teacher.complete(request)).text
        except UnusableAnswer:
            answer = ""
        except BudgetSpent as budget:
            return Refusal(NO_VERDICT, f"has no verdict of the guard: {one_line(str(budget))}")
        categories = read_verdict(answer)
        if categories is not None:
            return _refusal(categories, guard)
    shown = one_line(answer, 60) or "nothing"
    return Refusal("guard:unreadable", f"has no verdict: the guard {guard!r} answered {shown!r}")


def read_verdict(answer: str) -> tuple[str, ...] | None:
    """The categories of an unsafe verdict, () for a safe one, None for no verdict at all.

    Reads what Llama Guard ("unsafe", then "S1,S10" on the next line), ShieldGemma and Granite
    Guardian ("Yes" is unsafe) and Qwen3Guard ("Safety: Unsafe") write, in any case. The verdict
    must stand alone: "this is not unsafe" is none.
    """
    text = answer.rpartition("</think>")[2].strip().lower()
    first, _, rest = text.partition("\n")
    alone = first.strip(_TRIM)
    if alone in _SAID:
        return _categories(rest) if _SAID[alone] else () if _agrees(rest) else None
    found = {said for match in _LABELLED.finditer(text) for said in match.groups() if said}
    if found:
        named = _NAMED.search(text)
        unsafe = any(_SAID[said] for said in found)
        return _categories(named[1] if named else "") if unsafe else ()
    # "unsafe S1" on one line
    if alone.startswith("unsafe ") and re.fullmatch(r"unsafe(?:[ ,:]+s\d{1,2})+", alone):
        return _categories(alone.removeprefix("unsafe"))
    return None


def _agrees(rest: str) -> bool:
    """Whether what follows "safe" does not take it back: two verdicts are none."""
    lines = (line.strip(_TRIM) for line in rest.splitlines())
    return not any(_SAID.get(line, False) for line in lines)


def _categories(text: str) -> tuple[str, ...]:
    names = (re.sub(r"[ _-]+", "-", found[0]) for found in _CATEGORY.finditer(text[:400]))
    return tuple(dict.fromkeys(name[:32] for name in names)) or ("unsafe",)


def _refusal(categories: tuple[str, ...], guard: str) -> Refusal | None:
    if not categories:
        return None
    named = ", ".join(categories[:8])
    return Refusal(f"guard:{categories[0]}", f"is unsafe by the guard {guard!r} ({named})")
