"""From the figures of a study's cells to all that its report says: results.json.

    cells -> per arm (arm_figures, races, accounts) -> between arms (comparing, verdicts)
          -> what limits them (notes) -> Results

Knows nothing about run folders, and nothing about how anything is shown.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_rl.bench.accounts import (
    Cells,
    find_mismatches,
    find_missing,
    group_cells,
    make_costs,
    make_forecasts,
    make_matched,
)
from tailor_rl.bench.arm_figures import (
    make_curves,
    make_figures,
    make_profiles,
    make_training,
    with_areas,
)
from tailor_rl.bench.comparing import Promises, make_comparisons
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.findings import Compared, Results, Trended
from tailor_rl.bench.notes import make_notes
from tailor_rl.bench.races import make_thresholds
from tailor_rl.bench.study import Study, settings_of
from tailor_rl.bench.verdicts import make_claims
from tailor_rl.errors import ConfigError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

RESULTS = "results.json"
Key = tuple[str, str, int]  # setting, arm, seed


def make_results(
    study: Study,
    cells: Sequence[CellFigures],
    plan: Sequence[Mapping[str, Any]],
    *,
    name: str,
    planned_cells: Sequence[Key],
    failed: Mapping[Key, str],
    differs: Sequence[str],
    mixed: Sequence[str] = (),
    at_once: int = 1,
    num_places: int = 1,
    num_resamples: int = 10_000,
) -> Results:
    """All figures of a study, from whatever cells have finished.

    Args:
        plan: entries as in plan.json; those from before any cell had figures are the plan, and
            later ones are additions.
        planned_cells: the whole grid, of which those without figures are listed as missing.
        failed: why a cell has no figures, where that is known.
        differs: in what these runs differ from those of the publications, for the table of claims.
        mixed: in what they differ from each other, where that was allowed.
        at_once: how many of them ran side by side.
        num_places: how many folders they come from.

    Raises ConfigError where two cells are of one setting, arm and seed.
    """
    _check_distinct(cells)
    settings, arms = settings_of(study), list(study.arms)
    grouped = group_cells(with_areas(cells), settings, arms)
    ordered = [cell for runs in grouped.values() for cell in runs]
    promises = Promises(plan)
    compared, trended = make_comparisons(study, promises, grouped, settings)
    thresholds = {each: promises.status("thresholds", each) for each in study.thresholds}
    matched = tuple(make_matched(grouped))
    without = [arm for arm in arms if _has_no_sft(grouped, arm)]
    results = Results(
        study=name,
        question=study.question,
        answers=tuple(_answers([*compared, *trended])),
        settings=tuple(settings),
        arms=tuple(arms),
        seeds=tuple(study.seeds),
        num_cells=len(ordered),
        commits=tuple(sorted({cell.commit for cell in cells})),
        versions=_common_versions(cells),
        notes=(),
        missing=tuple(find_missing(planned_cells, cells, failed)),
        plan=tuple(plan),
        figures=tuple(make_figures(grouped, settings, arms, num_resamples=num_resamples)),
        profiles=tuple(make_profiles(grouped, settings, arms)),
        curves=tuple(make_curves(grouped)),
        thresholds=tuple(make_thresholds(grouped, thresholds)),
        training=tuple(make_training(grouped)),
        comparisons=tuple(compared),
        trends=tuple(trended),
        claims=tuple(make_claims(study, compared, trended, differs)),
        matched=matched,
        mismatches=tuple(find_mismatches(matched, without)),
        costs=tuple(make_costs(grouped)),
        forecasts=make_forecasts(ordered, [cell.figures.get(GAIN) for cell in ordered]),
    )
    notes = make_notes(
        study, promises, grouped, results, mixed=mixed, at_once=at_once, num_places=num_places
    )
    return dataclasses.replace(results, notes=tuple(notes))


def _answers(asked: Sequence[Compared | Trended]) -> Iterator[str]:
    return (each.answer for each in asked if each.planned == "planned")


GAIN = "gain test pass@1"  # what the gate foretells


def _check_distinct(cells: Sequence[CellFigures]) -> None:
    seen: dict[Key, str] = {}
    for cell in cells:
        other = seen.setdefault((cell.setting, cell.arm, cell.seed), cell.cell)
        if other != cell.cell:
            raise ConfigError(
                f"the runs {other} and {cell.cell} are both {cell.arm} in {cell.setting} with seed "
                f"{cell.seed}: leave one out"
            )


def _has_no_sft(grouped: Cells, arm: str) -> bool:
    runs = [cell for (_, each), cells in grouped.items() if each == arm for cell in cells]
    measured = any(name.startswith("sft ") for cell in runs for name in cell.figures)
    return bool(runs) and not measured and all(cell.set_facts is None for cell in runs)


def _common_versions(cells: Sequence[CellFigures]) -> dict[str, str]:
    """Package -> version, or all versions where runs differ."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        for package, version in cell.versions.items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(versions)) for package, versions in found.items()}


def as_json(results: Results) -> dict[str, Any]:
    """Plain lists, mappings and numbers; what is not finite is null."""
    plain = _plain(dataclasses.asdict(results))
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_results(folder: Path, results: Results) -> Path:
    """results.json, whole or not at all."""
    path = folder / RESULTS
    with explaining_disk_errors(folder, RESULTS):
        write_atomic(path, json.dumps(as_json(results), indent=1, ensure_ascii=False) + "\n")
    return path
