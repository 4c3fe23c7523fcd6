"""Where a policy stands: figures by split, by difficulty and by out-of-distribution axis.

Computed from results problem by problem alone. Knows nothing about where these came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tailor_rl.evaluation import tabulate
from tailor_rl.sheets import Sheet
from tailor_rl.statistics import difference_of_independent
from tailor_rl.types import Evaluation, Interval, ProblemResult

Key = tuple[str, int]  # an Evaluation's metric and k
GREEDY, PASS_1 = ("greedy", 1), ("accuracy", 1)
INTERVAL_NAMES = {"wilson": "Wilson", "bootstrap": "bootstrap over families"}
IN_DISTRIBUTION = "test"


@dataclass(frozen=True, slots=True)
class Standing:
    """The figures of a split, or of the problems of one difficulty in it."""

    part: Literal["split", "difficulty"]
    split: str
    difficulty: int | None
    figures: Mapping[Key, Evaluation]


@dataclass(frozen=True, slots=True)
class Gap:
    """A figure of an out-of-distribution axis minus that of "test", with its 95 % interval as if
    their problems were independent.
    """

    axis: str  # "people-4" of the split "ood/people-4"
    metric: str
    k: int
    figure: Evaluation
    gap: Interval


def powers_of_two(samples: int) -> tuple[int, ...]:
    """The k of pass@k for `samples` samples a problem: 1, 2, 4, ... and `samples` itself."""
    powers = {2**i for i in range(samples.bit_length())}
    return tuple(sorted(powers | {samples}))


def make_standings(
    results: Sequence[ProblemResult], *, samples: int, seed: int, temperature: float
) -> list[Standing]:
    """Splits in the order in which they first appear, each followed by its difficulties.

    `results` in the order of their problems' indices give the very figures of an evaluation within
    a run: intervals depend on the order.
    """
    found = []
    for split in dict.fromkeys(result.split for result in results):
        own = [result for result in results if result.split == split]
        levels = sorted({result.difficulty for result in own})
        parts: list[tuple[Literal["split", "difficulty"], int | None, list[ProblemResult]]] = [
            ("split", None, own),
            *(("difficulty", level, [r for r in own if r.difficulty == level]) for level in levels),
        ]
        for part, difficulty, some in parts:
            rows = tabulate(
                some,
                ks=powers_of_two(samples),
                seed=seed,
                temperature=temperature,
                weight_version=0,  # as loaded: no learner was there
            )
            figures = {(row.metric, row.k): row for row in rows}
            found.append(Standing(part, split, difficulty, figures))
    return found


def make_gaps(standings: Sequence[Standing]) -> list[Gap]:
    """Every axis against "test"; none where "test" was not examined."""
    splits = {standing.split: standing for standing in standings if standing.part == "split"}
    base = splits.get(IN_DISTRIBUTION)
    if base is None:
        return []
    return [
        Gap(
            axis=split.removeprefix("ood/"),
            metric=figure.metric,
            k=figure.k,
            figure=figure,
            gap=difference_of_independent(_interval(base.figures[key]), _interval(figure)),
        )
        for split, standing in splits.items()
        if split.startswith("ood/")
        for key, figure in standing.figures.items()
        if key in base.figures
    ]


def _interval(row: Evaluation) -> Interval:
    return Interval(row.value, row.low, row.high)


def to_rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """The figures for programs: the fields of an Evaluation, and what part of a split they are of.

    "part" is "split", "difficulty" (which is then a number, else null) or "axis" (with "gap",
    "gap_low" and "gap_high" against "test").
    """
    rows = [
        {"part": standing.part, "difficulty": standing.difficulty, **asdict(figure)}
        for standing in standings
        for figure in standing.figures.values()
    ]
    for gap in make_gaps(standings):
        ends = {"gap": gap.gap.value, "gap_low": gap.gap.low, "gap_high": gap.gap.high}
        rows.append(
            {"part": "axis", "difficulty": None, "axis": gap.axis, **asdict(gap.figure), **ends}
        )
    return rows


def to_sheets(standings: Sequence[Standing]) -> list[Sheet]:
    """The figures for people."""
    return [*_split_sheets(standings), *_difficulty_sheet(standings), *_axis_sheet(standings)]


def _split_sheets(standings: Sequence[Standing]) -> Iterator[Sheet]:
    for standing in standings:
        if standing.part == "split" and standing.figures:
            row = next(iter(standing.figures.values()))
            yield Sheet(
                title=f"{standing.split}: {_counted(row)}",
                columns=("", "%", "95 % interval", "by"),
                rows=tuple(
                    (figure_name(key), _percent(f.value), _ends(f), INTERVAL_NAMES[f.interval])
                    for key, f in _in_order(standing)
                ),
                note=f"{row.mean_tokens:,.1f} tokens a sample, {_percent(row.truncated)} % "
                f"truncated, entropy {row.entropy:.3f} nats a token, {row.ungraded} samples not "
                "graded",
            )


def _counted(row: Evaluation) -> str:
    families = "" if row.num_families == row.num_problems else f" of {row.num_families} families"
    return (
        f"{row.num_problems} problems{families}, {row.num_samples} samples each at temperature "
        f"{row.temperature:g}"
    )


def _in_order(standing: Standing) -> list[tuple[Key, Evaluation]]:
    """Greedy first, then pass@k by k."""
    return sorted(standing.figures.items(), key=lambda pair: (pair[0] != GREEDY, pair[0][1]))


def _difficulty_sheet(standings: Sequence[Standing]) -> Iterator[Sheet]:
    rows: list[tuple[str, ...]] = []
    for standing in standings:
        if standing.part == "difficulty":
            name = f"{standing.split}, {standing.difficulty}"
            for i, (key, f) in enumerate(_headline(standing)):
                counted = (name, str(f.num_problems)) if i == 0 else ("", "")
                rows.append((*counted, figure_name(key), _percent(f.value), _ends(f)))
    if rows:
        columns = ("", "problems", "", "%", "95 % interval")
        yield Sheet("by difficulty", columns, tuple(rows))


def _axis_sheet(standings: Sequence[Standing]) -> Iterator[Sheet]:
    gaps = {(gap.figure.split, gap.metric, gap.k): gap.gap for gap in make_gaps(standings)}
    rows: list[tuple[str, ...]] = []
    for standing in standings:
        if standing.part == "split" and standing.split.startswith("ood/"):
            for i, (key, f) in enumerate(_headline(standing)):
                gap = gaps.get((standing.split, *key))
                if gap is not None:
                    name = standing.split.removeprefix("ood/") if i == 0 else ""
                    rows.append((name, figure_name(key), _percent(f.value), _points(gap)))
    if rows:
        columns = ("", "", "%", f"points from {IN_DISTRIBUTION!r}")
        yield Sheet(
            "by out-of-distribution axis",
            columns,
            tuple(rows),
            note="95 % intervals of differences by Newcombe's method 10",
        )


def _headline(standing: Standing) -> list[tuple[Key, Evaluation]]:
    """Greedy, pass@1 and the highest pass@k."""
    ordered = _in_order(standing)
    return [pair for pair in ordered if pair[0] in (GREEDY, PASS_1) or pair == ordered[-1]]


def figure_name(key: Key) -> str:
    return "greedy" if key == GREEDY else f"pass@{key[1]}"


def _points(gap: Interval) -> str:
    """Example: "-20.8 [-32.7, -7.7]"."""
    return f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _ends(row: Evaluation) -> str:
    return f"[{_percent(row.low)}, {_percent(row.high)}]"
