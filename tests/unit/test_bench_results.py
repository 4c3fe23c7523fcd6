"""From cells to results: figures are those of the runs, and only what was planned is called so."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.bench.arm_figures import with_areas
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.findings import Compared, Forecasts, Results, Trended
from tailor_rl.bench.results import as_json, make_results, write_results
from tailor_rl.bench.study import Study
from tailor_rl.bench.thresholds import area_under
from tailor_rl.bench.verdicts import comparison_answer, make_claims
from tailor_rl.errors import ConfigError
from tests.bench_examples import (
    example_cell,
    example_cells,
    example_grid,
    example_plan,
    example_study,
)


def results_of(
    study: Study,
    cells: Sequence[CellFigures] | None = None,
    plan: Sequence[Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Results:
    given: dict[str, Any] = {
        "name": "example",
        "planned_cells": example_grid(study),
        "failed": {},
        "differs": ["the student"],
        "num_resamples": 200,
    }
    return make_results(
        study,
        example_cells(study, ood=False) if cells is None else cells,
        example_plan(study) if plan is None else plan,
        **(given | changes),
    )


def two_arms(num_seeds: int = 3, **changes: Any) -> Study:
    return example_study(num_arms=2, num_seeds=num_seeds, tasks=(), **changes)


def four_arms() -> Study:
    return example_study(num_arms=4, num_seeds=3, tasks=())


@functools.cache
def results_of_four_arms() -> Results:
    study = four_arms()
    figures = ("rl test pass@1", "rl ood pass@1")
    return results_of(study, [only(cell, *figures) for cell in example_cells(study)])


def only(cell: CellFigures, *figures: str, curve: bool = False) -> CellFigures:
    kept = {name: cell.figures[name] for name in figures}
    return dataclasses.replace(cell, figures=kept, training={}, curve=cell.curve if curve else ())


def cells_with(figure: str, by_arm: Mapping[str, Sequence[float]]) -> list[CellFigures]:
    """Cells of one setting whose only figure is given, seed by seed."""
    return [
        dataclasses.replace(
            example_cell("all", arm, seed), figures={figure: value}, curve=(), training={}
        )
        for arm, values in by_arm.items()
        for seed, value in enumerate(values, start=1)
    ]


def compared(results: Results, figure: str = "rl test pass@1") -> Compared:
    return next(each for each in results.comparisons if each.figure == figure)


def test_a_planned_difference_is_students_paired_t() -> None:
    # Differences 0.1, 0.2, 0.3: mean 0.2, s 0.1, half width 4.30265 * 0.1 / sqrt(3).
    arms = {"tailor": (0.5, 0.7, 0.6), "rule_based": (0.4, 0.5, 0.3)}
    found = compared(results_of(two_arms(), cells_with("rl test pass@1", arms)))
    assert found.planned == "planned"
    assert found.difference is not None
    assert found.difference.value == pytest.approx(0.2)
    half = 4.302652729911275 * 0.1 / math.sqrt(3)
    assert found.difference.low == pytest.approx(0.2 - half)
    assert found.difference.high == pytest.approx(0.2 + half)
    assert (found.num_same_sign, found.num_pairs) == (3, 3)
    assert found.smallest_p == pytest.approx(0.25)
    assert "0.2" not in found.answer and "+20.0 points" in found.answer


def test_holm_counts_all_that_was_planned_and_nothing_else() -> None:
    study = four_arms()
    results = results_of_four_arms()
    planned = [c for c in results.comparisons if c.planned == "planned"]
    assert len(planned) == len(study.comparisons)
    assert all(c.holm_p is None for c in results.comparisons if c.planned != "planned")
    asked: list[Compared | Trended] = [*planned, *results.trends]
    ps = sorted((each.p, each.holm_p) for each in asked if each.p is not None)
    smallest, corrected = ps[0]
    assert corrected == pytest.approx(min(1.0, smallest * len(asked)))


def test_every_other_pair_is_shown_as_not_planned() -> None:
    study = four_arms()
    other = [c for c in results_of_four_arms().comparisons if c.planned == "not planned"]
    # 6 pairs of 4 arms by 2 figures, less the 3 and 1 that the study names.
    assert len(other) == 8
    named = {(c.arm, c.against, c.figure) for c in study.comparisons}
    assert not named & {(c.arm, c.against, c.figure) for c in other}


def test_a_comparison_rests_on_common_seeds_alone() -> None:
    study = two_arms(5)
    whole = [only(cell, "rl test pass@1") for cell in example_cells(study)]
    without = [c for c in whole if not (c.arm == "tailor" and c.seed == 2)]
    found = compared(results_of(study, without))
    assert found.seeds == {"all": (1, 3, 4, 5)}
    assert found.left_out == {"all": (2,)}
    assert found.num_pairs == 4
    assert "seed 2" in found.answer


def test_what_came_after_runs_had_begun_is_not_planned() -> None:
    study = example_study(num_arms=3, tasks=(), thresholds=[0.4, 0.5])
    first = dict(example_plan(study)[0])
    plan = [
        first | {"seeds": [1, 2, 3], "comparisons": first["comparisons"][:1], "thresholds": [0.4]},
        {"time": "later", "finished": 0, "comparisons": first["comparisons"][1:2]},
        {"time": "last", "finished": 7, "seeds": [4, 5], "thresholds": [0.5],
         "comparisons": first["comparisons"][2:]},
    ]  # fmt: skip
    figures = ("rl test pass@1", "rl ood pass@1")
    cells = [only(each, *figures, curve=True) for each in example_cells(study)]
    results = results_of(study, cells, plan)
    named = [c for c in results.comparisons if c.planned != "not planned"]
    # Before any cell had finished, nothing can have been seen.
    assert [c.planned for c in named] == ["planned", "planned", "added"]
    assert named[2].holm_p is None
    assert all(c.added_seeds == (4, 5) for c in named)
    assert {t.threshold: t.planned for t in results.thresholds} == {0.4: "planned", 0.5: "added"}
    assert any("seeds 4 and 5" in note for note in results.notes)


def test_without_a_plan_nothing_is_called_planned() -> None:
    results = results_of(two_arms(), plan=[])
    assert {c.planned for c in results.comparisons} == {"not planned"}
    assert results.answers == ()
    assert all(c.added_seeds == () for c in results.comparisons)


def test_a_total_curve_begins_at_the_cost_of_its_set() -> None:
    study = example_study(num_arms=5, num_seeds=2, tasks=(), thresholds=[])
    cells = [only(cell, "rl test pass@1", curve=True) for cell in example_cells(study)]
    curves = {(c.arm, c.unit, c.total): c for c in results_of(study, cells).curves}
    for cell in cells:
        for unit in ("rollouts", "learner_tokens", "seconds"):
            alone, total = curves[cell.arm, unit, False], curves[cell.arm, unit, True]
            before = cell.making.get(unit, 0.0) + cell.sft.get(unit, 0.0)
            assert alone.points[0].x == 0
            assert total.points[0].x == pytest.approx(before)
            assert total.points[0].value == alone.points[0].value
    making = example_cell("all", "tailor", 1).making
    both = curves["tailor", "all_tokens", True].points[0].x
    assert both == making["teacher_tokens"] + making["generated_tokens"]
    assert ("tailor", "step", True) not in curves


def test_runs_that_never_get_there_count_with_the_common_horizon() -> None:
    study = two_arms(thresholds=[0.99])
    results = results_of(study)
    for unit in ("step", "generated_tokens"):
        times = [t for t in results.thresholds if t.unit == unit and not t.total]
        last = [getattr(c.curve[-1], unit) for c in example_cells(study)]
        assert {t.horizon for t in times} == {min(last)}
        assert all(t.restricted_mean.value == pytest.approx(t.horizon) for t in times)
        assert all(t.num_reached == 0 for t in times)
    assert any("reached 99 %" in note for note in results.notes)


def test_what_the_teacher_wrote_is_part_of_the_race_with_the_cost_of_the_set() -> None:
    study = two_arms(thresholds=[0.2])
    (cell, *_) = cells = example_cells(study)
    times = [t for t in results_of(study, cells).thresholds if t.total and t.arm == cell.arm]
    ends: dict[str, list[float]] = {"generated_tokens": [], "all_tokens": []}
    for each in (c for c in cells if c.arm == cell.arm):
        for unit, at in ends.items():
            made = each.making["generated_tokens"] + each.sft.get("generated_tokens", 0.0)
            taught = each.making["teacher_tokens"] if unit == "all_tokens" else 0.0
            at.append(made + taught + each.curve[-1].generated_tokens)
    assert {t.unit for t in times} >= set(ends)
    for unit, at in ends.items():
        (time,) = [t for t in times if t.unit == unit]
        assert time.horizon <= min(at)
        assert max(x for x, _ in time.survival) <= max(at)
    spent = {t.unit: t.restricted_mean.value for t in times}
    assert spent["all_tokens"] > spent["generated_tokens"]


def test_what_a_run_did_not_count_is_no_cost_of_nothing() -> None:
    study = two_arms(2)
    cells = [
        dataclasses.replace(
            each, curve=tuple(dataclasses.replace(m, learner_tokens=0.0) for m in each.curve)
        )
        for each in example_cells(study, ood=False)
    ]
    results = results_of(study, cells)
    assert {c.unit for c in results.curves} & {"learner_tokens", "rollouts"} == {"rollouts"}
    assert {t.unit for t in results.thresholds} & {"learner_tokens", "rollouts"} == {"rollouts"}


def test_the_interval_of_a_share_stays_within_shares() -> None:
    arms = {"tailor": (0.9, 0.99), "rule_based": (0.0, 0.2)}
    means = {
        f.arm: f.mean for f in results_of(two_arms(2), cells_with("rl test pass@1", arms)).figures
    }
    assert means["tailor"].high == 1.0
    assert means["rule_based"].low == 0.0


def test_a_claim_is_set_beside_its_own_comparison() -> None:
    arms = {"tailor": (0.5, 0.61, 0.7), "rule_based": (0.4, 0.5, 0.6)}
    results = results_of(two_arms(), cells_with("rl test pass@1", arms))
    claimed = results.claims[0]
    assert claimed.ours == compared(results).difference
    assert claimed.published == (0.15, 0.3)
    assert (claimed.same_sign, claimed.same_size) == ("yes", "smaller")
    assert claimed.differs == ("the student", "3 pairs of runs here")


def test_a_claim_and_the_answer_to_its_comparison_go_by_the_same_test() -> None:
    arms = {"tailor": (0.5, 0.61, 0.7), "rule_based": (0.4, 0.5, 0.6)}
    alone = compared(results_of(two_arms(), cells_with("rl test pass@1", arms)))
    among_many = dataclasses.replace(alone, holm_p=0.068)
    assert "are not told apart" in comparison_answer(among_many, 9)
    (claimed,) = make_claims(two_arms(), [among_many], [], [])
    assert (claimed.same_sign, claimed.same_size) == ("not told apart", "smaller")


def test_a_trend_shows_every_arm_on_the_same_seeds() -> None:
    study = four_arms()
    whole = [only(cell, "rl test pass@1") for cell in example_cells(study)]
    cells = [c for c in whole if not (c.arm == "tailor" and c.seed == 1)]
    trend = results_of(study, cells).trends[0]
    assert trend.arms == ("four_star", "rule_based", "tailor")
    assert [mean.num_runs for mean in trend.means if mean] == [2, 2, 2]
    assert trend.num_rows == 2
    first, _, last = (mean.value for mean in trend.means if mean)
    assert trend.slope is not None
    assert trend.slope.value == pytest.approx((last - first) / 2)


def test_over_settings_only_those_count_that_every_arm_has() -> None:
    study = example_study(num_arms=2, num_seeds=2, tasks=("knights", "igsm", "countdown"))
    cells = [c for c in example_cells(study, ood=False) if (c.setting, c.arm) != ("igsm", "tailor")]
    results = results_of(study, cells)
    means = [f.mean for f in results.figures if f.setting == "all"]
    assert means and all(mean.num_runs == 4 for mean in means)
    assert any("igsm" in note for note in results.notes)


def test_equal_sets_are_matched_and_others_are_named() -> None:
    study = example_study(num_arms=2, num_seeds=2, tasks=())
    cells = [only(cell, "rl test pass@1") for cell in example_cells(study)]
    facts = cells[0].set_facts
    assert facts is not None
    alike = [dataclasses.replace(cell, set_facts=facts) for cell in cells]
    assert results_of(study, alike).mismatches == ()
    more = dataclasses.replace(facts, examples=2 * facts.examples)
    odd = [dataclasses.replace(c, set_facts=more) if c.arm == "tailor" else c for c in alike]
    assert results_of(study, odd).mismatches == (
        "examples: from 512 in rule_based to 1,024 in tailor, 67 % of their mean apart",
    )


def foretold(forecasts: Sequence[float], *, num_seeds: int = 2) -> Forecasts:
    """Of arms that gain 1, 2, 3, ... %, and differ from seed to seed."""
    study = example_study(num_arms=len(forecasts), num_seeds=num_seeds, tasks=())
    cells = []
    for cell in example_cells(study):
        place, off = list(study.arms).index(cell.arm), 0.001 * (cell.seed - 1)
        figures = {"gain test pass@1": (place + 1) / 100 + off}
        cells.append(dataclasses.replace(cell, forecast=forecasts[place] - off, figures=figures))
    return results_of(study, cells).forecasts


def test_a_forecast_that_orders_the_gains_of_arms_is_said_to() -> None:
    found = foretold((0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    assert found.rank is not None and found.rank.value == pytest.approx(1.0)
    # Swapping two neighbours of six ranks: 1 - 6 * 2 / (6 * 35).
    rank = foretold((0.2, 0.1, 0.3, 0.4, 0.5, 0.6)).rank
    assert rank is not None and rank.low is not None and rank.high is not None
    assert rank.value == pytest.approx(1 - 12 / 210)
    assert rank.low < rank.value < rank.high < 1


def test_more_seeds_of_the_same_arms_are_no_more_evidence_for_a_forecast() -> None:
    forecasts = (0.2, 0.1, 0.3, 0.4, 0.5, 0.6)
    few, many = foretold(forecasts), foretold(forecasts, num_seeds=9)
    assert few.rank == many.rank
    assert len(many.cells) == 54
    assert "too few" in foretold((0.1, 0.2, 0.3, 0.4), num_seeds=9).answer
    assert "no order to see" in foretold((0.3,) * 6).answer


def test_kinds_out_of_distribution_are_compared_where_their_mean_was_asked_for() -> None:
    study = two_arms(2, comparisons=[
        {"arm": "tailor", "against": "rule_based", "figure": "rl ood pass@1"}
    ])  # fmt: skip
    cells = example_cells(study)
    others = [c.figure for c in results_of(study, cells).comparisons if c.planned == "not planned"]
    axes = {name for cell in cells for name in cell.figures if "rl ood/" in name}
    axes = {name for name in axes if name.endswith("pass@1")}
    assert axes and axes <= set(others)


def test_an_arm_that_is_missing_from_a_chart_is_named() -> None:
    study = two_arms(2, thresholds=[])
    cells = [
        dataclasses.replace(cell, making={**cell.making, "seconds": 1e9})
        if (cell.arm, cell.seed) == ("tailor", 2)
        else cell
        for cell in example_cells(study)
    ]
    notes = [note for note in results_of(study, cells).notes if note.startswith("No curve")]
    assert notes == [
        "No curve of tailor by seconds with the cost of the SFT set: one of its runs began RL when "
        "another had ended"
    ]


def test_cells_without_figures_are_listed_with_their_reason() -> None:
    study = two_arms(2)
    cells = example_cells(study)[1:]
    results = results_of(study, cells[1:], failed={("all", "tailor", 1): "out of memory"})
    listed = [(m.arm, m.seed, m.why) for m in results.missing]
    assert listed == [("tailor", 1, "out of memory"), ("tailor", 2, "not run yet")]


def test_two_runs_of_one_cell_are_refused() -> None:
    cell = example_cell("all", "tailor", 1)
    again = dataclasses.replace(cell, cell="elsewhere")
    with pytest.raises(ConfigError, match="elsewhere are both tailor in all with seed 1: leave"):
        results_of(two_arms(), [cell, again])


def test_the_order_of_cells_changes_nothing() -> None:
    study = example_study(num_arms=2, num_seeds=2)
    cells = example_cells(study, ood=False)
    first = as_json(results_of(study, cells))
    random.Random(7).shuffle(cells)
    assert as_json(results_of(study, cells)) == first


def test_a_single_run_has_figures_and_no_error_bar() -> None:
    study = example_study(num_arms=1, num_seeds=1, tasks=(), thresholds=[])
    results = results_of(study, example_cells(study, ood=False))
    assert all(f.mean.low is None and f.iqm.low is None for f in results.figures)
    assert all(p.low is None for c in results.curves for p in c.points)
    assert results.comparisons == () and results.thresholds == () and results.claims == ()
    said = " ".join(results.notes)
    for what in ("one seed", "No comparison", "out of distribution", "No threshold"):
        assert what in said


def test_one_seed_compares_without_interval_or_p() -> None:
    found = compared(results_of(two_arms(1)))
    assert found.difference is not None
    assert found.difference.value != 0
    assert (found.difference.low, found.p, found.holm_p, found.sign_flip_p) == (None,) * 4
    assert "nothing to test it by" in found.answer


def test_arms_without_sft_have_no_figure_after_it() -> None:
    study = example_study(num_seeds=2, tasks=())
    arms = [each for each in example_cells(study, ood=False) if each.arm in ("tailor", "none")]
    results = results_of(study, arms)
    stages = {
        f.figure.split(" ")[0] for f in results.figures if f.arm == "none" and " " in f.figure
    }
    assert stages == {"base", "rl", "gain"}
    assert "none has no SFT" in results.mismatches


def test_without_cells_there_is_nothing_to_say() -> None:
    study = example_study()
    results = results_of(study, [])
    assert len(results.missing) == 6 * 2 * 5
    assert results.figures == () and results.curves == ()
    assert all("nothing can be said" in answer for answer in results.answers)


def test_results_are_written_as_strict_json(tmp_path: Path) -> None:
    cells = example_cells(two_arms(2), ood=False)
    broken = dataclasses.replace(cells[0], training={"reward": (math.nan, 1.0)})
    path = write_results(tmp_path, results_of(two_arms(2), [broken, *cells[1:]]))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read = json.loads(path.read_text(), parse_constant=refuse)
    assert read["num_cells"] == 4
    assert read["comparisons"][0]["difference"]["value"] == pytest.approx(
        compared(results_of(two_arms(2))).difference.value  # type: ignore[union-attr]
    )


def test_areas_are_of_as_many_steps_as_every_run_of_a_setting_has() -> None:
    study = two_arms()
    cells = example_cells(study, ood=False)
    shorter = dataclasses.replace(cells[0], curve=cells[0].curve[:-2])
    found = with_areas([shorter, *cells[1:]])
    until = shorter.curve[-1].step
    for cell in found:
        assert cell.figures["auc"] == area_under(cell.curve, unit="step", horizon=until)
    notes = results_of(study, cells=[shorter, *cells[1:]]).notes
    assert any(f"areas under the curve are of the first {until}" in note for note in notes)
    assert not any("areas under" in note for note in results_of(study, cells=cells).notes)


def test_a_run_without_a_curve_has_no_area_and_leaves_others_theirs() -> None:
    cells = example_cells(two_arms(), ood=False)
    bare = dataclasses.replace(cells[0], curve=(), figures={"rl test pass@1": 0.5})
    found = with_areas([bare, *cells[1:]])
    assert "auc" not in found[0].figures
    assert all("auc" in cell.figures for cell in found[1:])
