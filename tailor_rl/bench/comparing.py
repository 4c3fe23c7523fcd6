"""A study's comparisons and trends: those that were planned, with Holm's correction over all of
them, those added later, and every other pair.

Knows nothing about how anything is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from tailor_rl.bench.accounts import Cells
from tailor_rl.bench.arm_figures import Scores, figure_names, mean_of, scores_of, scores_of_arms
from tailor_rl.bench.by_problem import over_problems
from tailor_rl.bench.cells import Place, places_of
from tailor_rl.bench.findings import Compared, Planned, Trended
from tailor_rl.bench.paired import compare, holm, page_trend
from tailor_rl.bench.plan import foreseen, foreseen_cells, is_late, known_then
from tailor_rl.bench.study import ALL, Comparison, Study, Trend, published_range
from tailor_rl.bench.verdicts import comparison_answer, trend_answer
from tailor_rl.seeds import derive_seed

# What every pair of arms is looked at by, planned or not.
LOOKED_AT = ("rl test pass@1", "rl ood pass@1", "auc")


@dataclass(frozen=True, slots=True)
class Promises:
    """What was written down before any run had figures. Entries are as in plan.json: each adds to
    those before it, and one that was written when a cell had some (in this study or, for runs that
    are reused, in another) was not planned.
    """

    entries: Sequence[Mapping[str, Any]]

    def of(self, key: str) -> list[Any]:
        return foreseen(self.entries)[key]

    def status(self, key: str, value: Any) -> Planned:
        if not self.entries:
            return "not planned"
        return "planned" if value in self.of(key) else "added"

    def late_recipes(self) -> dict[str, str]:
        """Recipe -> how many cells were known when it was changed: "3 cells begun, 1 finished"."""
        before: dict[str, str] = {}
        late: dict[str, str] = {}
        for i, entry in enumerate(self.entries):
            recipes = entry.get("recipes", {})
            for name, key in recipes.items():
                if before.get(name, key) != key and is_late(entry, first=i == 0):
                    late[name] = known_then(entry)
            before |= recipes
        return late

    def added_settings(self, places: Sequence[Place]) -> tuple[str, ...]:
        """Settings of these cells that came later than others, as levels of an axis or for an arm;
        () where the plan does not tell.
        """
        cells = foreseen_cells(self.entries)
        early = {place.arm for place in places if place.family in cells}
        late = [each for each in places if each.arm in early and each.family not in cells]
        for axis in ("task", "student", "algorithm"):
            if known := self.of(f"{axis}s"):
                late += [each for each in places if each.levels[axis] not in known]
        return tuple(dict.fromkeys(place.setting for place in late))

    def added_seeds(self, seeds: set[int]) -> tuple[int, ...]:
        """Those that are in no plan; () where there is no plan to be in."""
        known = self.of("seeds") if self.entries else seeds
        return tuple(sorted(seed for seed in seeds if seed not in known))


@dataclass(frozen=True, slots=True)
class _Later:
    """What of a comparison's runs was added when others were known."""

    promises: Promises
    places: Sequence[Place]

    def seeds(self, common: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
        return self.promises.added_seeds({seed for seeds in common.values() for seed in seeds})

    def settings(self, common: Collection[str], arms: Collection[str]) -> tuple[str, ...]:
        places = [each for each in self.places if each.arm in arms and each.setting in common]
        return self.promises.added_settings(places)


def make_comparisons(
    study: Study, promises: Promises, grouped: Cells, settings: Sequence[str]
) -> tuple[list[Compared], list[Trended]]:
    """Planned ones first, with Holm's p over planned comparisons and trends together."""
    asked = [
        (each, promises.status("comparisons", each.model_dump(mode="json")))
        for each in study.comparisons
    ]
    pairs = [*asked, *((each, "not planned") for each in _other_pairs(study, grouped))]
    later = _Later(promises, places_of(study))
    compared = [_compared(each, status, later, grouped, settings) for each, status in pairs]
    trends = [
        (each, promises.status("trends", each.model_dump(mode="json"))) for each in study.trends
    ]
    trended = [_trended(each, status, later, grouped, settings) for each, status in trends]
    tested: list[Compared | Trended] = [*compared, *trended]
    tests = sum(each.planned == "planned" for each in tested)
    after = iter(holm([each.p for each in tested if each.planned == "planned"]))
    corrected = [next(after) if each.planned == "planned" else None for each in tested]
    compared = [
        replace(each, holm_p=p, answer=comparison_answer(replace(each, holm_p=p), tests))
        for each, p in zip(compared, corrected[: len(compared)], strict=True)
    ]
    trended = [
        replace(each, holm_p=p, answer=trend_answer(replace(each, holm_p=p), tests))
        for each, p in zip(trended, corrected[len(compared) :], strict=True)
    ]
    order = ("planned", "added", "not planned")
    compared.sort(key=lambda each: order.index(each.planned))  # stable
    return compared, trended


def _other_pairs(study: Study, grouped: Cells) -> Iterator[Comparison]:
    """Of arms that have runs, those that nobody asked to compare over all settings."""
    asked = {
        (frozenset((each.arm, each.against)), each.figure)
        for each in study.comparisons
        if each.setting == ALL
    }
    arms = [arm for arm in study.arms if any(arm == known for _, known in grouped)]
    wanted = [(pair, figure) for figure in LOOKED_AT for pair in combinations(arms, 2)]
    # A mean over axes may hide that they do not agree.
    wanted += [
        ((each.arm, each.against), axis)
        for each in study.comparisons
        if each.figure.split(" ")[1:2] == ["ood"] and each.setting == ALL
        for axis in _axes(each.figure, grouped)
    ]
    for (arm, against), figure in dict.fromkeys(wanted):
        both = [scores_of(grouped, each, figure, _settings(grouped)) for each in (arm, against)]
        if (frozenset((arm, against)), figure) not in asked and all(both):
            yield Comparison(arm=arm, against=against, figure=figure)


def _axes(figure: str, grouped: Cells) -> list[str]:
    """The same figure of each kind out of distribution: "rl ood/people-4 pass@1"."""
    stage, _, metric = figure.split(" ")
    names = figure_names([cell for cells in grouped.values() for cell in cells])
    parts = ((name, name.split(" ")) for name in names if name.count(" ") == 2)
    return [n for n, (st, split, m) in parts if (st, m) == (stage, metric) and split[:4] == "ood/"]


def _settings(grouped: Cells) -> list[str]:
    return list(dict.fromkeys(setting for setting, _ in grouped))


def _within(setting: str, settings: Sequence[str]) -> Sequence[str]:
    return settings if setting == ALL else [setting]


def _compared(
    asked: Comparison,
    planned: Planned,
    later: _Later,
    grouped: Cells,
    settings: Sequence[str],
) -> Compared:
    within = _within(asked.setting, settings)
    arm, against = scores_of_arms(grouped, (asked.arm, asked.against), asked.figure, within)
    seeds = _common_seeds(arm, against)
    nothing = Compared(
        arm=asked.arm,
        against=asked.against,
        figure=asked.figure,
        setting=asked.setting,
        planned=planned,
        seeds=seeds,
        added_seeds=later.seeds(seeds),
        added_settings=later.settings(seeds, (asked.arm, asked.against)),
        published=published_range(asked),
    )
    if not seeds:
        return nothing
    label = (asked.arm, asked.against, asked.figure, asked.setting)
    found = compare(arm, against, seed=derive_seed(0, "compared", *label))
    return replace(
        nothing,
        left_out=found.left_out,
        difference=found.difference.estimate,
        over_problems=over_problems(asked, grouped, seeds),
        p=found.difference.p,
        num_pairs=found.num_pairs,
        num_same_sign=found.num_same_sign,
        sign_flip_p=found.sign_flip_p,
        smallest_p=found.smallest_p,
        improvement=found.improvement,
        detectable=found.difference.detectable,
    )


def _common_seeds(*arms: Scores) -> dict[str, tuple[int, ...]]:
    """Setting -> the seeds that every arm has; settings without one are left out."""
    found = {}
    for setting in dict.fromkeys(setting for arm in arms for setting in arm):
        common = set.intersection(*(set(arm.get(setting, ())) for arm in arms))
        if common:
            found[setting] = tuple(sorted(common))
    return found


def _trended(
    asked: Trend, planned: Planned, later: _Later, grouped: Cells, settings: Sequence[str]
) -> Trended:
    within = _within(asked.setting, settings)
    arms = scores_of_arms(grouped, asked.arms, asked.figure, within)
    seeds = _common_seeds(*arms)
    # Means of one and the same seeds: others would bend the line.
    common = [{s: {n: of[s][n] for n in seeds[s]} for s in seeds} for of in arms]
    nothing = Trended(
        arms=asked.arms,
        figure=asked.figure,
        setting=asked.setting,
        planned=planned,
        claim=asked.claim,
        added_seeds=later.seeds(seeds),
        added_settings=later.settings(seeds, asked.arms),
        means=tuple(mean_of(each) for each in (common if seeds else arms)),
    )
    if not seeds:
        return nothing
    found = page_trend(arms)
    return replace(nothing, num_rows=found.num_rows, slope=found.slope.estimate, p=found.p)
