"""`tailor dataset`: look at the SFT set of a run, copy it, publish it. Starts nothing.

cli.py hooks `app` in; what a command needs is imported when it runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailor_rl.cli_run import find_run
from tailor_rl.cli_words import RUNS_DIR, JsonOption, RunsDirOption
from tailor_rl.errors import RunFolderError
from tailor_rl.printable import one_line

if TYPE_CHECKING:
    from tailor_rl.curation.lineage import Lineage
    from tailor_rl.types import Demonstration

app = typer.Typer(help="The SFT set of a run: what it is made of, a copy, a push to the hub.")

DATASET = "dataset"  # in a run folder

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="a run folder, its name, or a data set's folder")
]


@app.command()
def show(
    run: RunArgument,
    num: Annotated[int, typer.Option(min=0, help="rows to show")] = 3,
    runs_dir: RunsDirOption = RUNS_DIR,
    as_json: JsonOption = False,
) -> None:
    """Where the set comes from, what is in it, and a few rows; its hash is checked."""
    from tailor_rl.curation.dataset import check_dataset, read_dataset

    folder = find_dataset(run, runs_dir)
    lineage, rows = check_dataset(folder), read_dataset(folder)[:num]
    if as_json:
        value = {
            "folder": str(folder),
            "lineage": asdict(lineage),
            "rows": [asdict(row) for row in rows],
        }
        typer.echo(json.dumps(value, indent=2))
        return
    typer.echo(as_text(folder, lineage, rows))


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write")],
    runs_dir: RunsDirOption = RUNS_DIR,
) -> None:
    """A copy that `datasets` and TRL load: Parquet, the card, the lineage."""
    from tailor_rl.curation.dataset import export_dataset

    export_dataset(find_dataset(run, runs_dir), out)
    typer.echo(out)


@app.command()
def push(
    run: RunArgument,
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="of the data set on the hub")],
    public: Annotated[bool, typer.Option("--public", help="for everyone to see")] = False,
    runs_dir: RunsDirOption = RUNS_DIR,
) -> None:
    """Publish it on the Hugging Face hub, with the token in HF_TOKEN; private unless --public."""
    from tailor_rl.curation import hub

    pushed = hub.push(find_dataset(run, runs_dir), repo, private=not public)
    typer.echo(f"{pushed.url} ({'private' if pushed.private else 'public'})")


def print_set(run: Path) -> None:
    """What `tailor demonstrate` leaves, and how to go on."""
    from tailor_rl.curation.dataset import check_dataset, read_dataset
    from tailor_rl.runs.files import resume_command

    folder = run / DATASET
    typer.echo(as_text(folder, check_dataset(folder), read_dataset(folder)[:1]))
    typer.echo(f"go on with SFT and RL: {resume_command(run)}")


def find_dataset(run: str, runs_dir: Path) -> Path:
    """The data set of a run, or `run` itself if it is a data set's folder. RunFolderError else."""
    from tailor_rl.curation.dataset import LINEAGE
    from tailor_rl.runs.folder import read_run_config

    path = find_run(run, runs_dir)
    if (path / LINEAGE).is_file():
        return path
    config = read_run_config(path)
    if not (path / DATASET).is_dir():
        reason = (
            'initialisation = "none" makes none'
            if config.initialisation == "none"
            else "it has not come so far, or was made by a version that wrote none"
        )
        raise RunFolderError(f"the run {path} has no data set: {reason}")
    return path / DATASET


def as_text(folder: Path, lineage: Lineage, rows: list[Demonstration]) -> str:
    """The lineage and `rows` for a person; what models wrote cannot move the cursor."""
    from tailor_rl.curation.lineage import facts

    found = [*facts(lineage), ("checked", "the rows have the hash that the lineage says")]
    lines = [str(folder), *(f"  {label:<18} {one_line(value, 2000)}" for label, value in found)]
    for use in sorted(lineage.primitives, key=lambda use: (-use.demonstrations, use.id)):
        lines.append(f"  {use.demonstrations:>6} x {one_line(use.id)}: {one_line(use.name, 60)}")
    for row in rows:
        guide = f", follows {one_line(row.primitive_id)}" if row.primitive_id else ""
        lines += [
            "",
            f"{one_line(row.problem_id)}: {row.origin}, reward {row.reward:g}{guide}",
            f"  user       {one_line(row.prompt, 300)}",
            f"  assistant  {one_line(row.trace, 300)}",
        ]
    return "\n".join(lines)
