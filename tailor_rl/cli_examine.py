"""Commands that look: at tasks, policies and sets of demonstrations.

Only words and options; the work is done by the cli_* module of the same name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tailor_rl.cli_words import (
    RUNS_DIR,
    JsonOption,
    OverridesArgument,
    RunsDirOption,
    SplitsOption,
    checkout,
)
from tailor_rl.errors import ConfigError

tasks_app = typer.Typer(help="Tasks: what there is, and a look at problems and their grading.")


def add_commands(app: typer.Typer) -> None:
    for command in (evaluate, compare, behaviours, measures):
        app.command()(command)
    app.add_typer(tasks_app, name="tasks")


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


def behaviours(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET", help="a run, its name, or a checkpoint folder"),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="such as measures.judge=teacher"),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="R.toml", help="instead of the run's; a checkpoint folder needs one"),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="of a run; default: what its RL begins with"),
    ] = None,
    split: Annotated[str, typer.Option(help="of the task")] = "validation",
    num_problems: Annotated[int, typer.Option(min=1)] = 64,
    samples: Annotated[int, typer.Option(min=2, help="answers a problem")] = 8,
    check: Annotated[
        bool, typer.Option("--check", help="compare the forecasts of several runs with their gains")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="default: beside the runs' folder")
    ] = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Does a checkpoint have what RL can amplify? And was the forecast right?"""
    from tailor_rl import cli_behaviours

    if check:
        cli_behaviours.show_check(targets, runs_dir=runs_dir, as_json=as_json)
        return
    if len(targets) != 1:
        raise ConfigError(
            f"`tailor behaviours` looks at one checkpoint, not {len(targets)}: name one, or add "
            "--check to compare the forecasts of several runs with their gains"
        )
    request = cli_behaviours.BehavioursRequest(
        target=targets[0],
        checkpoint=checkpoint,
        recipe=recipe,
        overrides=tuple(overrides or ()),
        split=split,
        num_problems=num_problems,
        samples=samples,
        out=out,
        runs_dir=runs_dir,
        command=tuple(sys.argv),
    )
    prepared = cli_behaviours.prepare(request)
    with checkout():
        from cluster.behaviours import with_judge
        from cluster.evaluate import evaluate as launch
    cli_behaviours.execute(prepared, launch, with_judge, as_json=as_json)


def measures(
    paths: Annotated[
        list[str], typer.Argument(metavar="SET", help="a run, its name, or a .jsonl file")
    ],
    student: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="a model: how likely are the traces to it?"),
    ] = None,
    embedder: Annotated[
        str, typer.Option(help='"words", or the folder of a Hugging Face encoder')
    ] = "words",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for --student")] = 1,
    seed: Annotated[int, typer.Option(help="of the subsamples")] = 0,
    judge: Annotated[
        Path | None,
        typer.Option(metavar="R.toml", help="a recipe whose measures.judge counts habits too"),
    ] = None,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Sets of demonstrations side by side: diversity, coverage, habits, distance."""
    from tailor_rl.cli_measures import read_judge, show_measures

    config, ask_judge = None, None
    if judge is not None:
        config = read_judge(judge)
        with checkout():
            from cluster.behaviours import with_judge
        ask_judge = with_judge
    show_measures(
        paths,
        student=student,
        embedder=embedder,
        threads=threads,
        seed=seed,
        runs_dir=runs_dir,
        as_json=as_json,
        judge=config,
        ask_judge=ask_judge,
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
