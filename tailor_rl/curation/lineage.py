"""Where an SFT set comes from: enough to tell whether two sets differ in one thing alone.

Every hash is the SHA-256 of canonical JSON: anyone can compute it again from the files.
Knows nothing about folders: dataset.py keeps a lineage beside its rows, card.py makes a page of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from tailor_rl import __version__
from tailor_rl.config.schema import RunConfig
from tailor_rl.markdown import escaped
from tailor_rl.primitives.assign import followed
from tailor_rl.summary import totals
from tailor_rl.types import Demonstration, Primitive, Problem

_Who = tuple[Literal["primitives", "demonstrations"], str, str, float | None]

# The sections of a recipe that decide what is in a set.
_SECTIONS = ("attempts", "primitives", "demonstrations", "four_star", "re_distill", "control")
# What a set is, field by field. A field that is added to Demonstration later changes no old hash.
_HASHED = (
    "id",
    "problem_id",
    "prompt",
    "trace",
    "reward",
    "origin",
    "primitive_id",
    "teacher",
    "temperature",
    "prompt_version",
)


@dataclass(frozen=True, slots=True)
class PrimitiveUse:
    """A primitive and how many demonstrations follow it."""

    id: str
    name: str
    instruction: str
    demonstrations: int


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote `num` primitives or demonstrations. `model` is empty for a rule and the student."""

    what: Literal["primitives", "demonstrations"]
    origin: str
    model: str
    temperature: float | None
    num: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """One row of lineage.jsonl. `queries` are those that were to be demonstrated, `answered` those
    that have a demonstration in the set.

    Example of a comparison: the sets of two initialisations are about the same problems if
    `same_queries(a, b)`, and cost the same SFT if `tokens` are equal.
    """

    version: str  # of tailor_rl
    initialisation: str
    student: str
    seed: int
    task: str
    task_seed: int
    task_options: dict[str, Any]
    num_queries: int
    queries_sha256: str  # ids and prompts
    num_answered: int
    answered_sha256: str
    num_demonstrations: int
    set_sha256: str  # every row, in order
    tokens: int  # of all completions, by the student's tokenizer
    grades: dict[str, int]  # reward -> demonstrations: {"1": 118, "0": 12}
    origins: dict[str, int]
    primitives: tuple[PrimitiveUse, ...]
    primitives_sha256: str
    writers: tuple[Writer, ...]
    prompt_versions: tuple[str, ...]
    prompts_sha256: str  # of the versions, which hold hashes of the prompt files
    settings: dict[str, dict[str, Any]]  # of the recipe: keep, matching, screen, ...
    spent: dict[str, dict[str, float]]  # stage -> what making the set cost


def describe_lineage(
    cfg: RunConfig,
    *,
    demonstrations: Sequence[Demonstration],
    queries: Sequence[Problem],
    primitives: Sequence[Primitive],
    spent: Mapping[str, Mapping[str, float]],
    tokens: int,
) -> Lineage:
    """The lineage of `demonstrations`, which `initialisation` made of `queries`.

    `primitives` are all that were to be followed, `spent` the ledger of the stages that made the
    set, `tokens` the student's own count. Absolute paths are cut to their last part: a lineage is
    published with its set.
    """
    known = [each.id for each in primitives]
    used = Counter(name for made in demonstrations for name in followed(made.primitive_id, known))
    answered = {made.problem_id: made.prompt for made in demonstrations}
    versions = {
        *(each.prompt_version for each in primitives),
        *(made.prompt_version for made in demonstrations),
    } - {""}
    recipe = cfg.model_dump(mode="json")
    return Lineage(
        version=__version__,
        initialisation=_public(cfg.initialisation),
        student=_public(cfg.student),
        seed=cfg.seed,
        task=_public(cfg.task.name),
        task_seed=cfg.task.seed,
        task_options=_public(recipe["task"]["options"]),
        num_queries=len(queries),
        queries_sha256=sha256_of(sorted([query.id, query.prompt] for query in queries)),
        num_answered=len(answered),
        answered_sha256=sha256_of(sorted([list(pair) for pair in answered.items()])),
        num_demonstrations=len(demonstrations),
        set_sha256=set_sha256(demonstrations),
        tokens=tokens,
        grades=_counts(f"{made.reward:g}" for made in demonstrations),
        origins=_counts(made.origin for made in demonstrations),
        primitives=tuple(
            PrimitiveUse(each.id, each.name, each.instruction, used[each.id]) for each in primitives
        ),
        primitives_sha256=sha256_of(
            sorted([each.id, each.name, each.instruction, each.targets] for each in primitives)
        ),
        writers=_writers(primitives, demonstrations),
        prompt_versions=tuple(sorted(versions)),
        prompts_sha256=sha256_of(sorted(versions)),
        settings={section: _public(recipe[section]) for section in _SECTIONS},
        spent={stage: dict(amounts) for stage, amounts in spent.items() if amounts},
    )


def same_queries(one: Lineage, other: Lineage) -> bool:
    """Whether two sets were made of the same problems, word for word."""
    return one.queries_sha256 == other.queries_sha256


def set_sha256(demonstrations: Sequence[Demonstration]) -> str:
    """The hash of a set: every row in its order, without what the teacher counted as tokens."""
    return sha256_of([[getattr(made, name) for name in _HASHED] for made in demonstrations])


def sha256_of(value: Any) -> str:
    """Hex SHA-256 of canonical JSON: sorted keys, no blanks, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def facts(lineage: Lineage) -> list[tuple[str, str]]:
    """A lineage as (label, value) pairs of plain text: for a terminal, a page, a card."""
    options = json.dumps(lineage.task_options, sort_keys=True) if lineage.task_options else ""
    return [
        ("initialisation", lineage.initialisation),
        ("student", lineage.student),
        ("task", f"{lineage.task}, seed {lineage.task_seed}{f', {options}' if options else ''}"),
        ("queries", f"{lineage.num_queries:,}, sha256 {lineage.queries_sha256}"),
        ("answered queries", f"{lineage.num_answered:,}, sha256 {lineage.answered_sha256}"),
        ("demonstrations", f"{lineage.num_demonstrations:,}, sha256 {lineage.set_sha256}"),
        ("completion tokens", f"{lineage.tokens:,} by the student's tokenizer"),
        ("grades", _grades(lineage.grades)),
        ("origin", ", ".join(f"{name} {num:,}" for name, num in lineage.origins.items())),
        ("primitives", _primitives(lineage)),
        ("written by", "; ".join(map(_writer, lineage.writers)) or "nobody"),
        ("prompts", _prompts(lineage)),
        ("filters", _filters(lineage)),
        ("teacher", _bought(lineage.spent)),
        ("made by", f"tailor_rl {lineage.version}, seed {lineage.seed}"),
    ]


def render(lineage: Lineage) -> list[str]:
    """The facts as the lines of a Markdown list."""
    return [f"- **{label}**: {escaped(value, 2000)}" for label, value in facts(lineage)]


def _counts(values: Iterable[str]) -> dict[str, int]:
    """Most frequent first; names decide among equals."""
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


def _writers(
    primitives: Sequence[Primitive], demonstrations: Sequence[Demonstration]
) -> tuple[Writer, ...]:
    counted: Counter[_Who] = Counter()
    counted.update(("primitives", "teacher", p.teacher, p.temperature) for p in primitives)
    counted.update(
        ("demonstrations", made.origin, made.teacher, made.temperature) for made in demonstrations
    )
    found = sorted(
        counted.items(), key=lambda pair: (pair[0][0] != "primitives", -pair[1], str(pair))
    )
    return tuple(Writer(*who, num) for who, num in found)


def _public(value: Any) -> Any:
    """`value` with the last part of each absolute path in place of the whole."""
    if isinstance(value, str):
        return PurePath(value).name if PurePath(value).is_absolute() else value
    if isinstance(value, Mapping):
        return {key: _public(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(inner) for inner in value]
    return value


def _num_right(grades: Mapping[str, int]) -> int:
    return sum(count for reward, count in grades.items() if float(reward) >= 1.0)


def _grades(grades: Mapping[str, int]) -> str:
    num = sum(grades.values())
    right = _num_right(grades)
    share = f" ({100 * right / num:.1f} %)" if num else ""
    listed = ", ".join(f"reward {reward}: {count:,}" for reward, count in grades.items())
    return f"{right:,} of {num:,} right{share}; {listed or 'none'}"


def _primitives(lineage: Lineage) -> str:
    if not lineage.primitives:
        return "none"
    followed = sum(use.demonstrations > 0 for use in lineage.primitives)
    listed = f"{len(lineage.primitives)}, {followed} of them followed"
    return f"{listed}, sha256 {lineage.primitives_sha256}"


def _writer(writer: Writer) -> str:
    heat = "" if writer.temperature is None else f" at temperature {writer.temperature:g}"
    who = writer.model or {"rule": "the task's solver", "student": "the policy"}.get(
        writer.origin, writer.origin
    )
    return f"{writer.num:,} {writer.what} by {who}{heat}"


def _prompts(lineage: Lineage) -> str:
    if not lineage.prompt_versions:
        return "none"
    return f"{', '.join(lineage.prompt_versions)}, sha256 {lineage.prompts_sha256}"


def _filters(lineage: Lineage) -> str:
    settings = lineage.settings["demonstrations"]
    found = f"keep = {settings['keep']}"
    right = _num_right(lineage.grades)
    other = {"correct": sum(lineage.grades.values()) - right, "wrong": right}
    if other.get(settings["keep"]):
        # As a control of wrong traces does: a reader must not take the recipe's word for it.
        found += " in the recipe, which this initialisation overrides"
    if settings["correct_share"] is not None:
        found += f", trimmed to {100 * settings['correct_share']:g} % right ones"
    if settings["match"] != "none":
        found += f", matched to {settings['match_to']:,} {settings['match']}"
    return found


def _bought(spent: Mapping[str, Mapping[str, float]]) -> str:
    bought = {
        name.removeprefix("teacher_"): amount
        for name, amount in totals(spent).items()
        if name.startswith("teacher_") and amount
    }
    return ", ".join(f"{amount:,.6g} {name}" for name, amount in sorted(bought.items())) or "none"
