"""What a study's report is made from: figures and excerpts of its finished runs, in one file.

gathered.json is enough to make results and report again where the runs themselves are not at hand.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tailor_rl.bench.cells import Place, places_of
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.folder import CELLS, GATHERED, is_finished, read_recorded, runs_of
from tailor_rl.bench.reading import read_cell
from tailor_rl.bench.report import Asked, Extras, Reply
from tailor_rl.bench.results import Key
from tailor_rl.bench.study import Study
from tailor_rl.bench.usage import Usage, make_usage
from tailor_rl.bench.usage_pooled import PooledUsage, pool_usage
from tailor_rl.bench.version import check_same_version
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic
from tailor_rl.runs.folder import read_outcome, read_run_config
from tailor_rl.summary import read_object, read_rows

RUNS_A_PROCESS = 4  # that make starting one worth while
NUM_TRACES = 3  # problems of a split whose answers are shown side by side


@dataclass(frozen=True, slots=True)
class Gathered:
    """`planned` are all cells of the grid, `failed` those of which a reason is known; `differs` is
    what lies between these runs and a publication's, `mixed` between the runs themselves; `at_once`
    of them ran side by side.
    """

    study: Study
    planned: tuple[Key, ...]
    failed: tuple[tuple[Key, str], ...]
    figures: tuple[CellFigures, ...]
    differs: tuple[str, ...]
    mixed: tuple[str, ...]
    at_once: int
    extras: Extras


def gather(study_path: Path, *, mixed_versions: bool) -> Gathered:
    """From the runs, written to gathered.json; from that file alone where there are no runs.

    RunFolderError where the folder is no study, a run is damaged, or runs are of different versions
    and `mixed_versions` does not allow that.
    """
    if not runs_of(study_path) and (study_path / GATHERED).is_file():
        return _read(study_path)
    recorded = read_recorded(study_path)
    study = Study.model_validate(recorded["study"])
    cells = places_of(study)
    done = [cell for cell in cells if is_finished(_run(study_path, cell))]
    runs = [_run(study_path, cell) for cell in done]
    versions = check_same_version(runs, mixed=mixed_versions)
    shown, traces_of = _traces(study_path, done)
    gathered = Gathered(
        study=study,
        planned=tuple(map(_key, cells)),
        failed=tuple(_failures(study_path, cells)),
        figures=tuple(_figures(study_path, cell) for cell in done),
        differs=tuple(_differs(study, runs)),
        mixed=tuple(versions),
        at_once=recorded.get("at_once", 1),
        extras=Extras(
            usage=_usage(study_path, done),
            traces=shown,
            traces_of=traces_of,
            lineage=_lineages(study_path, done),
            environment=read_object(runs[0] / "environment.json") if runs else {},
            command=" ".join(recorded["command"]),
        ),
    )
    with explaining_disk_errors(study_path, GATHERED):
        write_atomic(study_path / GATHERED, _ADAPTER.dump_json(gathered).decode() + "\n")
    return gathered


_ADAPTER = TypeAdapter(Gathered)


def _read(study_path: Path) -> Gathered:
    path = study_path / GATHERED
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise RunFolderError(f"{study_path} is no study: `tailor bench` makes one") from error
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged or of another version of tailor_rl: make it again from the runs"
        ) from error


def _run(study: Path, cell: Place) -> Path:
    return study / CELLS / cell.name


def _key(cell: Place) -> Key:
    return cell.setting, cell.arm, cell.seed


def _figures(study: Path, cell: Place) -> CellFigures:
    return read_cell(_run(study, cell), setting=cell.setting, arm=cell.arm, seed=cell.seed)


def _failures(study: Path, cells: Iterable[Place]) -> Iterable[tuple[Key, str]]:
    for cell in cells:
        run = _run(study, cell)
        outcome = read_outcome(run) if run.is_dir() else {}
        if outcome.get("state") == "failed":
            yield _key(cell), str(outcome.get("error") or "failed")


def _differs(study: Study, runs: Sequence[Path]) -> list[str]:
    """What stands between these runs and the publication's, beside a claim."""
    configs = [read_run_config(run) for run in runs]
    if not configs:
        return []
    students = dict.fromkeys(_student(config.student) for config in configs)
    teachers = dict.fromkeys(config.teacher.model for config in configs)
    rl = configs[0].rl
    return [
        f"student: {', '.join(students)}",
        f"teacher: {', '.join(teachers)}",
        f"RL: {rl.num_steps} steps of {rl.groups_per_step} x {rl.group_size} rollouts",
        f"{len(study.seeds)} seeds",
    ]


def _student(path: str) -> str:
    """A folder by its name and, where it can be told, its size."""
    weights = list(Path(path).glob("*.safetensors")) if Path(path).is_dir() else []
    dtype_bytes = {"bfloat16": 2, "float16": 2}
    config = read_object(Path(path) / "config.json") if weights else {}
    size = sum(file.stat().st_size for file in weights) / dtype_bytes.get(
        str(config.get("dtype") or config.get("torch_dtype")), 4
    )
    return Path(path).name + (f" (about {size / 1e6:.2g} M parameters)" if size else "")


def _usage(study: Path, done: Sequence[Place]) -> dict[str, dict[str, PooledUsage]]:
    """Setting -> arm. An arm without primitives of its own is seen with those of the first arm that
    has some, in the same setting and seed.
    """
    found: dict[str, dict[str, list[Usage]]] = {}
    jobs = [(_run(study, cell), _reference(study, cell, done)) for cell in done]
    for cell, usage in zip(done, _make_usages(jobs), strict=True):
        if usage is not None:
            found.setdefault(cell.setting, {}).setdefault(cell.arm, []).append(usage)
    return {
        setting: {arm: pool_usage(usages) for arm, usages in arms.items()}
        for setting, arms in found.items()
    }


def _make_usages(jobs: Sequence[tuple[Path, Path | None]]) -> list[Usage | None]:
    """Of pairs of a run and its reference. Seconds a run: many are shared out to processes."""
    workers = min(len(os.sched_getaffinity(0)), len(jobs) // RUNS_A_PROCESS)
    if workers < 2:
        return list(map(_make_usage, jobs))
    # Ctrl-C is for the first process alone: the others would each print where it met them.
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        return list(pool.map(_make_usage, jobs))


def _make_usage(job: tuple[Path, Path | None]) -> Usage | None:
    run, reference = job
    return make_usage(run, reference=reference)


def _reference(study: Path, cell: Place, done: Sequence[Place]) -> Path | None:
    """Of the other arms' runs of this setting and seed, the one that follows most primitives."""
    others = [
        _run(study, other)
        for other in done
        if (other.setting, other.seed) == (cell.setting, cell.seed) and other is not cell
    ]
    return max(others, key=_num_followed, default=None)


def _num_followed(run: Path) -> int:
    path = run / "demonstrations.jsonl"
    rows = read_rows(path) if path.is_file() else []
    return len({row["primitive_id"] for row in rows if row.get("primitive_id")})


def _traces(study: Path, done: Sequence[Place]) -> tuple[list[Asked], str]:
    """Some problems of each split with the answers of every arm, of the first setting and seed that
    most arms have finished.
    """
    if not done:
        return [], ""
    groups = dict.fromkeys((cell.setting, cell.seed) for cell in done)
    best = max(groups, key=lambda group: sum((c.setting, c.seed) == group for c in done))
    cells = [cell for cell in done if (cell.setting, cell.seed) == best]
    answers = {cell.arm: _answers(_run(study, cell)) for cell in cells}
    shown: list[Asked] = []
    for split in dict.fromkeys(row["split"] for rows in answers.values() for row in rows.values()):
        ids = [
            problem
            for problem in dict.fromkeys(id for rows in answers.values() for id in rows)
            if all(problem in rows for rows in answers.values())
            and next(iter(answers.values()))[problem]["split"] == split
        ]
        shown += [_asked(problem, answers) for problem in ids[:NUM_TRACES]]
    setting = "" if best[0] == "all" else f"{best[0]}, "
    return shown, f"{setting}seed {best[1]}"


def _answers(run: Path) -> dict[str, dict[str, Any]]:
    path = run / "samples" / "eval-rl.jsonl"
    return {row["problem_id"]: row for row in read_rows(path)} if path.is_file() else {}


def _asked(problem: str, answers: Mapping[str, Mapping[str, dict[str, Any]]]) -> Asked:
    first = next(iter(answers.values()))[problem]
    replies = (
        Reply(arm, rows[problem]["text"], rows[problem]["correct"] >= 1.0)
        for arm, rows in answers.items()
    )
    return Asked(f"{first['split']}: {first['prompt']}", first["answer"], tuple(replies))


def _lineages(study: Path, done: Sequence[Place]) -> dict[str, list[tuple[str, str]]]:
    """Arm -> what its first run's set is."""
    found: dict[str, list[tuple[str, str]]] = {}
    for cell in done:
        path = _run(study, cell) / "lineage.jsonl"
        name = cell.arm if cell.setting == "all" else f"{cell.setting}, {cell.arm}"
        if name not in found and path.is_file():
            found[name] = list(_facts(read_rows(path)[0]))
    return found


_FACTS: Mapping[str, Callable[[Any], str]] = {
    "initialisation": str,
    "seed": str,
    "num_demonstrations": str,
    "num_answered": str,
    "tokens": str,
    "grades": lambda grades: ", ".join(f"{num} graded {grade}" for grade, num in grades.items()),
    "origins": lambda origins: ", ".join(f"{num} by {who}" for who, num in origins.items()),
    "primitives": lambda rows: ", ".join(row["name"] for row in rows) or "none",
    "writers": lambda rows: ", ".join(
        f"{row['num']} {row['what']} by {row['model'] or row['origin']}" for row in rows
    ),
    "queries_sha256": str,
    "set_sha256": str,
}  # fmt: skip


def _facts(lineage: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, shown in _FACTS.items():
        if name in lineage:
            yield name.replace("_", " "), shown(lineage[name])
