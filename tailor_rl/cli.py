"""The command line. Only here does `tailor_rl` reach for `cluster`, inside functions that need it.

Nothing heavy is imported before a command needs it: `--help` must answer at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from tailor_rl import cli_bench, cli_dataset, cli_examine, cli_export, cli_primitives, cli_run
from tailor_rl.cli_words import (
    RUNS_DIR,
    ConfigArgument,
    JsonOption,
    NameOption,
    OverridesArgument,
    PlainOption,
    RecipeArgument,
    ResumeOption,
    RunArgument,
    RunsDirOption,
    checkout,
)
from tailor_rl.errors import ConfigError, TailorError

app = typer.Typer(
    name="tailor",
    help="Reasoning primitives from a teacher, a warm start, then reinforcement learning.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
student_app = typer.Typer(help="Small students raised from scratch.")
app.add_typer(student_app, name="student")
app.add_typer(cli_primitives.app, name="primitives")
app.add_typer(cli_dataset.app, name="dataset")
cli_examine.add_commands(app)
app.command()(cli_export.export)


@app.command()
def run(
    config: RecipeArgument = None,
    overrides: OverridesArgument = None,
    name: NameOption = None,
    resume: ResumeOption = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check, show the recipe and its cost, start nothing")
    ] = False,
    plain: PlainOption = False,
) -> None:
    """The whole pipeline, from a student to a report; every finished step survives a kill."""
    request = cli_run.make_request(
        config,
        overrides or (),
        name=name,
        resume=resume,
        runs_dir=runs_dir,
        command=sys.argv,
    )
    prepared = cli_run.prepare(request)
    if dry_run:
        cli_run.print_plan(prepared)
        return
    with checkout():
        from cluster.launch import launch
    cli_run.execute(prepared, launch, plain=plain)


@app.command()
def demonstrate(
    config: RecipeArgument = None,
    overrides: OverridesArgument = None,
    name: NameOption = None,
    resume: ResumeOption = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    plain: PlainOption = False,
) -> None:
    """Make the SFT set of a recipe and stop; `tailor run --resume RUN` goes on with SFT and RL."""
    request = cli_run.make_request(
        config,
        overrides or (),
        name=name,
        resume=resume,
        runs_dir=runs_dir,
        command=sys.argv,
    )
    prepared = cli_run.prepare(request)
    if prepared.resolved.config.initialisation == "none":
        raise ConfigError('initialisation = "none" makes no set: name another initialisation')
    with checkout():
        from cluster.launch import demonstrate as launch
    cli_run.execute(prepared, launch, plain=plain, publish=cli_dataset.print_set)


@app.command()
def bench(
    config: Annotated[str, typer.Argument(metavar="STUDY", help="a study (.toml)")],
    overrides: OverridesArgument = None,
    name: Annotated[
        str | None, typer.Option(help="of the study's folder; default: of STUDY")
    ] = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check every cell, show them and their cost")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CELL", help="these cells alone, such as '*-seed-1'")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="cells side by side; default: as many as fit")
    ] = None,
    reuse: Annotated[
        list[str] | None, typer.Option(metavar="STUDY", help="a folder to take equal cells from")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER", help="of this study, from elsewhere: its cells count"),
    ] = None,
    mixed_versions: Annotated[
        bool, typer.Option("--mixed-versions", help="allow cells made by different versions")
    ] = False,
    plain: PlainOption = False,
) -> None:
    """A study: initialisations x tasks x students x algorithms x seeds, with error bars.

    The same command goes on after a kill, and adds what STUDY came to name.
    """
    request = cli_bench.make_request(
        config,
        overrides or (),
        name=name,
        runs_dir=runs_dir,
        only=only or (),
        reuse=reuse or (),
        add=add or (),
        at_once=at_once,
        mixed_versions=mixed_versions,
        command=sys.argv,
    )
    prepared = cli_bench.prepare(request)
    if dry_run:
        cli_bench.print_plan(prepared)
        return
    with checkout():
        from cluster.room import runs_at_once
    cli_bench.execute(prepared, runs_at_once, plain=plain)


@app.command()
def report(
    run: RunArgument,
    runs_dir: RunsDirOption = RUNS_DIR,
    mixed_versions: Annotated[
        bool, typer.Option("--mixed-versions", help="of a study: of cells of different versions")
    ] = False,
) -> None:
    """Write report.html of a run, or of a study, from its folder, and print where it is."""
    from tailor_rl.bench.folder import is_study
    from tailor_rl.runs.folder import read_run_config

    path = cli_run.find_run(run, runs_dir)
    if is_study(path):
        cli_bench.publish(path, mixed_versions=mixed_versions)
        return
    read_run_config(path)  # a missing run is said before seconds of imports
    from tailor_rl.report import write_report

    typer.echo(write_report(path))


@app.command()
def status(
    run: RunArgument, runs_dir: RunsDirOption = RUNS_DIR, as_json: JsonOption = False
) -> None:
    """How far a run is, what it has spent, and which process holds it; of a study, its cells."""
    from tailor_rl import cli_status
    from tailor_rl.bench.folder import is_study

    path = cli_run.find_run(run, runs_dir)
    if is_study(path):
        from tailor_rl.bench import status as study

        cells = study.read_study_status(path)
        typer.echo(study.as_json(cells) if as_json else study.as_text(path, cells))
        return
    found = cli_status.read_status(path)
    typer.echo(cli_status.as_json(found) if as_json else cli_status.as_text(found))


@app.command("show-config")
def show_config(
    config: ConfigArgument, overrides: OverridesArgument = None, as_json: JsonOption = False
) -> None:
    """The resolved recipe, defaults included; --json adds where it came from."""
    from tailor_rl.config.checks import check_options
    from tailor_rl.config.load import resolve_config, to_toml

    resolved = resolve_config(Path(config), overrides or (), command=sys.argv)
    check_options(resolved.config)
    typer.echo(
        json.dumps(resolved.to_json(), indent=2) if as_json else to_toml(resolved.config),
        nl=as_json,
    )


@app.command()
def keys(
    section: Annotated[
        str, typer.Argument(metavar="[SECTION]", help="such as rl, or rl.group_size")
    ] = "",
) -> None:
    """Every key of a recipe: its default, what it may be, and what it does."""
    from tailor_rl.cli_keys import key_lines

    typer.echo("\n".join(key_lines(section)))


@app.command()
def submit(
    config: ConfigArgument,
    address: Annotated[
        str, typer.Option(metavar="URL", help="the job server, such as http://127.0.0.1:8265")
    ],
    overrides: OverridesArgument = None,
    runs_dir: Annotated[
        Path | None, typer.Option(help="an absolute path that the cluster can write")
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the run folder")] = None,
    follow: Annotated[bool, typer.Option(help="show the job's log until it ends")] = True,
) -> None:
    """Run a recipe, or a study, as a job of a Ray cluster."""
    with checkout():
        from cluster import submit as submission
    code = submission.submit(
        Path(config),
        overrides or (),
        address=address,
        runs_dir=runs_dir,
        name=name,
        follow=follow,
        echo=typer.echo,
    )
    raise typer.Exit(code)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """What is installed, what this machine has, and what to do about what is missing."""
    with checkout():
        from cluster import doctor as examination
    raise typer.Exit(examination.doctor(as_json=as_json, echo=typer.echo))


@student_app.command("build")
def student_build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="a student recipe (.toml)")],
    out: Annotated[Path, typer.Option(help="the folder to write the checkpoint to")],
    tokens: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads")] = None,
) -> None:
    """Train a small student from scratch."""
    from tailor_rl.students.build import build_student

    if not recipe.is_file():
        raise ConfigError(f"there is no student recipe {recipe}: give the path of a .toml file")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out} exists already and is not empty: choose another folder")
    build_student(recipe, out, tokens=tokens, threads=threads, log=typer.echo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors of users are one sentence on stderr."""
    try:
        code = get_command(app).main(
            args=list(sys.argv[1:] if arguments is None else arguments) or ["--help"],
            prog_name="tailor",
            standalone_mode=False,
        )
    except TailorError as error:
        cli_run.say(f"error: {cli_run.sentence(error)}")
        return error.exit_code
    except typer.TyperException as error:  # an unknown option, a missing argument
        message = " ".join(error.format_message().split())
        cli_run.say(f"error: {message.rstrip('.')}; see `tailor --help`")
        return error.exit_code
    return code if isinstance(code, int) else 0
