"""The tables of a study's report, as text: the page and the Markdown file show the same ones.

Knows nothing about HTML or Markdown: both escape for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tailor_rl.bench.accounts import fact_text
from tailor_rl.bench.arm_figures import STAGES
from tailor_rl.bench.estimates import Estimate, bounded
from tailor_rl.bench.figures import SPENT
from tailor_rl.bench.findings import (
    Claimed,
    Compared,
    Cost,
    FinalFigure,
    Results,
    ThresholdTime,
    Trended,
)
from tailor_rl.bench.wording import (
    CURVE_FIGURES,
    FACTS,
    KINDS,
    NONE,
    PARTS,
    UNITS,
    bracket,
    compared_label,
    figure_label,
    ood_label,
    p_text,
    plural,
    points_text,
    seeds_named,
    setting_label,
    settings_named,
    share_text,
)
from tailor_rl.bench.wording import (
    STAGES as STAGE_LABELS,
)
from tailor_rl.summary import amount


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in a table: a figure, and its interval or remark."""

    text: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.note}" if self.note else self.text


@dataclass(frozen=True, slots=True)
class Table:
    """The first entry of a row names it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


EMPTY = Entry(NONE)
OVER_PROBLEMS = "interval over seeds and problems"


def without(table: Table, column: str) -> Table:
    i = table.head.index(column)
    rows = tuple((*row[:i], *row[i + 1 :]) for row in table.rows)
    return Table(table.title, (*table.head[:i], *table.head[i + 1 :]), rows)


def figure_tables(results: Results, *, iqm: bool = False) -> Iterator[Table]:
    """One for each setting, split and metric: arms by stages; then figures of the curve."""
    by_key = {(f.setting, f.arm, f.figure): f for f in results.figures}
    for setting in dict.fromkeys(f.setting for f in results.figures):
        where = setting_label(setting, len(results.settings))
        names = dict.fromkeys(f.figure for f in results.figures if f.setting == setting)
        arms = [arm for arm in results.arms if any((setting, arm, n) in by_key for n in names)]
        measured = [name.split(" ", 1) for name in names if name not in CURVE_FIGURES]
        for rest in dict.fromkeys(rest for _, rest in measured):
            columns = [f"{stage} {rest}" for stage in STAGES if f"{stage} {rest}" in names]
            head = tuple(STAGE_LABELS[name.split(" ")[0]] for name in columns)
            split, metric = rest.split(" ")
            title = ", ".join(filter(None, (where, ood_label(split), metric)))
            rows = [[by_key.get((setting, arm, name)) for name in columns] for arm in arms]
            yield _figure_table(title, head, arms, rows, iqm=iqm)
        if curve := [name for name in CURVE_FIGURES if name in names]:
            rows = [[by_key.get((setting, arm, name)) for name in curve] for arm in arms]
            head = tuple(CURVE_FIGURES[name] for name in curve)
            yield _figure_table(where or "validation in RL", head, arms, rows, iqm=iqm)


def _figure_table(
    title: str,
    head: tuple[str, ...],
    arms: Sequence[str],
    rows: Sequence[Sequence[FinalFigure | None]],
    *,
    iqm: bool,
) -> Table:
    def entry(figure: FinalFigure | None) -> Entry:
        if figure is None:
            return EMPTY
        return figure_entry(figure.figure, figure.iqm if iqm else figure.mean)

    body = (
        (Entry(arm), *(entry(figure) for figure in row))
        for arm, row in zip(arms, rows, strict=True)
    )
    return Table(title, ("arm", *head), tuple(body))


def figure_entry(figure: str, estimate: Estimate | None) -> Entry:
    """A gain is a difference of shares, and said in points."""
    return points_entry(estimate) if figure.startswith("gain ") else share_entry(estimate)


def share_entry(estimate: Estimate | None) -> Entry:
    if estimate is None:
        return EMPTY
    return Entry(share_text(estimate.value), bracket(bounded(estimate, high=1.0)))


def points_entry(estimate: Estimate | None) -> Entry:
    if estimate is None:
        return EMPTY
    return Entry(points_text(estimate.value), bracket(estimate, sign=True))


def _restricted_entry(time: ThresholdTime) -> Entry:
    estimate = time.restricted_mean
    if not time.num_reached:
        return Entry(amount(estimate.value), "none by then")
    if estimate.low is None or estimate.high is None:
        return Entry(amount(estimate.value), bracket(estimate))
    return Entry(amount(estimate.value), f"[{amount(estimate.low)}, {amount(estimate.high)}]")


def comparison_table(results: Results, rows: Sequence[Compared], title: str) -> Table:
    """With every figure that the forest plot shows."""
    head = ("comparison", "figure", "difference", OVER_PROBLEMS, "p", "p by Holm",
            "sign of the mean", "sign-flip p", "probability of improvement", "detectable",
            "status")  # fmt: skip
    table = Table(title, head, tuple(_comparison(each, results) for each in rows))
    known = any(each.over_problems for each in rows)
    return table if known else without(table, OVER_PROBLEMS)


def _comparison(each: Compared, results: Results) -> tuple[Entry, ...]:
    better = each.improvement
    where = compared_label(each, len(results.settings))
    return (
        Entry(f"{each.arm} \N{MINUS SIGN} {each.against}", where),
        Entry(figure_label(each.figure)),
        points_entry(each.difference),
        Entry(NONE if each.over_problems is None else bracket(each.over_problems, sign=True)),
        Entry(p_text(each.p)),
        Entry(p_text(each.holm_p)),
        Entry(seeds_alike(each)),
        Entry(p_text(each.sign_flip_p), _at_least(each.smallest_p)),
        EMPTY
        if better is None
        else Entry(f"{better.value:.2f}", bracket(better, scale=1, digits=2)),
        EMPTY if each.detectable is None else Entry(f"{100 * each.detectable:.1f} points"),
        Entry(each.planned, _added(each)),
    )


def trend_table(results: Results) -> Table:
    head = ("trend", "figure", "means", "rise a place", "p", "p by Holm", "status")
    rows = []
    for each in results.trends:
        where = setting_label(each.setting, len(results.settings))
        rows.append(
            (
                Entry(" < ".join(each.arms), where),
                Entry(figure_label(each.figure)),
                Entry(", ".join(figure_entry(each.figure, mean).text for mean in each.means)),
                points_entry(each.slope),
                Entry(p_text(each.p)),
                Entry(p_text(each.holm_p)),
                Entry(each.planned, _added(each)),
            )
        )
    return Table("", head, tuple(rows))


def seeds_alike(each: Compared) -> str:
    """Example: "5 of 5 seeds"; over several settings it is a seed's mean that has the sign."""
    if not each.num_pairs:
        return NONE
    return f"{each.num_same_sign} of {plural(each.num_pairs, 'seed')}"


def _at_least(p: float | None) -> str:
    return "" if p is None else f"(least possible {p_text(p)})"


def _added(each: Compared | Trended) -> str:
    seeds = [seeds_named(each.added_seeds)] if each.added_seeds else []
    settings = [settings_named(each.added_settings)] if each.added_settings else []
    return f"{', '.join([*seeds, *settings])} added later" if seeds or settings else ""


def threshold_tables(results: Results) -> Iterator[Table]:
    """One for each setting, threshold and view; every unit is a column."""
    keys = dict.fromkeys((t.setting, t.threshold, t.total) for t in results.thresholds)
    for setting, threshold, total in keys:
        found = [t for t in results.thresholds if (t.setting, t.threshold, t.total)
                 == (setting, threshold, total)]  # fmt: skip
        units = [unit for unit in (*SPENT, "all_tokens") if any(t.unit == unit for t in found)]
        where = setting_label(setting, len(results.settings))
        parts = (where, f"to {share_text(threshold)} on validation", view_label(total))
        arms = dict.fromkeys(t.arm for t in found)
        remark = "" if found[0].planned == "planned" else f" ({found[0].planned})"
        yield Table(
            ", ".join(filter(None, parts)) + remark,
            ("arm", "reached", *(UNITS[unit] for unit in units)),
            (*(_threshold_row(found, arm, units) for arm in arms), _horizon_row(found, units)),
        )


def _threshold_row(
    found: Sequence[ThresholdTime], arm: str, units: Sequence[str]
) -> tuple[Entry, ...]:
    """Horizons are of a unit each: where runs that got there by then differ, each unit says it."""
    mine = [next(t for t in found if (t.arm, t.unit) == (arm, unit)) for unit in units]
    counts = [f"{t.num_reached} of {t.num_runs}" for t in mine]
    entries = [_restricted_entry(t) for t in mine]
    if len(set(counts)) == 1:
        return (Entry(arm), Entry(counts[0]), *entries)
    each = (
        Entry(entry.text, ", ".join(filter(None, (entry.note, count))))
        for entry, count in zip(entries, counts, strict=True)
    )
    return (Entry(arm), Entry("differs"), *each)


def _horizon_row(found: Sequence[ThresholdTime], units: Sequence[str]) -> tuple[Entry, ...]:
    horizons = {t.unit: t.horizon for t in found}
    return (Entry("horizon"), Entry(""), *(Entry(amount(horizons[unit])) for unit in units))


def view_label(total: bool) -> str:
    return "with the cost of the SFT set" if total else "RL alone"


def cost_tables(results: Results) -> Iterator[Table]:
    """One a setting: what making the set, SFT and RL of an arm cost, and their sum."""
    for setting in dict.fromkeys(cost.setting for cost in results.costs):
        rows = [cost for cost in results.costs if cost.setting == setting and cost.mean]
        kinds = [kind for kind in KINDS if any(cost.kind == kind for cost in rows)]
        body = []
        for arm in dict.fromkeys(cost.arm for cost in rows):
            own = [cost for cost in rows if cost.arm == arm]
            for part in (*PARTS, None):
                found = [cost for cost in own if part in (cost.part, None)]
                if found:
                    name = "all" if part is None else PARTS[part]
                    figures = (Entry(_cost(found, kind)) for kind in kinds)
                    body.append((Entry(arm), Entry(name), *figures))
        head = ("arm", "part", *(KINDS[kind] for kind in kinds))
        yield Table(setting_label(setting, len(results.settings)), head, tuple(body))


def _cost(rows: Sequence[Cost], kind: str) -> str:
    found = [cost.mean for cost in rows if cost.kind == kind]
    return amount(sum(found)) if found else NONE


def matched_tables(results: Results) -> Iterator[Table]:
    """One a setting: mean of each fact, with the least and most of any run where these differ."""
    for setting in dict.fromkeys(fact.setting for fact in results.matched):
        rows = {(f.arm, f.fact): f for f in results.matched if f.setting == setting}
        facts = [fact for fact in FACTS if any(fact == known for _, known in rows)]
        body = []
        for arm in dict.fromkeys(arm for arm, _ in rows):
            entries = [Entry(arm)]
            for name in facts:
                fact = rows[arm, name]
                ends = [fact_text(name, value) for value in (fact.least, fact.most)]
                note = "" if ends[0] == ends[1] else f"[{ends[0]} to {ends[1]}]"
                entries.append(Entry(fact_text(name, fact.mean), note))
            body.append(tuple(entries))
        where = setting_label(setting, len(results.settings))
        yield Table(where, ("arm", *(FACTS[fact] for fact in facts)), tuple(body))


def claims_table(results: Results) -> Table:
    head = ("claim", "figure", "published", "found here", "same sign", "same size", "status",
            "what differs")  # fmt: skip
    rows = []
    for each in results.claims:
        span = each.published
        published = NONE if span is None else f"{100 * span[0]:g} to {100 * span[1]:g} points"
        rows.append(
            (
                Entry(each.claim),
                Entry(figure_label(each.figure)),
                Entry(published),
                _found_here(each),
                Entry(each.same_sign),
                Entry(each.same_size),
                Entry(each.planned),
                Entry("; ".join(each.differs) or NONE),
            )
        )
    return Table("", head, tuple(rows))


def _found_here(each: Claimed) -> Entry:
    """Of a trend the rise a place, and the means along its arms: a claim may be on one of them."""
    found = points_entry(each.ours)
    if not each.arms:
        return found
    means = zip(each.arms, each.means, strict=True)
    along = ", ".join(f"{arm} {share_entry(mean).text}" for arm, mean in means)
    if each.ours is None:
        return Entry(found.text, f"({along})")
    return Entry(f"{found.text} a place", f"{found.note}; {along}")
