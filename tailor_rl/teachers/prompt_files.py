"""Prompts as files: Markdown with a part "# System" and a part "# Prompt", each a jinja2 template.

    what stands here is for people
    # System
    You are a teacher.
    # Prompt
    Solve this. {{ problem | block("Problem") }}

Knows which files there are and which variables they take, but not what they ask.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailor_rl.errors import ConfigError
from tailor_rl.measures.habits import HABITS
from tailor_rl.printable import one_line
from tailor_rl.runs.files import write_atomic

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

SHIPPED = Path(__file__).parents[1] / "prompts"

_HEADING = re.compile(r"^#[ \t]+(system|prompt)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_COPY_HINT = "`tailor primitives prompts DIR` writes the shipped files as examples"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a prompt file may and must say, and values it is tried with when it is read."""

    needed: tuple[str, ...]
    samples: tuple[Mapping[str, Any], ...]

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(self.samples[0])


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """One attempt as the teacher sees it; `grade` is what the prompt says of it."""

    problem: str
    answer: str
    right: bool
    grade: str = ""


_SHOWN = ShownAttempt(problem="1+1", answer="3", right=False, grade="wrong")
KINDS: Mapping[str, Kind] = {
    "discover": Kind(
        ("attempts", "num_primitives"),
        (
            {"attempts": [_SHOWN], "num_primitives": 1, "known": [], "complaint": ""},
            {"attempts": [_SHOWN] * 2, "num_primitives": 2, "known": ["A: b"], "complaint": "No."},
        ),
    ),
    "demonstrate": Kind(("problem", "instruction"), ({"problem": "1+1", "instruction": "Count."},)),
    "plain": Kind(("problem",), ({"problem": "1+1"},)),
    "habits": Kind(("problem",), ({"problem": "1+1"},)),
    "judge": Kind(
        ("habit", "trace"),
        tuple({"habit": habit, "problem": "1+1", "trace": "2"} for habit in HABITS),
    ),
    "guard": Kind(("text",), ({"text": "Count."},)),
}


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A checked prompt file. `version` is its name and 8 hex digits of the sha256 of its bytes."""

    path: Path
    version: str
    source: str
    _system: Template
    _prompt: Template

    def render(self, **values: Any) -> tuple[str, str]:
        """(system, prompt). ConfigError where the template fails on these values."""
        from jinja2 import TemplateError

        try:
            system, prompt = self._system.render(values), self._prompt.render(values)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"{self.path} cannot be filled in: {one_line(str(error))}") from error
        return system.strip(), prompt.strip()


def read_prompt_files(folder: str = "") -> dict[str, PromptFile]:
    """Every prompt by its name: those of `folder`, and the shipped ones where it has none.

    ConfigError for a folder that is missing, empty or holds a .md file of another name, and for a
    file that is no template or does not fit its variables.
    """
    own = _files_of(Path(folder)) if folder else {}
    return {name: _read(own.get(name, SHIPPED / f"{name}.md"), name) for name in KINDS}


def copy_prompt_files(folder: Path) -> list[Path]:
    """Write the shipped prompts into `folder`, to be edited. ConfigError where one is there."""
    files = {folder / f"{name}.md": SHIPPED / f"{name}.md" for name in KINDS}
    there = [path for path in files if path.exists()]
    if there:
        raise ConfigError(f"{there[0]} exists already and is not replaced: choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, shipped in files.items():
            write_atomic(path, shipped.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"prompts cannot be written to {folder} ({error.strerror}): choose another folder"
        ) from error
    return list(files)


def block(body: object, title: str) -> str:
    """`body` under a heading, in a code block that it cannot leave."""
    text = str(body)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"### {title}\n{fence}\n{text}\n{fence}"


def _files_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(
            f'prompts.folder = "{folder}" is no folder: give one with prompt files; {_COPY_HINT}'
        )
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".md")
    except OSError as error:
        raise ConfigError(
            f'prompts.folder = "{folder}" cannot be read ({error.strerror})'
        ) from error
    strangers = [path for path in found if path.name not in {f"{name}.md" for name in KINDS}]
    if strangers:
        names = ", ".join(f"{name}.md" for name in _nearest_first(strangers[0].stem, KINDS))
        raise ConfigError(
            f"{strangers[0]} is no prompt: rename or remove it; the prompts are {names}"
        )
    if not found:
        raise ConfigError(f'prompts.folder = "{folder}" holds no prompt (*.md); {_COPY_HINT}')
    return {path.stem: path for path in found}


def _read(path: Path, name: str) -> PromptFile:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the prompt {path} cannot be read: {error}") from error
    system, prompt = _parts(path, text)
    file = PromptFile(
        path=path,
        version=f"{name}@{hashlib.sha256(data).hexdigest()[:8]}",
        source=text,
        _system=_compiled(path, system),
        _prompt=_compiled(path, prompt),
    )
    _check_variables(path, KINDS[name], system.text + prompt.text)
    for sample in KINDS[name].samples:
        if not file.render(**sample)[1]:
            raise ConfigError(f'{path} asks nothing: write the question under "# Prompt"')
    return file


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    line: int  # of the file, before the first of the part


def _parts(path: Path, text: str) -> tuple[_Part, _Part]:
    headings = list(_HEADING.finditer(text))
    titles = [heading[1].lower() for heading in headings]
    if titles != ["system", "prompt"]:
        found = ", then ".join(f'"# {title.capitalize()}"' for title in titles) or "neither"
        raise ConfigError(
            f'{path} must have the line "# System" once and after it the line "# Prompt" once,'
            f" and has {found}; {_COPY_HINT}"
        )
    system, prompt = headings
    line = 1 + text.count("\n", 0, system.end())
    between = text[system.end() + 1 : prompt.start()]
    return (
        _Part(between, line),
        _Part(text[prompt.end() + 1 :], 1 + text.count("\n", 0, prompt.end())),
    )


def _compiled(path: Path, part: _Part) -> Template:
    from jinja2 import TemplateSyntaxError

    try:
        return _environment().from_string(part.text)
    except TemplateSyntaxError as error:
        where = f"line {part.line + error.lineno}"
        raise ConfigError(
            f"{path}, {where} is no jinja2 template: {one_line(str(error.message))}"
        ) from error


def _check_variables(path: Path, kind: Kind, text: str) -> None:
    from jinja2 import meta

    used = meta.find_undeclared_variables(_environment().parse(text))
    for stranger in sorted(used - set(kind.variables)):
        names = ", ".join(_nearest_first(stranger, kind.variables))
        raise ConfigError(f"{path} uses the variable {stranger!r}, which is none of its: {names}")
    for missing in (name for name in kind.needed if name not in used):
        raise ConfigError(
            f"{path} never uses the variable {missing!r}, without which it asks nothing: write "
            f"{{{{ {missing} }}}} where it belongs"
        )


def _nearest_first(wrong: str, names: Mapping[str, Any] | tuple[str, ...]) -> list[str]:
    from rapidfuzz import process

    return [found[0] for found in process.extract(wrong.lower(), list(names), limit=None)]


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[..., Any]] = {"block": block}
    environment.filters.update(filters)
    return environment
