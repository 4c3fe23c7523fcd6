"""`tailor behaviours`: does a checkpoint have what RL can amplify, and was the forecast right?

An evaluation as `tailor evaluate` makes it, on problems that are like those of training, that also
keeps every answer's text. Knows nothing about Ray: how engines and a judge are started comes as
functions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from tailor_rl.cli_evaluate import EvaluateRequest, Launch, PreparedEvaluation
from tailor_rl.cli_evaluate import execute as evaluate
from tailor_rl.cli_evaluate import prepare as prepare_evaluation
from tailor_rl.cli_run import find_run, say
from tailor_rl.errors import ConfigError, RunFolderError

if TYPE_CHECKING:
    from tailor_rl.config.schema import RunConfig
    from tailor_rl.evaluation import Trace
    from tailor_rl.measures.behaviours import BehaviourReport
    from tailor_rl.measures.judge import Judgement
    from tailor_rl.protocols import Grader, RolloutPool, Teacher
    from tailor_rl.runs.evaluation_folder import EvaluationFolder
    from tailor_rl.types import GradeFailure

REPORT, ANSWERS = "behaviours.json", "answers.jsonl"
HOSTED = "vllm"


class AskJudge(Protocol):
    """Does `work` with the teacher that `measures.judge` names; answers are kept in `book`."""

    def __call__(
        self,
        cfg: RunConfig,
        work: Callable[[Teacher], Coroutine[Any, Any, Judgement]],
        /,
        *,
        book: Path,
    ) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class BehavioursRequest:
    """What was typed. Without a `checkpoint`, of a run: what its RL begins with."""

    target: str
    checkpoint: str | None
    recipe: Path | None
    overrides: tuple[str, ...]
    split: str
    num_problems: int
    samples: int
    out: Path | None
    runs_dir: Path
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedBehaviours:
    """A request that was found to be sound. `stored_in`: the run folder that gets a copy."""

    evaluation: PreparedEvaluation
    stored_in: Path | None


def prepare(request: BehavioursRequest) -> PreparedBehaviours:
    """Every check that needs no cluster. Raises ConfigError or RunFolderError."""
    from tailor_rl.runs.subjects import LATEST

    checkpoint = request.checkpoint or _start_of_rl(request.target, request.runs_dir)
    prepared = prepare_evaluation(
        EvaluateRequest(
            target=request.target,
            checkpoint=checkpoint or LATEST,
            recipe=request.recipe,
            overrides=(
                f"evaluation.samples_per_problem={request.samples}",
                "evaluation.greedy=false",
                *request.overrides,
            ),
            splits=(request.split,),
            num_problems=request.num_problems,
            out=request.out or _folder(request, checkpoint),
            runs_dir=request.runs_dir,
            command=request.command,
        )
    )
    check_judge(prepared.config)
    return PreparedBehaviours(
        prepared, stored_in=_storable(prepared.subject.run) if request.recipe is None else None
    )


def _storable(run: Path | None) -> Path | None:
    """Another user's run can be read and not written to: then the report is in --out alone."""
    if run is None or os.access(run, os.W_OK | os.X_OK):
        return run
    say(f"{run} is not writable: it gets no copy of the report")
    return None


def _start_of_rl(target: str, runs_dir: Path) -> str | None:
    """The checkpoint of a run that its RL begins with; None for a target that is no run."""
    from tailor_rl.runs.folder import CONFIG
    from tailor_rl.runs.subjects import STUDENT

    path = Path(target)
    if not path.exists() and len(path.parts) == 1:
        path = runs_dir / path
    if not (path / CONFIG).is_file() or any(path.glob("*.safetensors")):
        return None
    return "sft" if (path / "checkpoints" / "sft").is_dir() else STUDENT


def _folder(request: BehavioursRequest, checkpoint: str | None) -> Path:
    """evaluations/demo-sft-behaviours beside the runs' folder."""
    path = Path(request.target).resolve()
    name = f"{path.parents[1].name}-" if path.parent.name == "checkpoints" else ""
    name += path.name if checkpoint is None else f"{path.name}-{checkpoint}"
    return request.runs_dir.resolve().parent / "evaluations" / f"{name}-behaviours"


def check_judge(config: RunConfig) -> None:
    judge, teachers = config.measures.judge, config.teacher.endpoints
    if not judge:
        return
    if judge not in teachers:
        raise ConfigError(
            f"measures.judge = {judge!r} is no teacher of the recipe, which has "
            f"{', '.join(teachers)}: name one of them, or leave it empty to count by patterns"
        )
    if teachers[judge].base_url == HOSTED:
        raise ConfigError(
            f"measures.judge = {judge!r} is a teacher that a run hosts itself, and here none is "
            f"hosted: start it by `vllm serve {teachers[judge].model}` and give "
            "its address as base_url"
        )


def execute(
    prepared: PreparedBehaviours, launch: Launch, ask_judge: AskJudge, *, as_json: bool
) -> None:
    """Do what is left, count the habits, then write and show the report."""

    def publish(done: PreparedEvaluation, folder: EvaluationFolder, /, *, as_json: bool) -> None:
        _publish(prepared, folder, ask_judge, as_json=as_json)

    evaluate(
        prepared.evaluation, _keeping(launch, prepared.evaluation), as_json=as_json, publish=publish
    )


def _keeping(launch: Launch, prepared: PreparedEvaluation) -> Launch:
    """`launch`, but every text that is graded goes to answers.jsonl first."""
    from tailor_rl.measures.answers import KeepingGrader

    path = prepared.out / ANSWERS

    def started(
        cfg: RunConfig,
        work: Callable[[RolloutPool, Grader], Coroutine[Any, Any, None]],
        /,
        *,
        weights: str,
        on_failure: Callable[[GradeFailure], None],
        log: Callable[[str], None],
    ) -> None:
        launch(
            cfg,
            lambda pool, grader: work(pool, KeepingGrader(grader, path)),
            weights=weights,
            on_failure=on_failure,
            log=log,
        )

    return started


def _publish(
    prepared: PreparedBehaviours, folder: EvaluationFolder, ask_judge: AskJudge, *, as_json: bool
) -> None:
    from tailor_rl.measures.behaviours_table import as_record, to_sheets, verdicts
    from tailor_rl.measures.forecast import report_name
    from tailor_rl.runs.files import explaining_disk_errors, write_json
    from tailor_rl.sheets import print_sheets, to_markdown

    report = _report(prepared.evaluation, folder, ask_judge)
    found = as_record(report)
    sheets = to_sheets(report)
    sentences = "\n".join(f"- {line}" for line in verdicts(report))
    folder.write_tables([found], f"# {report.subject}\n\n{to_markdown(sheets)}\n{sentences}\n")
    targets = [folder.path / REPORT]
    stored = prepared.stored_in and prepared.stored_in / report_name(report.stage)
    # What was forecast before RL stays, and no forecast is made of what the gain is measured on.
    if stored and report.split == "validation" and not stored.exists():
        targets.append(stored)
    for target in targets:
        with explaining_disk_errors(target.parent, target.name):
            write_json(target, found)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    print_sheets(sheets)
    for line in verdicts(report):
        typer.echo(line)
    typer.echo("report: " + ", ".join(map(str, targets)))


def _report(
    prepared: PreparedEvaluation, folder: EvaluationFolder, ask_judge: AskJudge
) -> BehaviourReport:
    from tailor_rl.measures.answers import choose_judged, read_answers
    from tailor_rl.measures.behaviours import make_report

    cfg, subject = prepared.config, prepared.subject
    results = prepared.examination.chosen(folder.results())
    asked = {result.problem_id for result in results}
    answers = [
        answer
        for answer in read_answers(folder.path / ANSWERS, stage=subject.stage, step=subject.step)
        if answer.problem_id in asked
    ]
    judged: list[Trace] = []
    judgement: Judgement | None = None
    if cfg.measures.judge and answers:
        judged = choose_judged(answers, cfg.measures.judged_traces)
        say(f"the judge {cfg.measures.judge!r} reads {len(judged)} answers")
        judgement = ask_judge(
            cfg, lambda teacher: _judge(cfg, judged, teacher), book=folder.path / "teacher.sqlite"
        )
    try:
        return make_report(
            results,
            answers,
            subject=subject.name,
            k=cfg.evaluation.samples_per_problem,
            temperature=cfg.evaluation.temperature,
            seed=cfg.seed,
            judged=judged,
            judgement=judgement,
        )
    except ValueError as error:
        raise RunFolderError(f"{folder.path}: {error}") from error


async def _judge(cfg: RunConfig, judged: Sequence[Trace], teacher: Teacher) -> Judgement:
    from tailor_rl.measures.judge import JudgedText, judge_habits
    from tailor_rl.teachers.prompts import Prompts

    return await judge_habits(
        [JudgedText(answer.prompt, answer.text) for answer in judged],
        teacher,
        prompts=Prompts(cfg.prompts.folder),
        endpoint=cfg.measures.judge,
    )


def show_check(runs: Sequence[str], *, runs_dir: Path, as_json: bool) -> None:
    """`tailor behaviours --check`: the forecasts of finished runs against what RL gained."""
    from tailor_rl.measures.forecast import MIN_POINTS, check_forecasts
    from tailor_rl.measures.forecast_table import to_sheet
    from tailor_rl.sheets import print_sheets

    if len(runs) < MIN_POINTS:
        raise ConfigError(
            f"--check was given {len(runs)} run(s) and needs at least {MIN_POINTS}, of different "
            "initialisations: name more"
        )
    found = check_forecasts([find_run(run, runs_dir) for run in runs], seed=0)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    print_sheets([to_sheet(found)])
