"""`tailor compare A B`: where the results problem by problem are, and what is said of them.

evaluations/demo-sft      a folder of `tailor evaluate`
demo:sft                  results/eval-sft.jsonl of a run, which is given by path or name
path/to/file.jsonl        any file of ProblemResult rows
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tailor_rl.cli_evaluate import pick_splits
from tailor_rl.cli_run import find_run
from tailor_rl.comparison import (
    MCNEMAR,
    SplitComparison,
    compare,
    p_value,
    verdicts,
)
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.runs.evaluation_folder import (
    RECORD,
    RESULTS,
    read_record,
    read_results,
    recipe_of,
)
from tailor_rl.runs.folder import CONFIG, read_run_config
from tailor_rl.sheets import Sheet, print_sheets
from tailor_rl.types import ProblemResult

if TYPE_CHECKING:
    from tailor_rl.config.schema import RunConfig


@dataclass(frozen=True, slots=True)
class Source:
    """Results and, where it is known, the recipe by which they were made."""

    name: str
    results: list[ProblemResult]
    recipe: RunConfig | None


def show_comparison(
    first: str, second: str, *, splits: Sequence[str], runs_dir: Path, as_json: bool
) -> None:
    """Print B against A. ConfigError or RunFolderError where they cannot be compared."""
    sources = [read_source(name, runs_dir) for name in (first, second)]
    chosen = [_of_splits(source, splits) for source in sources]
    comparisons = compare(*chosen)
    notes = list(_notes(sources, chosen))
    if as_json:
        rows = [_row(comparison) for comparison in comparisons]
        found = {"a": first, "b": second, "splits": rows, "notes": notes}
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"A  {first}\nB  {second}\n")
    print_sheets([_sheet(comparison) for comparison in comparisons])
    for line in (*(s for c in comparisons for s in verdicts(c)), *notes):
        typer.echo(line)


def read_source(text: str, runs_dir: Path) -> Source:
    """What `text` names; RunFolderError or ConfigError where there is nothing, or nothing in it."""
    path, recipe = Path(text), None
    run, colon, stage = text.rpartition(":")
    if path.is_dir() and (path / RECORD).is_file():
        recipe = recipe_of(read_record(path), path)
        path = path / RESULTS
    elif path.is_dir() or (not path.exists() and not colon and path.suffix != ".jsonl"):
        raise _unnamed(text, find_run(text, runs_dir))
    elif not path.exists() and colon:
        folder = find_run(run, runs_dir)
        recipe = read_run_config(folder)
        path = folder / "results" / f"eval-{stage}.jsonl"
        if not path.is_file():
            raise _unnamed(text, folder)
    if not path.is_file():
        raise ConfigError(
            f"there is no {path}: name an evaluation folder, RUN:STAGE, or a .jsonl file"
        )
    results = read_results(path)
    if not results:
        raise RunFolderError(f"{path} holds no results: let the evaluation go on first")
    return Source(text, results, recipe)


def _unnamed(text: str, folder: Path) -> ConfigError:
    """What is wrong with a folder that is no evaluation, or a run whose stage has no results."""
    stages = sorted(
        path.stem.removeprefix("eval-") for path in (folder / "results").glob("eval-*.jsonl")
    )
    if stages:
        choice = " or ".join(f"{folder.name}:{stage}" for stage in stages)
        return ConfigError(f"{text} names no stage of run {folder} that has results: give {choice}")
    if (folder / CONFIG).is_file():
        return ConfigError(
            f"run {folder} has no results problem by problem (results/eval-STAGE.jsonl): make them "
            f"with `tailor evaluate {folder}`"
        )
    return ConfigError(
        f"{text} is no evaluation: name a folder of `tailor evaluate`, RUN:STAGE, or a .jsonl file"
    )


def _of_splits(source: Source, splits: Sequence[str]) -> list[ProblemResult]:
    known = list(dict.fromkeys(result.split for result in source.results))
    wanted = pick_splits(splits, known, whose=source.name) if splits else known
    return [result for result in source.results if result.split in wanted]


def _notes(sources: Sequence[Source], chosen: Sequence[list[ProblemResult]]) -> Iterator[str]:
    """What a reader must know before believing the figures."""
    splits = [dict.fromkeys(result.split for result in results) for results in chosen]
    for name, own, other in (("A", splits[0], splits[1]), ("B", splits[1], splits[0])):
        alone = [split for split in own if split not in other]
        if alone:
            yield f"note: only {name} has {', '.join(alone)}"
    recipes = [source.recipe for source in sources if source.recipe is not None]
    if len(recipes) == 2:
        from tailor_rl.config.load import differences

        for key, old, new in differences(*recipes):
            if key.startswith("task.") or key in _MATTERING:
                yield f"note: {key} is {old} in A and {new} in B"


_MATTERING = ("evaluation.temperature", "evaluation.max_tokens", "rollout.dtype")


def _sheet(comparison: SplitComparison) -> Sheet:
    figures = comparison.figures
    counts = max((figure.num_problems for figure in figures), default=0)
    families = max((figure.num_families for figure in figures), default=0)
    of_families = f" of {families} families" if families < counts else ""
    title = f"{comparison.split}: {counts} problems{of_families} in both"
    for name, alone in (("A", comparison.only_in_first), ("B", comparison.only_in_second)):
        title += f", {alone} only in {name} left out" if alone else ""
    rows = [
        (
            figure.metric,
            f"{100 * figure.first:.1f}",
            f"{100 * figure.second:.1f}",
            f"{100 * figure.difference.value:+.1f} [{100 * figure.difference.low:+.1f}, "
            f"{100 * figure.difference.high:+.1f}]",
            p_value(figure.p),
        )
        for figure in figures
    ]
    columns = ("", "A %", "B %", "B - A, points", "")
    return Sheet(title, columns, tuple(rows), note=_explained(comparison))


def _explained(comparison: SplitComparison) -> str:
    tests = ", ".join(f"{figure.metric}: {figure.test}" for figure in comparison.figures)
    text = f"95 % paired bootstrap intervals over families. {tests}."
    greedy = comparison.greedy
    if greedy is None:
        return text
    text += (
        f" Greedy: {greedy.only_first} problems solved by A alone, {greedy.only_second} by B alone"
    )
    if not greedy.families_repeat:
        return f"{text}."
    return (
        f"{text}; the {MCNEMAR} would say {p_value(greedy.p)}, but takes problems to be "
        "independent, and here some are siblings."
    )


def _row(comparison: SplitComparison) -> dict[str, Any]:
    row = asdict(comparison)
    for shown, figure in zip(row["figures"], comparison.figures, strict=True):
        shown["apart"] = figure.apart
    return {**row, "verdicts": verdicts(comparison)}
