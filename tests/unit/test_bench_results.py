"""From cells to results: figures, races, sets and forecasts are those of the runs."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tailor_rl.bench.arm_figures import with_areas
from tailor_rl.bench.findings import Forecasts
from tailor_rl.bench.results import as_json, write_results
from tailor_rl.bench.thresholds import area_under, race
from tailor_rl.bench.wording import compared_label
from tailor_rl.errors import ConfigError
from tests.bench_examples import (
    example_cell,
    example_cells,
    example_study,
    only,
    results_of,
    two_arms,
)


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


def test_a_set_that_cost_more_than_a_whole_run_is_named() -> None:
    study = two_arms()
    cells = example_cells(study)
    assert not any("Making the set" in note for note in results_of(study, cells).notes)
    dear = [
        dataclasses.replace(cell, making={**cell.making, "teacher_tokens": 1e9})
        if cell.arm == "tailor"
        else cell
        for cell in cells
    ]
    (note,) = [n for n in results_of(study, dear).notes if "Making the set" in n]
    assert "set of tailor took more student's and teacher's tokens than another run" in note


def test_a_pair_that_only_one_setting_has_is_named_by_it() -> None:
    study = example_study()
    cells = [c for c in example_cells(study) if c.setting == "knights" or c.arm != "tailor"]
    for each in results_of(study, cells).comparisons:
        if "tailor" in (each.arm, each.against) and each.setting == "all":
            assert compared_label(each, 2) == "knights"
        elif each.setting == "all":
            assert compared_label(each, 2) == "all settings"


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


def foretold(
    forecasts: Sequence[float], *, num_seeds: int = 2, tasks: Sequence[str] = ()
) -> Forecasts:
    """Of arms that gain 1, 2, 3, ... %, and differ from seed to seed and from task to task."""
    study = example_study(num_arms=len(forecasts), num_seeds=num_seeds, tasks=tasks)
    cells = []
    for cell in example_cells(study):
        place, off = list(study.arms).index(cell.arm), 0.001 * (cell.seed - 1)
        off += 0.5 * (cell.setting == "igsm")
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


def test_more_settings_of_the_same_arms_are_no_more_evidence_for_a_forecast() -> None:
    two = ("knights", "igsm")
    assert "4 arms" in foretold((0.1, 0.2, 0.3, 0.4), tasks=two).answer
    forecasts = (0.2, 0.1, 0.3, 0.4, 0.5, 0.6)
    assert foretold(forecasts, tasks=two).rank == foretold(forecasts).rank


def test_a_threshold_that_was_reached_after_the_horizon_is_not_said_to_be_reached_by_none() -> None:
    study = two_arms(2, thresholds=[0.5])
    cells = [
        dataclasses.replace(cell, curve=cell.curve[:2]) if cell.arm == "rule_based" else cell
        for cell in example_cells(study)
    ]
    late = [race(cell.curve, 0.5, unit="step").reached_at for cell in cells]
    assert any(late)
    (note,) = (note for note in results_of(study, cells).notes if note.startswith("No run of"))
    assert "reached 50 % by step 10, the horizon" in note


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
    whole = results_of(two_arms(2)).comparisons[0].difference
    assert whole and read["comparisons"][0]["difference"]["value"] == pytest.approx(whole.value)


def test_areas_are_of_as_many_steps_as_every_run_of_a_setting_has() -> None:
    study = two_arms()
    cells = example_cells(study, ood=False)
    shorter = dataclasses.replace(cells[0], curve=cells[0].curve[:-2])
    found = with_areas([shorter, *cells[1:]])
    until = shorter.curve[-1].step
    for cell in found:
        assert cell.figures["auc"] == area_under(cell.curve, unit="step", horizon=until)
    notes = results_of(study, cells=[shorter, *cells[1:]]).notes
    assert any(
        f"curve and races in steps go by the first {until}, which tailor stopped at" in note
        for note in notes
    )
    assert not any("areas under" in note for note in results_of(study, cells=cells).notes)


def test_a_run_without_a_curve_has_no_area_and_leaves_others_theirs() -> None:
    cells = example_cells(two_arms(), ood=False)
    bare = dataclasses.replace(cells[0], curve=(), figures={"rl test pass@1": 0.5})
    found = with_areas([bare, *cells[1:]])
    assert "auc" not in found[0].figures
    assert all("auc" in cell.figures for cell in found[1:])
