"""`tailor bench`, from what was typed to an exit code. Checks every cell before it runs any.

Knows nothing about Ray: cells are processes, and how many fit at once comes as a number.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tailor_rl.cli_run import INTERRUPTED, TERMINATED, find_run, say, sigterm_as_interrupt
from tailor_rl.errors import ConfigError, RunFolderError

if TYPE_CHECKING:
    from tailor_rl.bench.cells import Cell
    from tailor_rl.bench.expected import GridCost
    from tailor_rl.bench.folder import StudyFolder
    from tailor_rl.bench.queue import Progress
    from tailor_rl.bench.starting import Sitting
    from tailor_rl.bench.study import Study
    from tailor_rl.config.forecast import Forecast
    from tailor_rl.config.schema import RunConfig

SOME_FAILED = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed. `reuse` are other studies that whole cells may be taken from, `add` this one
    in other places.
    """

    file: Path
    overrides: tuple[str, ...]
    name: str
    runs_dir: Path
    only: tuple[str, ...]
    reuse: tuple[Path, ...]
    add: tuple[Path, ...]
    at_once: int | None
    mixed_versions: bool
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study that was found to be sound. `cells` are all of it, `chosen` those to be run now."""

    request: Request
    study: Study
    cells: tuple[Cell, ...]
    chosen: tuple[Cell, ...]
    num_donors: int
    forecasts: dict[str, Forecast]  # by the name of a cell without its seed
    notes: tuple[str, ...]


def make_request(
    config: str,
    overrides: Sequence[str],
    *,
    name: str | None,
    runs_dir: Path,
    only: Sequence[str],
    reuse: Sequence[str],
    add: Sequence[str],
    at_once: int | None,
    mixed_versions: bool,
    command: Sequence[str],
) -> Request:
    file = Path(config)
    return Request(
        file=file,
        overrides=tuple(overrides),
        name=name or file.stem,
        runs_dir=runs_dir,
        only=tuple(only),
        reuse=tuple(find_run(each, runs_dir) for each in reuse),
        add=tuple(find_run(each, runs_dir) for each in add),
        at_once=at_once,
        mixed_versions=mixed_versions,
        command=tuple(command),
    )


def prepare(request: Request) -> Prepared:
    """Every check that needs no cluster. Raises ConfigError or RunFolderError; creates nothing."""
    from tailor_rl.bench.cells import make_cells
    from tailor_rl.bench.folder import GATHERED, check_name
    from tailor_rl.bench.gathered import read_gathered
    from tailor_rl.bench.measurable import never_measured
    from tailor_rl.bench.study import read_study

    study = read_study(request.file)
    check_name(request.runs_dir, request.name)
    cells = make_cells(study, request.file, request.overrides)
    num_donors = _num_donors(request.reuse)
    for place in request.add:
        read_gathered(place / GATHERED)
    forecasts, splits, notes = _check_recipes(cells, request.file)
    for sentence in never_measured(study, cells, splits):
        raise ConfigError(f"{request.file}: {sentence}")
    return Prepared(
        request, study, tuple(cells), _chosen(cells, request.only), num_donors, forecasts, notes
    )


def _num_donors(reuse: Sequence[Path]) -> int:
    """Runs that there are to reuse."""
    from tailor_rl.bench.folder import is_study, runs_of

    for study in reuse:
        if not is_study(study):
            raise ConfigError(f"--reuse {study} is no study: name a folder of `tailor bench`")
        if not runs_of(study):
            raise ConfigError(
                f"--reuse {study} has no runs to take anything from: figures alone count with "
                "--add, and for the study that they are of"
            )
    return sum(len(runs_of(study)) for study in reuse)


def _chosen(cells: Sequence[Cell], only: Sequence[str]) -> tuple[Cell, ...]:
    """All, or those that one of the patterns fits."""
    for pattern in only:
        if not any(fnmatch.fnmatchcase(cell.name, pattern) for cell in cells):
            raise ConfigError(
                f"--only {pattern} fits no cell of the study: they are named like {cells[0].name}"
            )
    return tuple(
        cell
        for cell in cells
        if not only or any(fnmatch.fnmatchcase(cell.name, pattern) for pattern in only)
    )


def _check_recipes(
    cells: Sequence[Cell], file: Path
) -> tuple[dict[str, Forecast], dict[str, Sequence[str]], tuple[str, ...]]:
    """Of one of every family, since a seed makes no recipe wrong: what a run costs, the splits of
    its task, and what is to be known of them all.
    """
    from tailor_rl.cli_run import check_recipe
    from tailor_rl.config.forecast import forecast
    from tailor_rl.config.paths import search_folders

    forecasts: dict[str, Forecast] = {}
    splits: dict[str, Sequence[str]] = {}
    notes: dict[str, None] = {}
    for cell in cells:
        if cell.family in forecasts:
            continue
        try:
            task, _, said = check_recipe(cell.config, search_folders(file.parent))
        except ConfigError as error:
            raise ConfigError(f"{file}, cell {cell.name}: {error}") from error
        forecasts[cell.family] = forecast(cell.config, task.splits)
        splits[cell.family] = task.splits
        notes.update(dict.fromkeys(said))
    return forecasts, splits, tuple(notes)


def print_plan(prepared: Prepared) -> None:
    """The cells, what is compared, and what it will cost."""
    from tailor_rl.bench.expected import grid_cost, what_is_known

    study, request = prepared.study, prepared.request
    if study.question:
        typer.echo(study.question)
    typer.echo(f"{len(prepared.chosen)} cells in {_place(prepared)}:")
    names = {cell.name for cell in prepared.chosen}
    for family, cost in prepared.forecasts.items():
        seeds = [c.seed for c in prepared.cells if c.family == family and c.name in names]
        if seeds:
            typer.echo(f"  {family:<40} seeds {', '.join(map(str, seeds))}: {_cost(cost)} each")
    place = _place(prepared)
    known = what_is_known(place, prepared.cells, add=request.add, reuse=request.reuse)
    left = [cell for cell in prepared.chosen if cell.name not in known.cells]
    if len(left) < len(prepared.chosen):
        typer.echo(f"finished, and not counted below: {len(prepared.chosen) - len(left)} of them")
    total = grid_cost(left, prepared.forecasts, known.parts)
    if total.shared:
        shared = ", ".join(f"{part} {num} times" for part, num in total.shared.items())
        typer.echo(f"made once{' or there already' if known.parts else ''} and shared: {shared}")
    typer.echo(f"altogether: {_cost(total)}")
    for planned in study.comparisons:
        typer.echo(f"planned: {planned.arm} against {planned.against}, {planned.figure}")
    for trend in study.trends:
        typer.echo(f"planned: {trend.figure} rising along {' < '.join(trend.arms)}")
    for note in prepared.notes:
        typer.echo(f"note: {note}")
    typer.echo("dry run: nothing was started and nothing written")


def _place(prepared: Prepared) -> Path:
    return prepared.request.runs_dir / prepared.request.name


def _cost(cost: Forecast | GridCost) -> str:
    least, most = cost.teacher_requests
    requests = f", {least:,} to {most:,} teacher requests" if most else ""
    return f"{cost.rollouts:,} rollouts, {cost.sft_steps:,} SFT steps{requests}"


def execute(prepared: Prepared, at_once: Callable[[RunConfig], int], *, plain: bool) -> None:
    """Run the cells that are left, then write the report. Exit code 3 where one failed.

    `at_once` says how many runs of a recipe fit side by side.
    """
    from tailor_rl.bench.folder import StudyFolder

    request = prepared.request
    with (
        sigterm_as_interrupt() as terminated,
        StudyFolder.open(request.runs_dir, request.name) as folder,
    ):
        sitting, room = _begin(prepared, folder, at_once)
        try:
            progress = _work_off(prepared, sitting, folder, room=room, plain=plain)
            _say_failures(progress, folder)
            say("making the report")
            publish(folder.path, mixed_versions=request.mixed_versions)
        except KeyboardInterrupt as error:
            say(f"stopped; the same command goes on, `tailor report {folder.path}` shows the rest")
            raise typer.Exit(TERMINATED if terminated() else INTERRUPTED) from error
        if progress.stopped:
            raise RunFolderError(
                f"{progress.stopped} while the study ran, and cells of different versions do not "
                "belong in one table: go back to the version that it was begun with, and the same "
                "command goes on"
            )
        if len(progress.finished) < len(progress.cells):
            raise typer.Exit(SOME_FAILED)


def _begin(
    prepared: Prepared, folder: StudyFolder, at_once: Callable[[RunConfig], int]
) -> tuple[Sitting, int]:
    """What is run now, and how much of it side by side; written down before it begins."""
    from tailor_rl.bench.starting import begin

    request = prepared.request
    sitting = begin(
        folder,
        prepared.study,
        prepared.cells,
        prepared.chosen,
        add=request.add,
        reuse=request.reuse,
        mixed_versions=request.mixed_versions,
    )
    room = request.at_once or min(map(at_once, sitting.recipes), default=1)
    unfinished = sum(not folder.finished(cell) for cell in sitting.cells)
    folder.record(
        prepared.study,
        file=request.file,
        overrides=request.overrides,
        command=("tailor", *request.command[1:]),
        at_once=min(room, max(1, unfinished)),
    )
    return sitting, room


def _work_off(
    prepared: Prepared, sitting: Sitting, folder: StudyFolder, *, room: int, plain: bool
) -> Progress:
    from tailor_rl.bench.folder import CELLS
    from tailor_rl.bench.overview import make_overview
    from tailor_rl.bench.process import RunProcess
    from tailor_rl.bench.queue import Queue
    from tailor_rl.bench.starting import what_changed
    from tailor_rl.config.load import Provenance

    request = prepared.request
    provenance = Provenance(
        file=str(request.file),
        overrides=request.overrides,
        command=request.command,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with make_overview(folder.path / CELLS, plain=plain) as overview:
        for line in (f"study folder {folder.path}", *prepared.notes):
            overview.log(line)
        if left_out := len(prepared.chosen) - len(sitting.cells):
            overview.log(f"{left_out} cells were run elsewhere")
        if prepared.num_donors:
            usable = f"{len(sitting.donors)} of {prepared.num_donors}"
            overview.log(f"{usable} runs to reuse are of this version")
        queue = Queue(
            sitting.cells,
            folder,
            start=RunProcess,
            reuse=sitting.donors,
            provenance=provenance,
            overview=overview,
            at_once=room,
            changed=lambda: what_changed(sitting),
        )
        return queue.run()


def _say_failures(progress: Progress, folder: StudyFolder) -> None:
    from tailor_rl.bench.overview import reason

    if not progress.failed:
        return
    for name, code in progress.failed.items():
        say(f"{name} failed (exit code {code}): {reason(folder.cell(name))}")
    first = next(iter(progress.failed))
    say(f"logs are in {folder.log(first).parent}; the same command tries the failed cells again,")
    say(f"--only {first} that one alone")
    untouched = len(progress.cells) - len(progress.finished) - len(progress.failed)
    if untouched:
        say(f"{untouched} more cells are not finished")


def publish(study: Path, *, mixed_versions: bool) -> None:
    """results.json, report.html and report.md of what is finished; says where they are."""
    from tailor_rl.bench.publish import write_study_report

    for line in write_study_report(study, mixed_versions=mixed_versions):
        typer.echo(line)
