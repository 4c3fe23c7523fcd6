"""`tailor evaluate`, from what was typed to an exit code. Checks everything before it starts.

Knows nothing about Ray: how engines are started comes as a function.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from tailor_rl.cli_run import INTERRUPTED, TERMINATED, say, sentence, sigterm_as_interrupt
from tailor_rl.errors import ConfigError, TailorError

if TYPE_CHECKING:
    from tailor_rl.config.load import ResolvedConfig
    from tailor_rl.config.schema import RunConfig
    from tailor_rl.examination import Examination
    from tailor_rl.protocols import Grader, RolloutPool, Screen, Task
    from tailor_rl.runs.evaluation_folder import EvaluationFolder, Record
    from tailor_rl.runs.subjects import Subject
    from tailor_rl.types import GradeFailure

AGAIN = "go on with the same command: what is done stays done"


class Launch(Protocol):
    """Starts engines on the checkpoint folder `weights`, does `work`, and stops them."""

    def __call__(
        self,
        cfg: RunConfig,
        work: Callable[[RolloutPool, Grader], Coroutine[Any, Any, None]],
        /,
        *,
        weights: str,
        on_failure: Callable[[GradeFailure], None],
        log: Callable[[str], None],
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """What was typed. `splits` may hold several in one, with commas between."""

    target: str
    checkpoint: str
    recipe: Path | None
    overrides: tuple[str, ...]
    splits: tuple[str, ...]
    num_problems: int | None
    out: Path | None
    runs_dir: Path
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedEvaluation:
    """A request that was found to be sound. `config` is what the engines are started by."""

    subject: Subject
    config: RunConfig
    record: Record
    examination: Examination
    out: Path


class Publish(Protocol):
    """Says what an evaluation that is done has found."""

    def __call__(
        self, prepared: PreparedEvaluation, folder: EvaluationFolder, /, *, as_json: bool
    ) -> None: ...


def prepare(request: EvaluateRequest) -> PreparedEvaluation:
    """Every check that needs no cluster. Raises ConfigError or RunFolderError."""
    from tailor_rl.config import checks
    from tailor_rl.examination import Examination
    from tailor_rl.runs.evaluation_folder import Record, check_folder
    from tailor_rl.runs.subjects import find_subject
    from tailor_rl.tasks.registry import load_task

    subject = find_subject(request.target, request.checkpoint, runs_dir=request.runs_dir, log=say)
    recipe = _recipe(request, subject)
    checks.check_options(recipe.config)
    task = load_task(
        recipe.config.task.name, seed=recipe.config.task.seed, options=recipe.config.task.options
    )
    splits = _splits(request, recipe.config, task)
    out = request.out or request.runs_dir.resolve().parent / "evaluations" / subject.name
    record = Record(
        target=request.target,
        checkpoint=subject.weights,
        checksum=subject.checksum,
        recipe=recipe,
        splits=splits,
        command=request.command,
    )
    check_folder(out, record)
    config = engines_only(recipe.config, splits)
    _check_engines(config, task, subject)
    examination = Examination(
        config.evaluation,
        seed=config.seed,
        task=task,
        splits=splits,
        stage=subject.stage,
        step=subject.step,
    )
    return PreparedEvaluation(subject, config, record, examination, out)


def _recipe(request: EvaluateRequest, subject: Subject) -> ResolvedConfig:
    """The run's recipe or the one that was named, with the overrides on top."""
    from tailor_rl.config.load import override_config, resolve_config
    from tailor_rl.runs.folder import CONFIG, read_resolved

    overrides = list(request.overrides)
    if request.num_problems is not None:
        num = request.num_problems
        overrides += [
            f"evaluation.num{kind}_problems={num}" for kind in ("", "_ood", "_validation")
        ]
    if request.recipe is not None:
        return resolve_config(request.recipe, overrides, command=request.command)
    if subject.run is None:
        raise ConfigError(
            f"{request.target} is a checkpoint and brings no recipe: add --recipe RECIPE.toml, "
            "which says on what task and how it is evaluated"
        )
    stored = read_resolved(subject.run)
    config = override_config(stored.config, overrides, source=subject.run / CONFIG)
    given = (*stored.provenance.overrides, *overrides)
    return type(stored)(config, replace(stored.provenance, overrides=given))


def _splits(request: EvaluateRequest, config: RunConfig, task: Task) -> tuple[str, ...]:
    """As asked for, or those of an evaluation within a run."""
    if request.splits:
        return pick_splits(request.splits, task.splits, whose=f"task {config.task.name}")
    from tailor_rl.config.checks import check_splits

    check_splits(config, task)
    chosen = config.evaluation.ood_splits
    ood = tuple(split for split in task.splits if split.startswith("ood/"))
    return ("test", *(ood if chosen is None else chosen))


def pick_splits(asked: Sequence[str], known: Sequence[str], *, whose: str) -> tuple[str, ...]:
    """The splits named in `asked`, each once; ConfigError with the nearest name of one unknown."""
    names = dict.fromkeys(name.strip() for text in asked for name in text.split(","))
    for name in names:
        if name not in known:
            from rapidfuzz import process

            nearest = process.extractOne(name, known)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ConfigError(f"{whose} has no split {name!r}; {hint}It has {', '.join(known)}")
    return tuple(names)


def engines_only(config: RunConfig, splits: Sequence[str]) -> RunConfig:
    """The part of a recipe that an evaluation by itself needs room for: nobody learns or teaches,
    and no prompt but those of `splits`, with an answer, has to fit.
    """
    return config.model_copy(
        update={
            "initialisation": "none",
            "learner": config.learner.model_copy(update={"ranks": 0}),
            "rl": config.rl.model_copy(update={"max_tokens": config.evaluation.max_tokens}),
            "evaluation": config.evaluation.model_copy(update={"ood_splits": tuple(splits)}),
        }
    )


def _check_engines(config: RunConfig, task: Task, subject: Subject) -> None:
    """Whether machine and checkpoint carry what the recipe asks of them."""
    from tailor_rl.config import checks
    from tailor_rl.config.student import check_student
    from tailor_rl.graders.rewards import Rewards
    from tailor_rl.runs.environment import this_machine

    checks.check_positions(config, check_student(str(subject.weights), ()))
    if checks.runs_on_this_machine(config):
        checks.check_machine(config, this_machine())
    Rewards(task, weights=config.reward.weights, functions=config.reward.functions)
    from tailor_rl.chat import ChatTokens  # takes seconds to import: last

    checks.check_lengths(config, task, ChatTokens(subject.weights))


def execute(
    prepared: PreparedEvaluation,
    launch: Launch,
    *,
    as_json: bool,
    publish: Publish | None = None,
) -> None:
    """Do what is left, then `publish`: by default, write the tables and show them."""
    from tailor_rl.runs.evaluation_folder import EvaluationFolder

    with (
        sigterm_as_interrupt() as terminated,
        EvaluationFolder.open(prepared.out, prepared.record) as folder,
        _ending(folder, terminated),
    ):
        _examine(prepared, folder, launch, as_json=as_json)
        (publish or _publish)(prepared, folder, as_json=as_json)


def _examine(
    prepared: PreparedEvaluation, folder: EvaluationFolder, launch: Launch, *, as_json: bool
) -> None:
    from rich.console import Console

    from tailor_rl.screen import make_screen

    examination = prepared.examination
    left = examination.left(folder.results())
    # With --json standard output is for the table alone.
    with make_screen(console=Console(stderr=as_json)) as screen:
        screen.log(f"{prepared.subject.weights} -> {folder.path}")
        if not any(left.values()):
            screen.log("every problem is done already")
            return
        show = _Progress(screen)
        launch(
            prepared.config,
            lambda pool, grader: examination.run(pool, grader, folder=folder, on_progress=show),
            weights=str(prepared.subject.weights),
            on_failure=folder.add_failure,
            log=screen.log,
        )


class _Progress:
    """Each split is a stage of the screen's."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._split = ""

    def __call__(self, split: str, done: int, total: int) -> None:
        if split != self._split:
            self._split = split
            self._screen.stage(f"evaluate {split}")
        self._screen.progress(done, total, "problems")


def _publish(prepared: PreparedEvaluation, folder: EvaluationFolder, *, as_json: bool) -> None:
    from tailor_rl.sheets import print_sheets, to_markdown
    from tailor_rl.standings import make_standings, to_rows, to_sheets

    cfg = prepared.config
    standings = make_standings(
        prepared.examination.chosen(folder.results()),
        samples=cfg.evaluation.samples_per_problem,
        seed=cfg.seed,
        temperature=cfg.evaluation.temperature,
    )
    rows, sheets = to_rows(standings), to_sheets(standings)
    folder.write_tables(rows, f"# {prepared.subject.name}\n\n{to_markdown(sheets)}")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    print_sheets(sheets)
    typer.echo(f"results: {folder.path}")


@contextlib.contextmanager
def _ending(folder: EvaluationFolder, terminated: Callable[[], bool]) -> Iterator[None]:
    """Whatever ends the block becomes a line or two on stderr and an exit code."""
    try:
        yield
    except KeyboardInterrupt as error:
        say(f"stopped; {AGAIN}")
        raise typer.Exit(TERMINATED if terminated() else INTERRUPTED) from error
    except SystemExit as error:  # what the launcher, or Ray's own handler, makes of SIGTERM
        if error.code not in (signal.SIGTERM, TERMINATED):
            raise
        say(f"stopped; {AGAIN}")
        raise typer.Exit(TERMINATED) from error
    except TailorError as error:
        if error.exit_code == 2:
            folder.forget()  # wrong input leaves nothing behind
            raise
        folder.log_error(error)
        say(f"error: {sentence(error)}")
        say(AGAIN)
        raise typer.Exit(error.exit_code) from error
    except Exception as error:
        log = folder.log_error(error)
        say(f"error: {sentence(error)} ({type(error).__name__}; see {log})")
        say(AGAIN)
        raise typer.Exit(1) from error
