"""Whether the runs of a study will have the figures that are planned: what is never measured cannot
be compared, and a plan may not drop it later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.study import ALL, CURVE_FIGURES, Comparison, Study, Trend
from tailor_rl.config.schema import RunConfig

Splits = Mapping[str, Sequence[str]]  # family of cells -> the splits of its task


def never_measured(study: Study, cells: Sequence[Cell], splits: Splits) -> Iterator[str]:
    """A sentence for each planned figure that the runs of one of its arms will not have."""
    firsts = {cell.family: cell for cell in reversed(cells)}
    planned: list[Comparison | Trend] = [*study.comparisons, *study.trends]
    for each in planned:
        arms = each.arms if isinstance(each, Trend) else (each.arm, each.against)
        for family, cell in firsts.items():
            if cell.arm not in arms or each.setting not in (ALL, cell.setting):
                continue
            if why := _why_not(each.figure, cell.config, splits[family]):
                yield f"{each.figure!r} is planned for {cell.arm}, whose runs have none: {why}"


def _why_not(figure: str, cfg: RunConfig, splits: Sequence[str]) -> str:
    """ "" for what will be measured."""
    evaluation = cfg.evaluation
    if figure in CURVE_FIGURES and not evaluation.every:
        return "evaluation.every = 0 measures no curve in RL"
    if figure == "auc" and evaluation.every > cfg.rl.num_steps:
        return (
            "an area needs a measurement besides that before RL, and evaluation.every = "
            f"{evaluation.every} makes none within rl.num_steps = {cfg.rl.num_steps}"
        )
    if figure in CURVE_FIGURES:
        return ""
    stage, split, metric = figure.split(" ")
    if stage == "sft" and cfg.initialisation == "none":
        return 'initialisation = "none" has no SFT'
    kinds = [each for each in splits if each.startswith("ood/")]
    if evaluation.ood_splits is not None:
        kinds = list(evaluation.ood_splits)
    if split not in ("test", *kinds, *(["ood"] if kinds else [])):
        return f"measured are test, {', '.join(kinds) or 'and nothing out of distribution'}"
    if metric == "greedy":
        return "" if evaluation.greedy else "evaluation.greedy = false"
    known = {1, evaluation.samples_per_problem}
    if int(metric.removeprefix("pass@")) not in known:
        return f"measured are {', '.join(f'pass@{k}' for k in sorted(known))}"
    return ""
