"""Tables of what runs spend: until a threshold, and in all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tailor_rl.bench.figures import SPENT
from tailor_rl.bench.findings import (
    Cost,
    Results,
    ThresholdTime,
)
from tailor_rl.bench.report.entries import (
    Entry,
    Table,
)
from tailor_rl.bench.wording import (
    KINDS,
    NONE,
    PARTS,
    UNITS,
    bracket,
    setting_label,
    share_text,
)
from tailor_rl.summary import amount


def _restricted_entry(time: ThresholdTime) -> Entry:
    estimate = time.restricted_mean
    if not time.num_reached:
        return Entry(amount(estimate.value), "none by then")
    if estimate.low is None or estimate.high is None:
        return Entry(amount(estimate.value), bracket(estimate))
    return Entry(amount(estimate.value), f"[{amount(estimate.low)}, {amount(estimate.high)}]")


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
