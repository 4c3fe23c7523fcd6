"""`tailor export`: the model of a run for others. Starts nothing, runs nothing.

cli.py hooks `export` in; what the command needs is imported when it runs.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailor_rl.cli_run import find_run
from tailor_rl.cli_words import RUNS_DIR, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from tailor_rl.export import Stage


class StageName(StrEnum):
    SFT = "sft"
    RL = "rl"


_NAMES: dict[StageName | None, Stage | None] = {
    None: None,
    StageName.SFT: "sft",
    StageName.RL: "rl",
}


def export(
    run: RunArgument,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="default: RUN/export-STAGE")
    ] = None,
    stage: Annotated[
        StageName | None, typer.Option(help="after which the model is taken; default: rl")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="the checkpoint that was best on validation, if kept")
    ] = False,
    runs_dir: RunsDirOption = RUNS_DIR,
) -> None:
    """The final model as a Hugging Face folder, with a card that says where it comes from."""
    from tailor_rl.export import export_model

    typer.echo(export_model(find_run(run, runs_dir), to, stage=_NAMES[stage], best=best))
