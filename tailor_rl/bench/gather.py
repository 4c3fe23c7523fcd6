"""From a study's finished runs to what its report is made from (gathered.py)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tailor_rl.bench.cells import Place, places_of
from tailor_rl.bench.elsewhere import read_elsewhere, versions_elsewhere
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.folder import (
    CELLS,
    GATHERED,
    is_finished,
    read_recorded,
    runs_of,
)
from tailor_rl.bench.gathered import Gathered, merge, pool_by_arm, write_gathered
from tailor_rl.bench.reading import read_cell, read_lineage
from tailor_rl.bench.report import Asked, Extras, Reply
from tailor_rl.bench.results import Key
from tailor_rl.bench.status import CellStatus, read_cell_status
from tailor_rl.bench.study import Study
from tailor_rl.bench.usage import Usage, make_usage
from tailor_rl.bench.usage_pooled import without_styles
from tailor_rl.bench.version import check_same_version
from tailor_rl.curation.lineage import Lineage
from tailor_rl.evaluation import Trace
from tailor_rl.runs.files import read_typed_lines
from tailor_rl.runs.folder import read_run_config
from tailor_rl.summary import read_object, read_rows

RUNS_A_PROCESS = 4  # that make starting one worth while
NUM_TRACES = 3  # problems of a split whose answers are shown side by side


def gather(study_path: Path, *, mixed_versions: bool) -> Gathered:
    """From the runs, with the cells that were run elsewhere, written to gathered.json; from that
    file alone where there is nothing else.

    RunFolderError where the folder is no study, a run is damaged, or cells are of different
    versions and `mixed_versions` does not allow that.
    """
    elsewhere = read_elsewhere(study_path)
    if not runs_of(study_path) and [part.path for part in elsewhere] == [study_path]:
        return elsewhere[0].gathered
    recorded = read_recorded(study_path)
    study = recorded.study
    cells = places_of(study)
    done = [cell for cell in cells if is_finished(_run(study_path, cell))]
    runs = [_run(study_path, cell) for cell in done]
    versions = check_same_version(runs, versions_elsewhere(elsewhere), mixed=mixed_versions)
    shown, traces_of = _traces(study_path, done)
    usages = _usages(study_path, done)
    own = Gathered(
        study=study,
        planned=tuple(map(_key, cells)),
        failed=tuple(_failures(study_path, cells)),
        figures=tuple(_figures(study_path, cell) for cell in done),
        differs=tuple(_differs(study, runs)),
        mixed=tuple(versions),
        at_once=recorded.at_once if runs else 1,
        extras=Extras(
            usage=pool_by_arm(usages),
            traces=shown,
            traces_of=traces_of,
            lineage=_lineages(study_path, done),
            environment=read_object(runs[0] / "environment.json") if runs else {},
            command=" ".join(recorded.command) if runs else "",
        ),
        usages=tuple(usages.items()),
    )
    gathered = merge(own, [part.gathered for part in elsewhere])
    write_gathered(study_path / GATHERED, gathered)
    return gathered


def _run(study: Path, cell: Place) -> Path:
    return study / CELLS / cell.name


def _key(cell: Place) -> Key:
    return cell.setting, cell.arm, cell.seed


def _figures(study: Path, cell: Place) -> CellFigures:
    return read_cell(_run(study, cell), setting=cell.setting, arm=cell.arm, seed=cell.seed)


def _failures(study: Path, cells: Iterable[Place]) -> Iterable[tuple[Key, str]]:
    """Why cells that were begun have no figures."""
    for cell in cells:
        run = _run(study, cell)
        if run.is_dir() and not is_finished(run):
            found = read_cell_status(cell.name, run)
            yield _key(cell), found.note if found.state == "failed" else _unfinished(found)


def _unfinished(cell: CellStatus) -> str:
    """Example: "killed at rl 12/40"."""
    return cell.state + (f" at {cell.note}" if cell.note else "")


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


def _usages(study: Path, done: Sequence[Place]) -> dict[Key, Usage]:
    """An arm without primitives of its own is seen with those of the arm that follows most, in the
    same setting and seed.
    """
    jobs = [(_run(study, cell), _reference(study, cell, done)) for cell in done]
    made = zip(done, _make_usages(jobs), strict=True)
    return {_key(cell): without_styles(usage) for cell, usage in made if usage is not None}


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
    for split in dict.fromkeys(row.split for rows in answers.values() for row in rows.values()):
        ids = [
            problem
            for problem in dict.fromkeys(id for rows in answers.values() for id in rows)
            if all(problem in rows for rows in answers.values())
            and next(iter(answers.values()))[problem].split == split
        ]
        shown += [_asked(problem, answers) for problem in ids[:NUM_TRACES]]
    setting = "" if best[0] == "all" else f"{best[0]}, "
    return shown, f"{setting}seed {best[1]}"


def _answers(run: Path) -> dict[str, Trace]:
    rows = read_typed_lines(
        run / "samples" / "eval-rl.jsonl",
        Trace,
        what="no answer of a policy",
        fix="remove the line, or make the run anew",
    )
    return {row.problem_id: row for row in rows}


def _asked(problem: str, answers: Mapping[str, Mapping[str, Trace]]) -> Asked:
    first = next(iter(answers.values()))[problem]
    replies = (
        Reply(arm, rows[problem].text, rows[problem].correct >= 1.0)
        for arm, rows in answers.items()
    )
    return Asked(f"{first.split}: {first.prompt}", first.answer, tuple(replies))


def _lineages(study: Path, done: Sequence[Place]) -> dict[str, list[tuple[str, str]]]:
    """Arm -> what its first run's set is."""
    found: dict[str, list[tuple[str, str]]] = {}
    for cell in done:
        name = cell.arm if cell.setting == "all" else f"{cell.setting}, {cell.arm}"
        if name not in found and (lineage := read_lineage(_run(study, cell))) is not None:
            found[name] = list(_facts(lineage))
    return found


_FACTS: Mapping[str, Callable[[Any], str]] = {
    "initialisation": str,
    "seed": str,
    "num_demonstrations": str,
    "num_answered": str,
    "tokens": str,
    "grades": lambda grades: ", ".join(f"{num} graded {grade}" for grade, num in grades.items()),
    "origins": lambda origins: ", ".join(f"{num} by {who}" for who, num in origins.items()),
    "primitives": lambda rows: ", ".join(row.name for row in rows) or "none",
    "writers": lambda rows: ", ".join(
        f"{row.num} {row.what} by {row.model or row.origin}" for row in rows
    ),
    "queries_sha256": str,
    "set_sha256": str,
}  # fmt: skip


def _facts(lineage: Lineage) -> Iterable[tuple[str, str]]:
    for name, shown in _FACTS.items():
        yield name.replace("_", " "), shown(getattr(lineage, name))
