"""The tables of a study's report, as text: the page and the Markdown file show the same ones.

Knows nothing about HTML or Markdown: both escape for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tailor_rl.bench.accounts import fact_text
from tailor_rl.bench.arm_figures import STAGES
from tailor_rl.bench.findings import (
    Claimed,
    Compared,
    FinalFigure,
    Results,
    Trended,
)
from tailor_rl.bench.report.entries import (
    EMPTY,
    Entry,
    Table,
    figure_entry,
    points_entry,
    share_entry,
    without,
)
from tailor_rl.bench.wording import (
    CURVE_FIGURES,
    FACTS,
    NONE,
    bracket,
    compared_label,
    figure_label,
    ood_label,
    p_text,
    plural,
    seeds_named,
    setting_label,
    settings_named,
)
from tailor_rl.bench.wording import (
    STAGES as STAGE_LABELS,
)

OVER_PROBLEMS = "interval over seeds and problems"


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
