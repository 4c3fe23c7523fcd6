"""What comparisons and trends come to, each in one sentence, and the table of claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import Claimed, Compared, Trended
from tailor_rl.bench.paired import check_claim
from tailor_rl.bench.study import ALL, Study, published_range
from tailor_rl.bench.wording import (
    NONE,
    figure_label,
    p_equals,
    plural,
    points_estimate,
    points_text,
    seeds_named,
    sentence,
    settings_named,
    was,
)

LEVEL = 0.05
NOT_PLANNED = "not planned"  # of a claim: figures that were seen choose what is checked


def comparison_answer(each: Compared, tests: int) -> str:
    """Told apart where p, corrected for all `tests` that were planned, is below 0.05; no full stop.

    Example: "After RL, in distribution, pass@1: tailor is above rule_based: +15.2 points [+12.1,
    +18.3], the sign of the mean on 5 of 5 seeds, p = 0.013 by Holm over 6".
    """
    where = sentence(figure_label(each.figure)) + (
        "" if each.setting == ALL else f", {each.setting}"
    )
    pair = f"{each.arm} and {each.against}"
    if each.difference is None:
        return f"{where}: nothing can be said of {pair}, which have no finished seed in common"
    alike = f"{each.num_same_sign} of {plural(each.num_pairs, 'seed')}"
    said = f"{points_estimate(each.difference)}, the sign of the mean on {alike}"
    p = _corrected(each)
    if p is None:
        return f"{where}: {each.arm} minus {each.against} is {said}; nothing to test it by"
    how = _how(each.holm_p, tests)
    said = f"{said}, {p_equals(p)} {how}{_remarks(each)}{_left_out(each)}"
    if p >= LEVEL:
        missed = "" if each.detectable is None else _could_miss(each.detectable)
        return f"{where}: {pair} are not told apart: {said}{missed}"
    side = "above" if each.difference.value > 0 else "below"
    return f"{where}: {each.arm} is {side} {each.against}: {said}"


def _corrected(each: Compared | Trended) -> float | None:
    return each.p if each.holm_p is None else each.holm_p


def _told_apart(each: Compared | Trended) -> bool:
    p = _corrected(each)
    return p is not None and p < LEVEL


def _how(holm_p: float | None, tests: int) -> str:
    if holm_p is None:
        return "not corrected"
    return f"by Holm over {tests}" if tests > 1 else "in the only test that was planned"


def _could_miss(detectable: float) -> str:
    least = points_text(detectable).removeprefix("+")
    return f"; a true difference below {least} is missed by such runs 1 time in 5 or more often"


def _remarks(each: Compared | Trended) -> str:
    parts = []
    if each.planned != "planned":
        parts.append("not planned" if each.planned == "not planned" else "asked after runs began")
    if each.added_seeds:
        seeds = each.added_seeds
        parts.append(f"{seeds_named(seeds)} {was(seeds)} added after runs began")
    if each.added_settings:
        added = each.added_settings
        parts.append(f"{settings_named(added)} {was(added)} added after runs began")
    return "".join(f"; {part}" for part in parts)


def _left_out(each: Compared) -> str:
    parts = []
    for setting, seeds in each.left_out.items():
        where = "" if setting == ALL else f" in {setting}"
        parts.append(
            f"{seeds_named(seeds)}{where} {was(seeds)} left out: only one of the two has it"
        )
    return "".join(f"; {part}" for part in parts)


def trend_answer(each: Trended, tests: int) -> str:
    """As for comparisons; Page's test is one-sided: it knows no fall."""
    along = f"{sentence(figure_label(each.figure))}, along {', '.join(each.arms)}"
    if each.slope is None:
        return f"{along}: nothing can be said, since no finished seed is common to all of them"
    rise = f"{points_estimate(each.slope)} a place"
    p = _corrected(each)
    if p is None:
        return f"{along}: {rise}; nothing to test it by"
    how = _how(each.holm_p, tests)
    rows = f"Page's test over {plural(each.num_rows, 'seed')}, {p_equals(p)} {how}"
    verdict = "it rises" if p < LEVEL else "no rise is shown"
    return f"{along}: {verdict}: {rise}, {rows}{_remarks(each)}"


def make_claims(
    study: Study, compared: Sequence[Compared], trended: Sequence[Trended], differs: Sequence[str]
) -> Iterator[Claimed]:
    """A row for each comparison or trend that states a claim; `differs` is in what all of them
    differ from the publications, to which the runs of each row are added.
    """
    for asked in study.comparisons:
        if not asked.claim and asked.low is None:
            continue
        key = (asked.arm, asked.against, asked.figure, asked.setting, published_range(asked))
        found = next(
            c for c in compared if (c.arm, c.against, c.figure, c.setting, c.published) == key
        )
        num = sum(map(len, found.seeds.values()))
        claim = asked.claim or f"{asked.arm} over {asked.against}"
        yield _claimed(claim, found, (*differs, f"{plural(num, 'pair')} of runs here"))
    for trend, rising in zip(study.trends, trended, strict=True):
        if trend.claim:
            seeds = f"{plural(rising.num_rows, 'seed')} of every arm here"
            yield _trend_claimed(rising, (*differs, seeds))


def _claimed(claim: str, found: Compared, differs: tuple[str, ...]) -> Claimed:
    ours, sign, size = found.difference, NONE, NONE
    if ours is None:
        sign = size = "nothing to compare"
    elif found.planned != "planned":
        sign = size = NOT_PLANNED
    elif found.published is not None:
        check = check_claim(ours, *found.published, told_apart=_told_apart(found))
        sign, size = check.same_sign, check.same_size
    else:  # words without a range claim that the first arm is above
        sign = _sign(ours, told_apart=_told_apart(found))
    return Claimed(claim, found.published, found.figure, found.planned, ours, sign, size, differs)


def _trend_claimed(found: Trended, differs: tuple[str, ...]) -> Claimed:
    slope, sign = found.slope, "nothing to compare"
    if slope is not None and found.planned != "planned":
        sign = NOT_PLANNED
    elif slope is not None:
        # Page's test knows no fall: of that, the interval decides.
        sign = _sign(slope, told_apart=_told_apart(found) or slope.value < 0)
    return Claimed(
        found.claim,
        None,
        found.figure,
        found.planned,
        slope,
        sign,
        NONE,
        differs,
        arms=found.arms,
        means=found.means,
    )


def _sign(ours: Estimate, *, told_apart: bool) -> str:
    unclear = ours.low is None or ours.high is None or ours.low <= 0 <= ours.high
    if unclear or not told_apart:
        return "not told apart"
    return "yes" if ours.value > 0 else "no"
