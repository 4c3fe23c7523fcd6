"""What several commands share: arguments, options, and the way to what runs from the checkout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tailor_rl.errors import ConfigError

RUNS_DIR = Path("runs")

RecipeArgument = Annotated[str | None, typer.Argument(metavar="CONFIG", help="a recipe (.toml)")]
NameOption = Annotated[str | None, typer.Option(help="of the run folder")]
ResumeOption = Annotated[
    str | None, typer.Option(metavar="RUN", help="go on with a run that was stopped")
]
PlainOption = Annotated[bool, typer.Option("--plain", help="lines instead of a live page")]
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
