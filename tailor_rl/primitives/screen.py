"""Which candidates may be followed, and why the others may not.

    form -> injection -> unsafe content -> guard -> duplicates -> trial

A candidate meets each step only if it passed the one before, so nothing is bought for a text that
the patterns refuse, and no refused text keeps a harmless twin out. Library files edited by hand go
the same way as a teacher's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.concurrency import together
from tailor_rl.measures.embedding import Embedder
from tailor_rl.primitives.duplicates import duplicates
from tailor_rl.primitives.guard import guarded
from tailor_rl.primitives.safety import MAX_CHARS, Refusal, refusal
from tailor_rl.primitives.trial import Progress, Trial, trials
from tailor_rl.protocols import Grader, Teacher
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Primitive, Problem

__all__ = ["Screening", "Trial", "screen", "text_refusal"]

# Fewest and most characters. A person who writes a library by hand need not name a pattern.
_LIMITS = {"name": (2, 80), "instruction": (8, MAX_CHARS), "targets": (0, 500)}


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdict on one candidate: a row of screening.jsonl."""

    primitive_id: str
    name: str
    accepted: bool
    reason: str  # "" where accepted, else a short slug such as "near-duplicate" or "unsafe:drugs"
    detail: str  # one sentence; "" where accepted
    trial: Trial | None = None  # None: not tried


async def screen(
    candidates: Sequence[Primitive],
    *,
    teacher: Teacher,
    guard: str,
    problems: Sequence[Problem],
    grader: Grader,
    prompts: Prompts,
    embedder: Embedder,
    max_similarity: float,
    max_meaning_similarity: float,
    trial_problems: int,
    min_trial_accuracy: float,
    temperature: float,
    seed: int,
    max_tokens: int,
    on_progress: Progress | None = None,
) -> list[Screening]:
    """One verdict a candidate, in their order. Buys nothing without `guard` and `trial_problems`.

    Where the budget ends, candidates without a guard's verdict are refused; candidates without a
    trial are accepted, unless `min_trial_accuracy` asks for what nobody has seen. Raises
    TeacherError where the guard or the teacher cannot be used.
    """
    bench = _Bench(candidates)
    bench.refuse({i: found for i, c in bench.left if (found := text_refusal(c))})
    if guard:
        bench.refuse(await _guard(bench.left, teacher, guard, prompts, max_tokens, on_progress))
    bench.refuse_left(
        duplicates(
            [candidate for _, candidate in bench.left],
            problems=[problem.prompt for problem in problems],
            embedder=embedder,
            max_similarity=max_similarity,
            max_meaning_similarity=max_meaning_similarity,
        )
    )
    if trial_problems > 0:
        left = bench.left
        tried = await trials(
            [candidate for _, candidate in left],
            problems,
            teacher,
            grader,
            prompts=prompts,
            num_problems=trial_problems,
            temperature=temperature,
            seed=seed,
            max_tokens=max_tokens,
            on_progress=on_progress,
        )
        bench.trials = {place: trial for (place, _), trial in zip(left, tried, strict=True)}
        bench.refuse_left(
            {
                i: found
                for i, trial in enumerate(tried)
                if (found := _trial_refusal(trial, min_trial_accuracy))
            }
        )
    return bench.verdicts()


def text_refusal(primitive: Primitive) -> Refusal | None:
    """Why the words of a primitive alone forbid its use, or None: length, form, injection, unsafe
    content. All its fields are looked at: each is shown to people, and two to a teacher.
    """
    for field, (low, high) in _LIMITS.items():
        text = getattr(primitive, field)
        if len(text) < low:
            said = f"the {field} has {len(text)} characters, fewer than {low}"
            return Refusal("too-short", said)
        if found := refusal(text, max_chars=high):
            return Refusal(found.reason, f"the {field} {found.detail}")
    return None


class _Bench:
    """The candidates by place, with what was found against them so far."""

    def __init__(self, candidates: Sequence[Primitive]) -> None:
        self._candidates = list(candidates)
        self._refused: dict[int, Refusal] = {}
        self.trials: dict[int, Trial | None] = {}

    @property
    def left(self) -> list[tuple[int, Primitive]]:
        """The candidates that nothing was found against, with their places."""
        return [(i, c) for i, c in enumerate(self._candidates) if i not in self._refused]

    def refuse(self, found: dict[int, Refusal]) -> None:
        """`found` by place among all candidates."""
        self._refused.update(found)

    def refuse_left(self, found: dict[int, Refusal]) -> None:
        """`found` by place among those that are left."""
        places = [place for place, _ in self.left]
        self.refuse({places[i]: refused for i, refused in found.items()})

    def verdicts(self) -> list[Screening]:
        return [self._verdict(i, candidate) for i, candidate in enumerate(self._candidates)]

    def _verdict(self, place: int, candidate: Primitive) -> Screening:
        found = self._refused.get(place)
        return Screening(
            primitive_id=candidate.id,
            name=candidate.name,
            accepted=found is None,
            reason="" if found is None else found.reason,
            detail="" if found is None else _sentence(candidate, found),
            trial=self.trials.get(place),
        )


def _sentence(candidate: Primitive, found: Refusal) -> str:
    subject = "" if found.detail.startswith("the ") else "the primitive "
    said = f"{subject}{found.detail}"
    return f"{said[0].upper()}{said[1:]}."


async def _guard(
    left: Sequence[tuple[int, Primitive]],
    teacher: Teacher,
    guard: str,
    prompts: Prompts,
    max_tokens: int,
    on_progress: Progress | None,
) -> dict[int, Refusal]:
    num_done = 0

    async def judge(candidate: Primitive) -> Refusal | None:
        nonlocal num_done
        found = await guarded(
            candidate, teacher, guard=guard, prompts=prompts, max_tokens=max_tokens
        )
        num_done += 1
        if on_progress is not None:
            on_progress(num_done, len(left), "guard")
        return found

    verdicts = await together(judge(candidate) for _, candidate in left)
    return {i: found for (i, _), found in zip(left, verdicts, strict=True) if found is not None}


def _trial_refusal(trial: Trial | None, min_trial_accuracy: float) -> Refusal | None:
    if trial is None:
        if min_trial_accuracy <= 0:
            return None
        wanted = f"at least {min_trial_accuracy:g} of its trial right"
        return Refusal("not-tried", f"could not be tried, and the recipe wants {wanted}")
    if trial.right < min_trial_accuracy * trial.num:
        said = f"led to {trial.right} right of {trial.num} ({trial.plain_right} without it)"
        return Refusal("trial-accuracy", f"{said}, fewer than {min_trial_accuracy:g} of them")
    if trial.changed == 0.0:
        return Refusal("no-effect", f"changed no word of {trial.num} traces")
    return None
