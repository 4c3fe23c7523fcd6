"""Which traces, primitives and settings the page shows, from the rows of a run folder.

Everything that a model or a teacher wrote leaves here without control characters; escaping is the
template's.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.printable import printable
from tailor_rl.runs.files import read_tables
from tailor_rl.summary import STAGE_LABELS, read_object, read_rows

EXCERPT = 4000  # characters of a trace on the page; the files have all of it
SOURCES = 2  # attempts shown of those that a primitive was written from


@dataclass(frozen=True, slots=True)
class Answer:
    """What one stage's model wrote to a problem."""

    stage: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem, and the answers of every stage that left one, in the order of the stages."""

    split: str
    problem_id: str
    prompt: str
    answer: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Source:
    problem: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class PrimitiveEntry:
    name: str
    instruction: str
    targets: str
    teacher: str
    temperature: float
    num_sources: int
    sources: tuple[Source, ...]
    num_demonstrations: int
    share: float  # of all demonstrations
    example: Source | None


def excerpt(text: object) -> str:
    """Printable text of bounded length; says how much was cut."""
    clean = printable(str(text)).strip()
    if len(clean) <= EXCERPT:
        return clean
    return f"{clean[:EXCERPT]}\n... {len(clean) - EXCERPT:,} more characters"


def read_samples(run_path: Path) -> list[Sample]:
    """The problems of samples/eval-STAGE.jsonl, "test" first; each with one answer a stage."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for stage in STAGE_LABELS:
        for row in read_rows(run_path / "samples" / f"eval-{stage}.jsonl"):
            key = str(row.get("split", "")), str(row.get("problem_id", ""))
            found.setdefault(key, {}).setdefault(stage, row)
    samples = [_sample(key, by_stage) for key, by_stage in found.items()]
    return sorted(samples, key=lambda sample: (sample.split != "test", sample.split))


def _sample(key: tuple[str, str], by_stage: Mapping[str, Mapping[str, Any]]) -> Sample:
    first = next(iter(by_stage.values()))
    answers = (
        Answer(STAGE_LABELS[stage], excerpt(row.get("text", "")), row.get("correct", 0) >= 1)
        for stage, row in by_stage.items()
    )
    return Sample(
        split=key[0],
        problem_id=excerpt(key[1]),
        prompt=excerpt(first.get("prompt", "")),
        answer=excerpt(first.get("answer", "")),
        answers=tuple(answers),
    )


def read_primitives(run_path: Path) -> list[PrimitiveEntry]:
    """primitives.jsonl, the most used first, with their sources and one demonstration each."""
    attempts = {row.get("id"): row for row in read_rows(run_path / "attempts.jsonl")}
    demonstrations = read_rows(run_path / "demonstrations.jsonl")
    used = Counter(row.get("primitive_id") for row in demonstrations)
    example: dict[Any, Mapping[str, Any]] = {}
    for row in demonstrations:
        example.setdefault(row.get("primitive_id"), row)
    entries = []
    for row in read_rows(run_path / "primitives.jsonl"):
        ids = row.get("source_attempt_ids", [])
        shown = [attempts[i] for i in ids if i in attempts][:SOURCES]
        made = example.get(row.get("id"))
        entries.append(
            PrimitiveEntry(
                name=excerpt(row.get("name", "")),
                instruction=excerpt(row.get("instruction", "")),
                targets=excerpt(row.get("targets", "")),
                teacher=excerpt(row.get("teacher", "")),
                temperature=row.get("temperature", 0.0),
                num_sources=len(ids),
                sources=tuple(_source(attempt, "text") for attempt in shown),
                num_demonstrations=used[row.get("id")],
                share=used[row.get("id")] / max(1, len(demonstrations)),
                example=_source(made, "trace") if made else None,
            )
        )
    return sorted(entries, key=lambda entry: -entry.num_demonstrations)


def _source(row: Mapping[str, Any], key: str) -> Source:
    return Source(
        excerpt(row.get("prompt", "")), excerpt(row.get(key, "")), row.get("reward", 0) >= 1
    )


def demonstrations_line(run_path: Path) -> str:
    """Example: "512 demonstrations, 480 of them by the teacher"; "" where there are none."""
    rows = read_rows(run_path / "demonstrations.jsonl")
    if not rows:
        return ""
    origins = Counter(str(row.get("origin", "unknown")) for row in rows)
    names = {"teacher": "written by the teacher", "rule": "written by the task's own solver"}
    parts = [f"{num:,} {names.get(origin, origin)}" for origin, num in origins.most_common()]
    return f"{len(rows):,} demonstrations for SFT: {', '.join(parts)}"


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Dotted names and values of nested settings. Example: ("rl.num_steps", "100")."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, list) else item
            yield printable(f"{prefix}{key}"), "not set" if shown is None else excerpt(shown)


@dataclass(frozen=True, slots=True)
class Setup:
    """How the run was made. Everything is empty where the files are missing."""

    headline: tuple[str, ...]
    command: str
    sections: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # of config.json
    environment: tuple[tuple[str, str], ...]
    state: str


def read_setup(run_path: Path) -> Setup:
    record = read_object(run_path / "config.json")
    config = record.get("config", {})
    provenance = record.get("provenance", {})
    return Setup(
        headline=_headline(config),
        command=printable(shlex.join(map(str, provenance.get("command", ())))),
        sections=_sections(config),
        environment=tuple(flatten(read_object(run_path / "environment.json"))),
        state=_state(run_path),
    )


def _headline(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Example: ("knights", "tailor", "students/knights", "dapo", "seed 0")."""
    if not config:
        return ()
    task, rl = config.get("task", {}).get("name", ""), config.get("rl", {}).get("algorithm", "")
    named = (
        ("task", task),
        ("student", config.get("student", "")),
        ("initialisation", config.get("initialisation", "")),
        ("algorithm", rl),
        ("seed", config.get("seed", "")),
    )
    return tuple(f"{name} {printable(str(value))}" for name, value in named if value != "")


def _sections(
    config: Mapping[str, Any],
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """The top-level values first, then each section."""
    plain = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    nested: Sequence[tuple[str, Any]] = [
        (key, value) for key, value in config.items() if isinstance(value, Mapping) and value
    ]
    groups = [("recipe", plain), *nested] if plain else nested
    return tuple((name, tuple(flatten(values))) for name, values in groups)


def _state(run_path: Path) -> str:
    """Whether the run got to its end, from stages.json: the page is written before outcome.json."""
    stages = read_tables(run_path / "stages.json")
    if "finished" in stages.get("evaluate_rl", {}):
        return "complete"
    outcome = read_object(run_path / "outcome.json")
    if outcome.get("state") in ("stopped", "failed"):
        error = printable(str(outcome.get("error") or ""))
        return f"{outcome['state']}{': ' if error else ''}{error}"
    begun = [stage for stage, entry in stages.items() if "finished" not in entry]
    where = f" (in {printable(begun[-1]).replace('_', ' ')})" if begun else ""
    return f"not complete{where}"
