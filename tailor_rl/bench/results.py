"""From the figures of a study's cells to all that its report says: results.json.

    cells -> per arm (arm_figures, races, accounts) -> between arms (comparing, verdicts) -> Results

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
    common_settings,
    last_steps,
    make_curves,
    make_figures,
    make_profiles,
    make_training,
    with_areas,
)
from tailor_rl.bench.comparing import Promises, make_comparisons
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.findings import Compared, Missing, Results, ThresholdTime, Trended
from tailor_rl.bench.races import make_thresholds
from tailor_rl.bench.study import Study, settings_of
from tailor_rl.bench.verdicts import make_claims
from tailor_rl.bench.wording import listed, plural, seeds_named
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
    num_resamples: int = 10_000,
) -> Results:
    """All figures of a study, from whatever cells have finished.

    Args:
        plan: entries as in plan.json; the first, and those from before any cell had finished, are
            the plan, and later ones are additions.
        planned_cells: the whole grid, of which those without figures are listed as missing.
        failed: why a cell has no figures, where that is known.
        differs: in what these runs differ from those of the publications, for the table of claims.
        mixed: in what they differ from each other, where that was allowed.
        at_once: how many of them ran side by side.

    Raises ConfigError where two cells are of one setting, arm and seed.
    """
    _check_distinct(cells)
    settings = settings_of(study)
    grouped = group_cells(with_areas(cells), settings, list(study.arms))
    ordered = [cell for runs in grouped.values() for cell in runs]
    promises = Promises(plan)
    compared, trended = make_comparisons(study, promises, grouped, settings)
    asked: list[Compared | Trended] = [*compared, *trended]
    thresholds = {each: promises.status("thresholds", each) for each in study.thresholds}
    times = tuple(make_thresholds(grouped, thresholds))
    matched = tuple(make_matched(grouped))
    missing = find_missing(planned_cells, cells, failed)
    without = [arm for arm in study.arms if _has_no_sft(grouped, arm)]
    return Results(
        study=name,
        question=study.question,
        answers=tuple(each.answer for each in asked if each.planned == "planned"),
        settings=tuple(settings),
        arms=tuple(study.arms),
        seeds=tuple(study.seeds),
        num_cells=len(ordered),
        commits=tuple(sorted({cell.commit for cell in cells})),
        versions=_common_versions(cells),
        notes=(
            *(f"Versions are mixed, {each}" for each in mixed),
            *_late_recipes(promises),
            *_notes(study, grouped, compared, times, missing),
            *_shared_machine(at_once),
        ),
        missing=tuple(missing),
        plan=tuple(plan),
        figures=tuple(
            make_figures(grouped, settings, list(study.arms), num_resamples=num_resamples)
        ),
        profiles=tuple(make_profiles(grouped, settings, list(study.arms))),
        curves=tuple(make_curves(grouped)),
        thresholds=times,
        training=tuple(make_training(grouped)),
        comparisons=tuple(compared),
        trends=tuple(trended),
        claims=tuple(make_claims(study, compared, trended, differs)),
        matched=matched,
        mismatches=tuple(find_mismatches(matched, without)),
        costs=tuple(make_costs(grouped)),
        forecasts=make_forecasts(ordered, [cell.figures.get(GAIN) for cell in ordered]),
    )


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


def _late_recipes(promises: Promises) -> Iterator[str]:
    for name, finished in promises.late_recipes().items():
        yield f"The recipe of {name} was changed when {plural(finished, 'cell')} had finished"


def _notes(
    study: Study,
    grouped: Cells,
    compared: Sequence[Compared],
    times: Sequence[ThresholdTime],
    missing: Sequence[Missing],
) -> Iterator[str]:
    """What cannot be said, and why; each a sentence without full stop."""
    if not grouped:
        yield "No cell has finished, so there is nothing to say yet"
        return
    if missing:
        few = "1 cell of the grid has" if len(missing) == 1 else f"{len(missing)} cells have"
        yield f"{few} no figures: what is said rests on the others, and may change"
    cells = [cell for runs in grouped.values() for cell in runs]
    if len({cell.seed for cell in cells}) == 1:
        yield f"There is one seed ({cells[0].seed}): no figure has an error bar over seeds"
    if not (study.comparisons or study.trends):
        pairs = ": pairs of arms are shown to look at, not to conclude from" if compared else ""
        yield f"No comparison was planned{pairs}"
    if not any("ood" in name for cell in cells for name in cell.figures):
        yield "No problems out of distribution were measured"
    if not study.thresholds:
        yield "No threshold was named, so nothing is said of what it takes to reach one"
    yield from _never_reached(grouped, times)
    yield from _unequal_curves(cells)
    bare = [cell.cell for cell in cells if not cell.curve]
    if bare:
        yield f"{plural(len(bare), 'run')} without validation in RL: {listed(bare)}"
    arms = {arm for _, arm in grouped}
    settings = {setting for setting, _ in grouped}
    common = common_settings(grouped, list(settings))
    if len(arms) > 1 and len(common) < len(settings):
        odd = listed(sorted(settings - set(common)))
        yield f"Not every arm has a run in {odd}: means over settings leave it out"
    later = sorted({seed for each in compared for seed in each.added_seeds})
    if later:
        yield f"Runs of {seeds_named(later)} were added after others had been seen"
    if len({cell.commit for cell in cells}) > 1:
        yield "The runs are of several commits"


def _unequal_curves(cells: Sequence[CellFigures]) -> Iterator[str]:
    for setting, steps in last_steps(cells).items():
        if len(steps) > 1:
            where = f" in {setting}" if setting else ""
            until = listed([str(step) for step in sorted(steps)])
            yield (
                f"Runs{where} were validated up to different steps ({until}): areas under the "
                f"curve are of the first {min(steps)}"
            )


def _shared_machine(at_once: int) -> Iterator[str]:
    if at_once > 1:
        yield f"Up to {at_once} runs went on side by side: on shared cores, seconds say little"


def _never_reached(grouped: Cells, times: Sequence[ThresholdTime]) -> Iterator[str]:
    several = len({setting for setting, _ in grouped}) > 1
    for threshold in dict.fromkeys(t.threshold for t in times):
        arms = [
            f"{t.arm} ({t.setting})" if several else t.arm
            for t in times
            if (t.threshold, t.unit, t.total, t.num_reached) == (threshold, "step", False, 0)
        ]
        if arms:
            yield (
                f"No run of {listed(arms)} reached {100 * threshold:g} %: restricted means are the "
                "horizon there, which is a lower bound"
            )


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
