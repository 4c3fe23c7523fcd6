"""`tailor measures PATH...`: sets of demonstrations side by side.

demo                     runs/demo/demonstrations.jsonl
path/to/run              the same, by path
path/to/file.jsonl       any file of Demonstration rows
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tailor_rl.cli_run import find_run, say
from tailor_rl.errors import ConfigError
from tailor_rl.runs.folder import read_run_config

if TYPE_CHECKING:
    from tailor_rl.cli_behaviours import AskJudge
    from tailor_rl.config.schema import RunConfig
    from tailor_rl.measures.judge import Judgement
    from tailor_rl.protocols import Teacher
    from tailor_rl.types import Demonstration

FILE = "demonstrations.jsonl"


def show_measures(
    paths: Sequence[str],
    *,
    student: Path | None,
    embedder: str,
    threads: int,
    seed: int,
    runs_dir: Path,
    as_json: bool,
    judge: RunConfig | None = None,
    ask_judge: AskJudge | None = None,
) -> None:
    """Print every measure of the sets. ConfigError or RunFolderError where one cannot be read.

    `judge`: a recipe whose `measures.judge` counts the habits in some traces of each set, besides
    the patterns; what it answered is kept beside the runs' folder and not bought again.
    """
    from tailor_rl.config.student import check_student
    from tailor_rl.measures.embedding import load_embedder
    from tailor_rl.measures.table import measure_sets, to_sheets
    from tailor_rl.sheets import print_sheets

    files = [_file(path, runs_dir) for path in paths]
    sets = dict(zip(_names(files), map(_read, files), strict=True))
    if student is not None:
        check_student(str(student), ())
    embed = load_embedder(embedder)
    distances = {}
    if student is not None:
        from tailor_rl.measures.distance import student_distance

        for name, made in sets.items():
            say(f"{name}: {len(made)} traces under {student}")
            distances[name] = student_distance(made, student, threads=threads)
            if distances[name].num_too_long:
                say(f"{name}: {distances[name].num_too_long} traces are too long for {student}")
    judgements = {}
    if judge is not None and ask_judge is not None:
        book = runs_dir.resolve().parent / "evaluations" / "judge.sqlite"
        book.parent.mkdir(parents=True, exist_ok=True)
        judgements = {
            name: _judged(judge, made, ask_judge, name=name, book=book)
            for name, made in sets.items()
        }
    measured = measure_sets(
        sets, embedder=embed, seed=seed, students=distances, judgements=judgements
    )
    if as_json:
        typer.echo(json.dumps(asdict(measured), indent=2))
        return
    print_sheets(to_sheets(measured))


def read_judge(recipe: Path) -> RunConfig:
    """A recipe that names a judge. ConfigError where it names none, or one that cannot be asked."""
    from tailor_rl.cli_behaviours import check_judge
    from tailor_rl.config.load import load_config

    config = load_config(recipe)
    if not config.measures.judge:
        raise ConfigError(f"{recipe} names no judge: set measures.judge to one of its teachers")
    check_judge(config)
    return config


def _judged(
    cfg: RunConfig, made: Sequence[Demonstration], ask_judge: AskJudge, *, name: str, book: Path
) -> Judgement:
    """The first `measures.judged_traces` of a set, which stand in no order of their habits."""
    from tailor_rl.measures.judge import JudgedText, judge_habits
    from tailor_rl.teachers.prompts import Prompts

    texts = [JudgedText(each.prompt, each.trace) for each in made[: cfg.measures.judged_traces]]
    say(f"{name}: the judge {cfg.measures.judge!r} reads {len(texts)} traces")

    async def work(teacher: Teacher) -> Judgement:
        prompts = Prompts(cfg.prompts.folder)
        return await judge_habits(texts, teacher, prompts=prompts, endpoint=cfg.measures.judge)

    judgement = ask_judge(cfg, work, book=book)
    if judgement.unjudged:
        say(f"{name}: {judgement.unjudged} counts could not be read, or the budget ended before")
    return judgement


def _file(text: str, runs_dir: Path) -> Path:
    path = Path(text)
    if path.is_file():
        return path
    if path.suffix == ".jsonl":
        raise ConfigError(f"there is no {path}: name a run folder or a file of demonstrations")
    path = path if path.is_dir() else find_run(text, runs_dir)
    if not path.is_dir():
        read_run_config(path)  # says so, with the nearest name
    if not (path / FILE).is_file():
        raise ConfigError(
            f"{path} has no {FILE}: name a run that has made its demonstrations (an initialisation "
            '"none" makes none), or a file of them'
        )
    return path / FILE


def _read(path: Path) -> list[Demonstration]:
    from tailor_rl.runs.files import read_typed_lines
    from tailor_rl.types import Demonstration

    made = read_typed_lines(
        path,
        Demonstration,
        what="no demonstration",
        fix="remove the line, or name a file of demonstrations",
    )
    if not made:
        raise ConfigError(f"{path} holds no demonstration: leave it out")
    return made


def _names(files: Sequence[Path]) -> list[str]:
    """The run's name, or the file's; with the folder above where two are the same."""
    plain = [_name(path.resolve(), depth=1) for path in files]
    names = [
        name if plain.count(name) == 1 else _name(path.resolve(), depth=2)
        for name, path in zip(plain, files, strict=True)
    ]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"{min(twice)} was named more than once: name each set once")
    return names


def _name(path: Path, *, depth: int) -> str:
    parts = path.parent.parts if path.name == FILE else path.with_suffix("").parts
    return "/".join(parts[-depth:])
