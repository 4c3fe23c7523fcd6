"""The command line. Only here does `tailor_rl` reach for `cluster`, inside functions that need it.

Nothing heavy is imported before a command needs it: `--help` must answer at once.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from tailor_rl import cli_run
from tailor_rl.errors import ConfigError, TailorError

app = typer.Typer(
    name="tailor",
    help="Reasoning primitives from a teacher, a warm start, then reinforcement learning.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
student_app = typer.Typer(help="Small students raised from scratch.")
app.add_typer(student_app, name="student")
tasks_app = typer.Typer(help="Tasks: what there is, and a look at problems and their grading.")
app.add_typer(tasks_app, name="tasks")

RUNS_DIR = Path("runs")

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="a recipe (.toml)")]
OverridesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="such as rl.group_size=16")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="a run folder, or its name")]
RunsDirOption = Annotated[Path, typer.Option("--runs-dir", help="where run folders are kept")]
JsonOption = Annotated[bool, typer.Option("--json", help="for programs")]
SplitsOption = Annotated[
    list[str] | None,
    typer.Option("--split", "--splits", metavar="A,B", help="such as test,ood/people-4"),
]


@app.command()
def run(
    config: Annotated[str | None, typer.Argument(metavar="CONFIG", help="a recipe (.toml)")] = None,
    overrides: OverridesArgument = None,
    name: Annotated[str | None, typer.Option(help="of the run folder")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="go on with a run that was stopped")
    ] = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check, show the recipe and its cost, start nothing")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of a live page")] = False,
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
def evaluate(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="a run folder, its name, or a checkpoint folder"),
    ],
    overrides: OverridesArgument = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="R.toml", help="instead of the run's; a checkpoint folder needs one"),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME", help="of a run: latest, student, sft, step-000030")
    ] = "latest",
    splits: SplitsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="default: evaluations/NAME beside the runs' folder"),
    ] = None,
    num_problems: Annotated[int | None, typer.Option(min=1, help="of each split")] = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Examine a checkpoint on its own; killed, it goes on where it was."""
    from tailor_rl import cli_evaluate

    request = cli_evaluate.EvaluateRequest(
        target=target,
        checkpoint=checkpoint,
        recipe=recipe,
        overrides=tuple(overrides or ()),
        splits=tuple(splits or ()),
        num_problems=num_problems,
        out=out,
        runs_dir=runs_dir,
        command=tuple(sys.argv),
    )
    prepared = cli_evaluate.prepare(request)
    with checkout():
        from cluster.evaluate import evaluate as launch
    cli_evaluate.execute(prepared, launch, as_json=as_json)


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="an evaluation's folder, RUN:STAGE, or a .jsonl of it"),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="the same")],
    splits: SplitsOption = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Whether B is better than A, paired problem by problem."""
    from tailor_rl.cli_compare import show_comparison

    show_comparison(first, second, splits=tuple(splits or ()), runs_dir=runs_dir, as_json=as_json)


@app.command()
def report(run: RunArgument, runs_dir: RunsDirOption = RUNS_DIR) -> None:
    """Write report.html of a run from its folder, and print where it is."""
    from tailor_rl.runs.folder import read_run_config

    path = cli_run.find_run(run, runs_dir)
    read_run_config(path)  # a missing run is said before seconds of imports
    from tailor_rl.report import write_report

    typer.echo(write_report(path))


@app.command()
def status(
    run: RunArgument, runs_dir: RunsDirOption = RUNS_DIR, as_json: JsonOption = False
) -> None:
    """How far a run is, what it has spent, and which process holds it."""
    from tailor_rl import cli_status

    found = cli_status.read_status(cli_run.find_run(run, runs_dir))
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


@tasks_app.callback(invoke_without_command=True)
def tasks(context: typer.Context, as_json: JsonOption = False) -> None:
    """The built-in tasks, a line each; `tailor tasks show NAME` looks into one."""
    if context.invoked_subcommand is not None:
        return
    from tailor_rl.tasks.registry import built_in_tasks

    found = built_in_tasks()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for task, summary in found.items():
        typer.echo(f"{task:<16} {summary}")


@tasks_app.command("show")
def show_task(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="a task, file.py:Class, or a recipe (.toml)")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="such as people=[2,3]")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or ood/...")] = "train",
    num: Annotated[int, typer.Option(min=1, help="problems to show")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Problems, their solutions, and what the grader says of right and wrong answers."""
    from tailor_rl import cli_tasks

    task = cli_tasks.load(name, options or ())
    shown = list(cli_tasks.problems(task, split, num + 1))
    for i, problem in enumerate(shown[:num]):
        other = shown[i + 1] if i + 1 < len(shown) else shown[0]
        typer.echo(
            cli_tasks.as_line(problem) if as_json else cli_tasks.as_text(task, problem, other)
        )


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
    """Run a recipe as a job of a Ray cluster."""
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


@contextlib.contextmanager
def checkout() -> Iterator[None]:
    """Imports inside find actors, learners and cluster, which are run from the checkout.

    The installed `tailor` script starts with another folder first on the path.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "cluster" / "launch.py").is_file():
        raise ConfigError(
            f"{root} holds no checkout of the project, and the wheel alone cannot run: clone the "
            "repository and use `python -m tailor_rl` there"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    yield


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
