"""`tailor primitives`: read, merge and compare libraries of primitives, and copy the prompts.

Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailor_rl.cli_words import RUNS_DIR, JsonOption, RunsDirOption
from tailor_rl.errors import ConfigError
from tailor_rl.printable import one_line

if TYPE_CHECKING:
    from tailor_rl.primitives.merging import Difference, Pair
    from tailor_rl.types import Primitive

app = typer.Typer(help="Libraries of reasoning primitives, and the prompts that ask for them.")

LibraryArgument = Annotated[
    str, typer.Argument(metavar="LIBRARY", help="a run or its name, a folder, or a .jsonl file")
]

_SHARES = {"instruction": 6, "A": 6, "B": 6, "likeness": 2}  # of a table's width; else 3


@dataclass(frozen=True, slots=True)
class Use:
    """How often a primitive is followed in the demonstrations of a run."""

    traces: int
    right: int


@app.command()
def show(
    path: LibraryArgument, runs_dir: RunsDirOption = RUNS_DIR, as_json: JsonOption = False
) -> None:
    """The primitives of a library: what they repair, where they come from, how they were used."""
    from tailor_rl.measures.embedding import WORDS, load_embedder
    from tailor_rl.primitives.library import mean_similarity, read_library
    from tailor_rl.primitives.patterns import group_patterns

    place = _find(path, runs_dir)
    primitives = read_library(place)
    folder = place if place.is_dir() else place.parent
    used, refused = _uses(folder, [primitive.id for primitive in primitives]), _refused(folder)
    patterns = group_patterns(primitives, embedder=load_embedder(WORDS))
    if as_json:
        rows = [
            {**asdict(p), **(asdict(used.get(p.id, Use(0, 0))) if used is not None else {})}
            for p in primitives
        ]
        found = {
            "primitives": rows,
            "patterns": [asdict(pattern) for pattern in patterns],
            "mean_similarity": mean_similarity(primitives),
            "refused": refused,
        }
        typer.echo(json.dumps(found, indent=2))
        return
    _print_table(
        ("primitive", "repairs", "instruction", "from"),
        [
            (f"{p.id}\n{one_line(p.name)}", p.targets, p.instruction, _origin(p, used))
            for p in primitives
        ],
    )
    typer.echo(
        f"{len(primitives)} primitives against {len(patterns)} error patterns, on average"
        f" {mean_similarity(primitives):.0f} of 100 alike"
    )
    if refused:
        counts = ", ".join(f"{num} {one_line(reason)}" for reason, num in refused.items())
        typer.echo(f"refused by the screen: {counts}")


@app.command()
def merge(
    paths: Annotated[list[str], typer.Argument(metavar="LIBRARY...", help="as for `show`")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="to be written")],
    max_similarity: Annotated[
        float, typer.Option(min=0, max=100, help="likeness above which two are one")
    ] = 90.0,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Several libraries as one, without near-duplicates; the first that has one keeps it."""
    from tailor_rl.primitives.library import LIBRARY, read_library, write_library
    from tailor_rl.primitives.merging import Source
    from tailor_rl.primitives.merging import merge as merge_libraries

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: choose a folder, which will be made")
    if (out / LIBRARY).exists():
        raise ConfigError(f"--out {out} holds a library already: choose another folder")
    places = [_find(path, runs_dir) for path in paths]
    sources = [
        Source(label, read_library(place))
        for label, place in zip(_labels(places), places, strict=True)
    ]
    merged = merge_libraries(sources, max_similarity=max_similarity)
    try:
        write_library(out, merged.primitives)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
    if as_json:
        found = {"out": str(out), "kept": len(merged.primitives)}
        rows = [asdict(dropped) for dropped in merged.dropped]
        typer.echo(json.dumps({**found, "dropped": rows}, indent=2))
        return
    for dropped in merged.dropped:
        typer.echo(
            f"dropped {one_line(dropped.origin)}: {dropped.likeness:.0f} of 100 like"
            f" {one_line(dropped.like)}, which is {dropped.kept_id} now"
            f" ({one_line(dropped.instruction, 80)!r})"
        )
    num = sum(len(source.primitives) for source in sources)
    typer.echo(f"{out / LIBRARY}: {len(merged.primitives)} of {num} primitives")


@app.command()
def diff(
    first: LibraryArgument,
    second: Annotated[str, typer.Argument(metavar="OTHER", help="the same")],
    min_likeness: Annotated[
        float, typer.Option(min=0, max=100, help="from which two are shown as a pair")
    ] = 70.0,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Which primitives only one of two libraries has, and which are much alike."""
    from tailor_rl.primitives.library import read_library
    from tailor_rl.primitives.merging import diff as compare_libraries

    libraries = [read_library(_find(path, runs_dir)) for path in (first, second)]
    found = compare_libraries(*libraries, min_likeness=min_likeness)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    typer.echo(f"A  {first}: {len(libraries[0])} primitives")
    typer.echo(f"B  {second}: {len(libraries[1])} primitives\n")
    _print_difference(found)
    typer.echo(
        f"{len(found.same)} with the same words, {len(found.alike)} alike,"
        f" {len(found.only_first)} only in A, {len(found.only_second)} only in B"
    )


@app.command()
def prompts(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="to be written")],
) -> None:
    """Copy the teacher's prompts into a folder, to be edited; `prompts.folder` names it."""
    from tailor_rl.teachers.prompt_files import copy_prompt_files

    for path in copy_prompt_files(folder):
        typer.echo(path)
    typer.echo(f'edit them, remove those that stay as they are, and set prompts.folder="{folder}"')


def _find(text: str, runs_dir: Path) -> Path:
    from tailor_rl.cli_run import find_run

    path = find_run(text, runs_dir)
    if not path.exists():
        raise ConfigError(
            f"there is no library {text}: give a run or its name under {runs_dir}, a folder, or a"
            " .jsonl file"
        )
    return path


def _labels(places: Sequence[Path]) -> list[str]:
    """A short name for each library, no two the same."""
    from tailor_rl.primitives.library import LIBRARY

    labels: list[str] = []
    for place in places:
        path = place.resolve()
        label = path.parent.name if path.name == LIBRARY else path.stem
        taken = Counter(other.partition("#")[0] for other in labels)[label]
        labels.append(f"{label}#{taken + 1}" if taken else label)
    return labels


def _uses(folder: Path, known: Sequence[str]) -> dict[str, Use] | None:
    """By primitive id; None where there are no demonstrations."""
    from tailor_rl.primitives.assign import followed
    from tailor_rl.runs.files import read_typed_lines
    from tailor_rl.types import Demonstration

    path = folder / "demonstrations.jsonl"
    if not path.is_file():
        return None
    rows = read_typed_lines(path, Demonstration, what="no demonstration", fix="remove the line")
    uses = [(name, row.reward) for row in rows for name in followed(row.primitive_id, known)]
    traces = Counter(name for name, _ in uses)
    right = Counter(name for name, reward in uses if reward >= 1.0)
    return {name: Use(num, right[name]) for name, num in traces.items()}


def _refused(folder: Path) -> dict[str, int]:
    """How many candidates the screen of a run refused, by reason; the most frequent first."""
    from tailor_rl.runs.files import read_typed_lines

    rows = read_typed_lines(
        folder / "screening.jsonl", dict[str, Any], what="no verdict", fix="remove the line"
    )
    reasons = Counter(str(row.get("reason", "")) for row in rows if not row.get("accepted", True))
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _origin(primitive: Primitive, used: dict[str, Use] | None) -> str:
    lines = [one_line(primitive.teacher), f"at {primitive.temperature:g}"]
    if primitive.source_attempt_ids:
        lines.append(f"{len(primitive.source_attempt_ids)} attempts")
    if primitive.parents:
        lines.append(one_line(", ".join(primitive.parents), 80))
    if used is not None:
        use = used.get(primitive.id, Use(0, 0))
        lines.append(f"{use.traces} traces, {use.right} right")
    return "\n".join(lines)


def _print_difference(found: Difference) -> None:
    def pair(pair: Pair) -> tuple[str, str, str]:
        first, second = (f"{p.id}\n{p.instruction}" for p in (pair.first, pair.second))
        return first, second, f"{pair.likeness:.0f}"

    if found.alike:
        _print_table(("A", "B", "likeness"), [pair(each) for each in found.alike])
    for name, alone in (("A", found.only_first), ("B", found.only_second)):
        rows = [(f"{p.id}\n{one_line(p.name)}", p.targets, p.instruction) for p in alone]
        if rows:
            _print_table((f"only in {name}", "repairs", "instruction"), rows)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Cells of prose: wrapped, and never read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tailor_rl.printable import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True, expand=True)
    for column in columns:
        table.add_column(Text(column), overflow="fold", ratio=_SHARES.get(column, 3))
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
