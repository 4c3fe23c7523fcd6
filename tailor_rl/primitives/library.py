"""A library of primitives: how alike they are, and the files that people read and edit.

primitives.jsonl   a primitive a line; only "instruction" is needed in a line written by hand
primitives.md      the same as a page
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rapidfuzz import fuzz, process, utils

from tailor_rl.errors import ConfigError
from tailor_rl.markdown import escaped
from tailor_rl.printable import one_line
from tailor_rl.runs.files import write_atomic
from tailor_rl.types import Primitive

LIBRARY = "primitives.jsonl"
PAGE = "primitives.md"
BY_HAND = "by hand"  # the teacher of a primitive whose line names none

_COPY = 90.0
_NAME_WORDS = 5


def similarity(one: str, other: str) -> float:
    """Likeness of two instructions, 0 to 100, blind to case and punctuation (rapidfuzz ratio)."""
    return fuzz.ratio(one, other, processor=plain)


def is_new(instruction: str, known: Sequence[str], *, max_similarity: float) -> bool:
    """Whether an instruction is at most `max_similarity` alike to each of the known ones."""
    best = process.extractOne(instruction, known, scorer=fuzz.ratio, processor=plain)
    return best is None or best[1] <= max_similarity


def copies(instruction: str, texts: Sequence[str]) -> bool:
    """Whether an instruction repeats a passage of a text instead of saying how to think."""
    wanted = plain(instruction)
    for text in texts:
        passage = plain(text)
        if len(passage) >= len(wanted) and fuzz.partial_ratio(wanted, passage) > _COPY:
            return True
    return False


def leaks(instruction: str, right_answers: Sequence[str]) -> bool:
    """Whether an instruction says the last line of a right answer, word for word.

    A last line of one word, such as "7", is passed over: any text may hold it by chance.
    """
    said = f" {plain(instruction)} "
    ends = (text.strip().rpartition("\n")[2] for text in right_answers)
    return any(" " in end and f" {end} " in said for end in map(plain, ends))


def mean_similarity(primitives: Sequence[Primitive]) -> float:
    """Mean likeness over all pairs, 0 to 100; 0 for fewer than two. Lower is more diverse."""
    pairs = list(combinations([p.instruction for p in primitives], 2))
    return sum(similarity(a, b) for a, b in pairs) / len(pairs) if pairs else 0.0


def library_file(path: Path) -> Path:
    """The .jsonl that `path` means: itself, or primitives.jsonl in a folder. ConfigError where
    there is none.
    """
    file = path / LIBRARY if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"there is no library of primitives at {path}: give a .jsonl file, or a folder with"
            f" {LIBRARY}, such as that of a run"
        )
    return file


def read_library(path: Path) -> list[Primitive]:
    """The primitives of a file, or of a folder that holds primitives.jsonl, in their order.

    What a line does not say gets a default; a primitive without an id is numbered by its line.
    ConfigError names file, line and fix where a line is no primitive, an id comes twice, or there
    is no primitive at all.
    """
    file = library_file(path)
    try:
        lines = file.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    except OSError as error:
        raise ConfigError(f"the library {file} cannot be read: {error.strerror}") from error
    found: dict[str, tuple[int, Primitive]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        primitive = _read_line(line, number, file)
        if primitive.id in found:
            raise ConfigError(
                f"{file}, line {number} has the id {primitive.id!r} of line"
                f" {found[primitive.id][0]}: give one of them another id"
            )
        found[primitive.id] = (number, primitive)
    if not found:
        raise ConfigError(f"the library {file} is empty: write a primitive a line into it")
    return [primitive for _, primitive in found.values()]


def write_library(folder: Path, primitives: Sequence[Primitive]) -> None:
    """Write primitives.jsonl and primitives.md, each whole or not at all; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / LIBRARY, "".join(f"{to_line(primitive)}\n" for primitive in primitives))
    write_atomic(folder / PAGE, to_markdown(primitives))


def to_line(primitive: Primitive) -> str:
    """One primitive as a line of JSON that `read_library` reads."""
    return _Row.model_validate(primitive, from_attributes=True).model_dump_json()


def to_markdown(primitives: Sequence[Primitive]) -> str:
    """The library as a page for people. What a teacher wrote is escaped: it cannot add markup."""
    lines = ["# Reasoning primitives", ""]
    for primitive in primitives:
        lines += [
            f"## {escaped(primitive.id)}: {escaped(primitive.name)}",
            "",
            f"> {escaped(primitive.instruction, None)}",
            "",
            *([f"Repairs: {escaped(primitive.targets, None)}", ""] if primitive.targets else []),
            _origin(primitive),
            "",
        ]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Lower-case words alone; rapidfuzz leaves a blank where a comma was."""
    return " ".join(utils.default_process(text).split())


class _Row(BaseModel):
    """A line of the file, in the order in which it is written."""

    model_config = ConfigDict(extra="forbid")

    id: str = ""
    name: str = ""
    instruction: str
    targets: str = ""
    source_attempt_ids: tuple[str, ...] = ()
    teacher: str = BY_HAND
    temperature: float = Field(0.0, ge=0, allow_inf_nan=False)
    prompt_version: str = ""
    parents: tuple[str, ...] = ()


def _read_line(line: str, number: int, file: Path) -> Primitive:
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        raise ConfigError(
            f"{file}, line {number} is no primitive ({_wrong(error)}): mend or remove the line"
        ) from error
    if not row.instruction.strip():
        raise ConfigError(
            f"{file}, line {number} has an empty instruction: write one or remove the line"
        )
    words = row.instruction.split()
    return Primitive(
        id=row.id.strip() or f"primitive-{number:03d}",
        name=row.name.strip() or " ".join(words[:_NAME_WORDS]),
        **row.model_dump(exclude={"id", "name"}),
    )


def _wrong(error: ValidationError) -> str:
    """The first fault; a field that there is not before all, for it says why another is missing."""
    faults = error.errors()
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return one_line(f"{where}: {first['msg']}" if where else first["msg"])
    nearest = process.extractOne(where, list(_Row.model_fields))
    assert nearest is not None
    return f"{one_line(where)!r} is no field of it; did you mean {nearest[0]!r}?"


def _origin(primitive: Primitive) -> str:
    """Who wrote it and from what, in one line of Markdown."""
    sources = primitive.source_attempt_ids
    by = f"Written {escaped(primitive.teacher)}"
    if primitive.teacher != BY_HAND:
        by = f"Written by {escaped(primitive.teacher)} at temperature {primitive.temperature:g}"
    if sources:
        by += f" from {len(sources)} attempts: {', '.join(map(escaped, sources))}"
    asked = f" Asked by {escaped(primitive.prompt_version)}." if primitive.prompt_version else ""
    parents = ", ".join(map(escaped, primitive.parents))
    return f"{by}.{asked}" + (f" From {parents}." if parents else "")
