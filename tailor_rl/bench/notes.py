"""What a reader of a study has to know before believing it; each a sentence without full stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tailor_rl.bench.accounts import Cells
from tailor_rl.bench.arm_figures import common_settings, last_steps, spent_before
from tailor_rl.bench.comparing import Promises
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.findings import BandCurve, Compared, Missing, Results, ThresholdTime
from tailor_rl.bench.study import ALL, Study
from tailor_rl.bench.wording import UNITS, listed, plural, seeds_named, settings_named


def make_notes(
    study: Study,
    promises: Promises,
    grouped: Cells,
    results: Results,
    *,
    mixed: Sequence[str],
    at_once: int,
    num_places: int,
) -> Iterator[str]:
    """What cannot be said, and why.

    Args:
        results: of the same cells, whose own notes are not read.
        mixed: in what the versions of the runs differ, where that was allowed.
        at_once: how many runs went on side by side.
        num_places: how many folders the runs come from.
    """
    for each in mixed:
        yield f"Versions are mixed, {each}"
    yield from _late_recipes(promises)
    if not grouped:
        yield "No cell has finished, so there is nothing to say yet"
    else:
        cells = [cell for runs in grouped.values() for cell in runs]
        yield from _what_is_missing(cells, results.missing)
        yield from _what_was_not_asked(study, results.comparisons, cells)
        yield from _never_reached(grouped, results.thresholds)
        yield from _dear_sets(grouped, results.thresholds)
        yield from _unequal_curves(cells)
        yield from _no_common_x(grouped, results.curves)
        yield from _unequal_runs(grouped, results.comparisons, cells)
    if at_once > 1:
        yield f"Up to {at_once} runs went on side by side: on shared cores, seconds say little"
    if num_places > 1:
        yield (
            f"Cells were run in {num_places} places: on different machines, seconds do not compare"
        )
        silent = sum(not cell.inputs for runs in grouped.values() for cell in runs)
        if silent:
            yield (
                f"{plural(silent, 'cell')} of an older version: whether student and data were the "
                "same everywhere was not recorded"
            )


def _late_recipes(promises: Promises) -> Iterator[str]:
    for name, known in promises.late_recipes().items():
        yield f"The recipe of {name} was changed with {known}"


def _what_is_missing(cells: Sequence[CellFigures], missing: Sequence[Missing]) -> Iterator[str]:
    if missing:
        few = "1 cell of the grid has" if len(missing) == 1 else f"{len(missing)} cells have"
        yield f"{few} no figures: what is said rests on the others, and may change"
    if len({cell.seed for cell in cells}) == 1:
        yield f"There is one seed ({cells[0].seed}): no figure has an error bar over seeds"


def _what_was_not_asked(
    study: Study, compared: Sequence[Compared], cells: Sequence[CellFigures]
) -> Iterator[str]:
    if not (study.comparisons or study.trends):
        pairs = ": pairs of arms are shown to look at, not to conclude from" if compared else ""
        yield f"No comparison was planned{pairs}"
    if not any("ood" in name for cell in cells for name in cell.figures):
        yield "No problems out of distribution were measured"
    if not study.thresholds:
        yield "No threshold was named, so nothing is said of what it takes to reach one"


def _never_reached(grouped: Cells, times: Sequence[ThresholdTime]) -> Iterator[str]:
    several = len({setting for setting, _ in grouped}) > 1
    in_steps = [t for t in times if (t.unit, t.total) == ("step", False)]
    for threshold, horizon in dict.fromkeys((t.threshold, t.horizon) for t in in_steps):
        arms = [
            f"{t.arm} ({t.setting})" if several else t.arm
            for t in in_steps
            if (t.threshold, t.horizon, t.num_reached) == (threshold, horizon, 0)
        ]
        if arms:
            yield (
                f"No run of {listed(arms)} reached {100 * threshold:g} % by step {horizon:g}, the "
                "horizon: restricted means are that there, which is a lower bound"
            )


def _dear_sets(grouped: Cells, times: Sequence[ThresholdTime]) -> Iterator[str]:
    """Arms whose every set had cost more than another run in all: no race that counts the set is
    theirs to win.
    """
    several = len({setting for setting, _ in grouped}) > 1
    too_dear: dict[str, list[str]] = {}
    for time in {(t.setting, t.arm, t.unit): t for t in times if t.total}.values():
        cells = [cell for cell in grouped[time.setting, time.arm] if cell.curve]
        if min(spent_before(cell, time.unit) for cell in cells) > time.horizon:
            arm = f"{time.arm} ({time.setting})" if several else time.arm
            too_dear.setdefault(arm, []).append(UNITS[time.unit])
    for arm, units in too_dear.items():
        yield (
            f"Making the set of {arm} took more {listed(units)} than another run did in all: "
            "counted with its cost, it is at no threshold by the horizon, wherever its RL began"
        )


def _unequal_curves(cells: Sequence[CellFigures]) -> Iterator[str]:
    for setting, steps in last_steps(cells).items():
        if len(steps) > 1:
            where = "" if setting == ALL else f" in {setting}"
            until = listed([str(step) for step in sorted(steps)])
            shortest = [c for c in cells if c.setting == setting and _last_step(c) == min(steps)]
            arms = listed(list(dict.fromkeys(cell.arm for cell in shortest)))
            yield (
                f"Runs{where} were validated up to different steps ({until}): areas under the "
                f"curve and races in steps go by the first {min(steps)}, which {arms} stopped at; "
                "between arms that are compared areas are of as many as their own runs have"
            )


def _last_step(cell: CellFigures) -> int:
    return cell.curve[-1].step if cell.curve else 0


def _no_common_x(grouped: Cells, curves: Sequence[BandCurve]) -> Iterator[str]:
    """Arms that are in one chart of a setting and not in another."""
    drawn = {(c.setting, c.arm, c.unit, c.total) for c in curves}
    for setting, unit, total in dict.fromkeys((c.setting, c.unit, c.total) for c in curves):
        absent = [
            arm
            for where, arm in grouped
            if where == setting
            and any(key[:2] == (setting, arm) for key in drawn)
            and (setting, arm, unit, total) not in drawn
        ]
        if absent:
            which = "" if setting == ALL else f" in {setting}"
            yield (
                f"No curve of {listed(absent)}{which} by {UNITS[unit]}"
                f"{' with the cost of the SFT set' if total else ''}: one of its runs began RL "
                "when another had ended"
            )


def _unequal_runs(
    grouped: Cells, compared: Sequence[Compared], cells: Sequence[CellFigures]
) -> Iterator[str]:
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
    added = sorted({setting for each in compared for setting in each.added_settings})
    if added:
        yield f"Runs of {settings_named(added)} were added after others had been seen"
    if len({cell.commit for cell in cells}) > 1:
        yield "The runs are of several commits"
