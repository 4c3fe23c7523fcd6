"""`tailor run`, from what was typed to an exit code. Checks everything before it creates anything.

Knows nothing about Ray: how a run is launched comes as a function.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from tailor_rl.errors import ConfigError, TailorError
from tailor_rl.printable import printable

if TYPE_CHECKING:
    from tailor_rl.config.load import ResolvedConfig
    from tailor_rl.config.schema import RunConfig
    from tailor_rl.protocols import Screen, Task
    from tailor_rl.runs.environment import Machine
    from tailor_rl.runs.folder import RunFolder

    Launch = Callable[[RunConfig, RunFolder, Screen], None]

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed. Either `recipe` or `resume` is given."""

    recipe: Path | None
    overrides: tuple[str, ...]
    name: str | None
    resume: Path | None
    runs_dir: Path
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was found to be sound. `machine` is None for a run on a Ray that exists."""

    request: Request
    resolved: ResolvedConfig
    task: Task
    machine: Machine | None
    notes: tuple[str, ...]


def make_request(
    config: str | None,
    overrides: Sequence[str],
    *,
    name: str | None,
    resume: str | None,
    runs_dir: Path,
    command: Sequence[str],
) -> Request:
    """Sort out the words: with --resume the first may be an override already."""
    if config is not None and "=" in config and not Path(config).exists():
        overrides, config = (config, *overrides), None
    if config is None and resume is None:
        raise ConfigError(
            "no recipe was named: write `tailor run RECIPE.toml`, or `tailor run --resume RUN`"
        )
    if resume is not None and name is not None:
        raise ConfigError(
            f"--name {name} and --resume {resume} do not go together: a run keeps its name, "
            "leave --name out"
        )
    return Request(
        recipe=None if config is None else Path(config),
        overrides=tuple(overrides),
        name=name,
        resume=None if resume is None else find_run(resume, runs_dir),
        runs_dir=runs_dir,
        command=tuple(command),
    )


def find_run(run: str, runs_dir: Path) -> Path:
    """The folder of a run that was given as a path or as its name under `runs_dir`."""
    path = Path(run)
    if not path.exists() and len(path.parts) == 1:
        return runs_dir / path
    return path


def prepare(request: Request) -> Prepared:
    """Every check that needs no cluster, cheap ones first. Raises ConfigError or RunFolderError."""
    from tailor_rl.config.paths import search_folders
    from tailor_rl.runs.folder import check_free, check_new

    resolved = _resolve(request)
    if request.resume is None:
        check_new(request.runs_dir, request.name)
    else:
        check_free(request.resume)
    searched = search_folders(Path(resolved.provenance.file).parent)
    task, machine, notes = check_recipe(resolved.config, searched)
    return Prepared(request, resolved, task, machine, notes)


def check_recipe(
    config: RunConfig, searched: tuple[Path, ...]
) -> tuple[Task, Machine | None, tuple[str, ...]]:
    """Every check of a recipe that needs neither a cluster nor a run folder; the task, the machine
    if it is this one, and notes for the user. `searched` are the folders of relative paths.
    """
    from tailor_rl.config import checks
    from tailor_rl.config.demonstrations import check_initialisation, check_sources
    from tailor_rl.config.student import check_student
    from tailor_rl.config.teachers import check_hosted_models
    from tailor_rl.graders.rewards import Rewards
    from tailor_rl.runs.environment import this_machine
    from tailor_rl.task_extras import HasNotes
    from tailor_rl.tasks.registry import load_task

    checks.check_options(config)
    student = check_student(config.student, searched)
    checks.check_positions(config, student)
    notes = check_hosted_models(config, searched)
    machine = this_machine() if checks.runs_on_this_machine(config) else None
    if machine is not None:
        checks.check_machine(config, machine)
    task = load_task(config.task.name, seed=config.task.seed, options=config.task.options)
    checks.check_splits(config, task)
    check_initialisation(config, task)
    check_sources(config)
    checks.check_grading_time(config, task)
    Rewards(task, weights=config.reward.weights, functions=config.reward.functions)
    notes = (*notes, *task.notes) if isinstance(task, HasNotes) else notes
    if student.folder is None:
        notes += (f"student {config.student} will be downloaded from the Hugging Face hub",)
    else:
        from tailor_rl.chat import ChatTokens  # takes seconds to import: last

        checks.check_lengths(config, task, ChatTokens(student.folder))
    return task, machine, notes


def _resolve(request: Request) -> ResolvedConfig:
    """The recipe that will run: as typed, or the one of the folder to go on with."""
    from tailor_rl.config.load import override_config, resolve_config
    from tailor_rl.runs.folder import agree, read_resolved

    if request.recipe is not None:
        asked = resolve_config(request.recipe, request.overrides, command=request.command)
        if request.resume is not None:
            agree(request.resume, read_resolved(request.resume).config, asked.config)
        return asked
    assert request.resume is not None, request
    stored = read_resolved(request.resume)
    config = override_config(
        stored.config, request.overrides, source=request.resume / "config.json"
    )
    agree(request.resume, stored.config, config)
    return type(stored)(config, stored.provenance)


def print_plan(prepared: Prepared) -> None:
    """The resolved recipe as TOML, and what it will occupy and cost."""
    from tailor_rl.cli_plan import plan_lines
    from tailor_rl.config.load import to_toml

    typer.echo(to_toml(prepared.resolved.config))
    for line in plan_lines(prepared.resolved.config, prepared.task.splits, prepared.machine):
        typer.echo(f"# {line}")
    for note in prepared.notes:
        typer.echo(f"# note: {note}")
    typer.echo("# dry run: nothing was started and nothing written")


def execute(
    prepared: Prepared,
    launch: Launch,
    *,
    plain: bool,
    publish: Callable[[Path], None] | None = None,
) -> None:
    """Create or reopen the folder, launch, write the report, print the table.

    `publish` shows something else: of a run that goes no further than its set.
    """
    from tailor_rl.runs.folder import RunFolder
    from tailor_rl.screen import make_screen

    request = prepared.request
    with sigterm_as_interrupt() as terminated:
        if request.resume is not None:
            opened = RunFolder.resume(request.resume, prepared.resolved)
        else:
            opened = RunFolder.create(request.runs_dir, prepared.resolved, name=request.name)
        # A run that went no further than its set can go on.
        end, new = "stopped" if publish else "finished", request.resume is None
        with opened as folder, ending(folder, terminated, new=new, end=end):
            with make_screen(True if plain else None) as screen:
                for line in (f"run folder {folder.path}", *prepared.notes):
                    screen.log(line)
                launch(folder.config, folder, screen)
            (publish or _publish)(folder.path)


def _publish(run: Path) -> None:
    from tailor_rl.report import write_report
    from tailor_rl.summary import print_summary

    write_report(run)
    print_summary(run)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[Callable[[], bool]]:
    """SIGTERM stops the block the way Ctrl-C does; yields a function that tells which it was."""
    received = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, interrupt)
    if before[signal.SIGINT] is signal.SIG_IGN:
        # A script's background job ignores Ctrl-C: SIGTERM, sent on as one, would be lost.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield lambda: received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending(
    folder: RunFolder, terminated: Callable[[], bool], *, new: bool, end: str = "finished"
) -> Iterator[None]:
    """Whatever ends the block becomes a line or two on stderr, outcome.json and an exit code."""
    from tailor_rl.runs.files import resume_command

    hint = f"go on with: {resume_command(folder.path)}"
    try:
        yield
    except KeyboardInterrupt as error:
        _end(folder, "stopped", f"stopped; {hint}")
        raise typer.Exit(TERMINATED if terminated() else INTERRUPTED) from error
    except SystemExit as error:  # what the launcher, or Ray's own handler, makes of SIGTERM
        if error.code not in (signal.SIGTERM, TERMINATED):
            raise
        _end(folder, "stopped", f"stopped; {hint}")
        raise typer.Exit(TERMINATED) from error
    except TailorError as error:
        if new and error.exit_code == 2 and not (folder.path / "stages.json").exists():
            shutil.rmtree(folder.path, ignore_errors=True)  # wrong input leaves nothing behind
            raise
        folder.log_error(error)
        _end(folder, "failed", f"error: {sentence(error)}")
        if resume_command(folder.path) not in str(error):
            say(hint)
        raise typer.Exit(error.exit_code) from error
    except Exception as error:
        log = folder.log_error(error)
        _end(folder, "failed", f"error: {sentence(error)} ({type(error).__name__}; see {log})")
        say(hint)
        raise typer.Exit(1) from error
    folder.record_outcome(end)


def _end(folder: RunFolder, state: str, line: str) -> None:
    folder.record_outcome(state, None if state == "stopped" else line.removeprefix("error: "))
    say(line)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def sentence(error: BaseException) -> str:
    """An error on one line: its text may quote other people's."""
    return " ".join(printable(str(error)).split()) or type(error).__name__
