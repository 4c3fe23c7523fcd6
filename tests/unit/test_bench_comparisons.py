"""Between arms: planned comparisons, other pairs, claims and trends."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

import pytest

from tailor_rl.bench.findings import Compared, Results, Trended
from tailor_rl.bench.report.markdown import markdown
from tailor_rl.bench.report.tables import claims_table
from tailor_rl.bench.study import Study
from tailor_rl.bench.verdicts import comparison_answer, make_claims
from tests.bench_examples import (
    cells_with,
    example_cells,
    example_plan,
    example_study,
    four_arms,
    only,
    results_of,
    two_arms,
)


@functools.cache
def results_of_four_arms() -> Results:
    study = four_arms()
    figures = ("rl test pass@1", "rl ood pass@1")
    return results_of(study, [only(cell, *figures) for cell in example_cells(study)])


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
        {"time": "later", "begun": 0, "finished": 0, "comparisons": first["comparisons"][1:2]},
        {"time": "last", "begun": 1, "finished": 0, "seeds": [4, 5], "thresholds": [0.5],
         "comparisons": first["comparisons"][2:]},
    ]  # fmt: skip
    figures = ("rl test pass@1", "rl ood pass@1")
    cells = [only(each, *figures, curve=True) for each in example_cells(study)]
    results = results_of(study, cells, plan)
    named = [c for c in results.comparisons if c.planned != "not planned"]
    # A cell that has begun has figures to look at, though it is not finished.
    assert [c.planned for c in named] == ["planned", "planned", "added"]
    assert named[2].holm_p is None
    assert all(c.added_seeds == (4, 5) for c in named)
    assert {t.threshold: t.planned for t in results.thresholds} == {0.4: "planned", 0.5: "added"}
    assert any("seeds 4 and 5" in note for note in results.notes)


def with_later(
    study: Study, first: Mapping[str, object], later: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """A plan whose first entry says `first` and whose second, when runs were known, `later`."""
    return [{**example_plan(study)[0], **first}, {"time": "later", "begun": 3, **later}]


@pytest.mark.parametrize("how", ["a level of an axis", "cells that were skipped"])
def test_a_setting_that_came_after_runs_had_begun_is_said_to(how: str) -> None:
    study = example_study(num_arms=4, num_seeds=3)
    cells = [only(each, "rl test pass@1") for each in example_cells(study)]
    knights = {f"knights-{arm}": "1" for arm in study.arms}
    igsm = {f"igsm-{arm}": "2" for arm in study.arms}
    plan = with_later(study, {"tasks": ["knights"]}, {"tasks": ["igsm"]})
    if how == "cells that were skipped":
        plan = with_later(study, {"recipes": knights}, {"recipes": igsm})
    results = results_of(study, cells, plan)
    for each in (compared(results), results.trends[0]):
        assert (each.planned, each.added_settings) == ("planned", ("igsm",))
        assert "; setting igsm was added after runs began" in each.answer
    assert "Runs of setting igsm were added after others had been seen" in results.notes
    assert "planned setting igsm added later" in markdown(results)
    for entries in (example_plan(study), with_later(study, {"recipes": knights | igsm}, {})):
        assert compared(results_of(study, cells, entries)).added_settings == ()


def test_an_arm_that_came_later_is_no_setting_that_did() -> None:
    study = example_study(num_arms=2, num_seeds=2)
    cells = [only(each, "rl test pass@1") for each in example_cells(study)]
    recipes = {f"{s}-{arm}": "1" for s in study.tasks for arm in study.arms}
    first = {name: key for name, key in recipes.items() if "tailor" not in name}
    plan = with_later(study, {"recipes": first}, {"recipes": recipes})
    assert compared(results_of(study, cells, plan)).added_settings == ()


def test_seeds_of_a_trend_that_came_later_are_said_to() -> None:
    study = four_arms()
    cells = [only(each, "rl test pass@1") for each in example_cells(study)]
    plan = with_later(study, {"seeds": [1, 2]}, {"seeds": [3]})
    assert "; seed 3 was added after runs began" in results_of(study, cells, plan).trends[0].answer


def test_without_a_plan_nothing_is_called_planned() -> None:
    results = results_of(two_arms(), plan=[])
    assert {c.planned for c in results.comparisons} == {"not planned"}
    assert results.answers == ()
    assert all(c.added_seeds == () for c in results.comparisons)


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


def test_each_claim_is_checked_against_its_own_range() -> None:
    """In studies of older versions, which could have two on one pair."""
    ranges = [(0.15, 0.3), (0.05, 0.12)]
    study = two_arms(comparisons=[
        {"arm": "tailor", "against": "rule_based", "low": low, "high": high} for low, high in ranges
    ])  # fmt: skip
    arms = {"tailor": (0.5, 0.61, 0.7), "rule_based": (0.4, 0.5, 0.6)}
    claims = results_of(study, cells_with("rl test pass@1", arms)).claims
    assert [each.published for each in claims] == ranges
    assert [each.same_size for each in claims] == ["smaller", "yes"]


@pytest.mark.parametrize("status", ["added", "not planned"])
def test_a_claim_that_was_not_planned_has_no_verdict(status: str) -> None:
    study = four_arms()
    cells = [only(each, "rl test pass@1") for each in example_cells(study)]
    bare = {key: value for key, value in example_plan(study)[0].items()
            if key not in ("comparisons", "trends")}  # fmt: skip
    planned = results_of(study, cells).claims
    assert "yes" in {each.same_sign for each in planned}
    assert all(each.planned == "planned" for each in planned)
    results = results_of(study, cells, [bare] if status == "added" else [])
    assert len(results.claims) == 2
    for claimed in results.claims:
        assert (claimed.planned, claimed.same_sign) == (status, "not planned")
        assert claimed.same_size in ("not planned", "\N{EN DASH}")
    column = claims_table(results).head.index("status")
    assert {str(row[column]) for row in claims_table(results).rows} == {status}


def test_a_claim_and_the_answer_to_its_comparison_go_by_the_same_test() -> None:
    arms = {"tailor": (0.5, 0.61, 0.7), "rule_based": (0.4, 0.5, 0.6)}
    alone = compared(results_of(two_arms(), cells_with("rl test pass@1", arms)))
    among_many = dataclasses.replace(alone, holm_p=0.068)
    assert "are not told apart" in comparison_answer(among_many, 9)
    (claimed,) = make_claims(two_arms(), [among_many], [], [])
    assert (claimed.same_sign, claimed.same_size) == ("not told apart", "smaller")


def test_an_arm_that_is_added_changes_no_area_between_others() -> None:
    asked = [{"arm": "tailor", "against": "rule_based", "figure": "auc"}]
    study = example_study(num_arms=3, num_seeds=3, tasks=(), comparisons=asked)
    cells = [only(each, "rl test pass@1", curve=True) for each in example_cells(study)]
    pair = [each for each in cells if each.arm != "standard_cot"]
    shorter = [
        each if each in pair else dataclasses.replace(each, curve=each.curve[:3]) for each in cells
    ]
    alone = compared(results_of(study, pair), "auc")
    assert alone.difference is not None
    assert compared(results_of(study, shorter), "auc") == alone
    means = {f.arm: f.mean for f in results_of(study, shorter).figures if f.figure == "auc"}
    assert len(means) == 3  # figures of all arms are up to what all have
    assert means["tailor"].value - means["rule_based"].value != alone.difference.value


def test_areas_along_a_trend_are_up_to_what_its_arms_have() -> None:
    study = four_arms()
    along = study.trends[0].model_copy(update={"figure": "auc"})
    study = study.model_copy(update={"trends": (along,)})
    cells = [only(each, "rl test pass@1", curve=True) for each in example_cells(study)]
    shorter = [
        each if each.arm in along.arms else dataclasses.replace(each, curve=each.curve[:3])
        for each in cells
    ]
    assert results_of(study, shorter).trends == results_of(study, cells).trends


def test_a_claim_on_a_trend_is_shown_a_place_with_the_means_along_it() -> None:
    study = example_study(num_arms=4, num_seeds=2, tasks=(), comparisons=[])
    arms = {"tailor": (0.5, 0.54), "rule_based": (0.4, 0.42), "standard_cot": (0.1, 0.1),
            "four_star": (0.3, 0.32)}  # fmt: skip
    results = results_of(study, cells_with("rl test pass@1", arms))
    (claimed,) = results.claims
    assert claimed.arms == ("four_star", "rule_based", "tailor")
    assert [mean and round(mean.value, 3) for mean in claimed.means] == [0.31, 0.41, 0.52]
    (row,) = claims_table(results).rows
    found = row[claims_table(results).head.index("found here")]
    assert found.text == "+10.5 points a place"
    assert found.note.endswith("; four_star 31.0 %, rule_based 41.0 %, tailor 52.0 %")
    assert "2 seeds of every arm here" in str(row[-1])
    assert "Page's test over 2 seeds" in results.trends[0].answer


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


def test_kinds_out_of_distribution_are_compared_where_their_mean_was_asked_for() -> None:
    study = two_arms(2, comparisons=[
        {"arm": "tailor", "against": "rule_based", "figure": "rl ood pass@1"}
    ])  # fmt: skip
    cells = example_cells(study)
    others = [c.figure for c in results_of(study, cells).comparisons if c.planned == "not planned"]
    axes = {name for cell in cells for name in cell.figures if "rl ood/" in name}
    axes = {name for name in axes if name.endswith("pass@1")}
    assert axes and axes <= set(others)


def test_one_seed_compares_without_interval_or_p() -> None:
    found = compared(results_of(two_arms(1)))
    assert found.difference is not None
    assert found.difference.value != 0
    assert (found.difference.low, found.p, found.holm_p, found.sign_flip_p) == (None,) * 4
    assert "nothing to test it by" in found.answer


def test_a_difference_has_an_interval_over_problems_where_every_run_has_figures_of_each() -> None:
    study = two_arms()
    cells = example_cells(study)
    wanted = ("rl test pass@1", "rl ood pass@1")
    for found in (compared(results_of(study, cells), figure) for figure in wanted):
        alone, both = found.difference, found.over_problems
        assert alone and both and both.value == pytest.approx(alone.value)
        assert both.low is not None and alone.low is not None
        assert both.low < both.value and (both.num_runs, both.fewest) == (3, 3)
    bare = [dataclasses.replace(cells[0], solved={}), *cells[1:]]
    assert compared(results_of(study, bare)).over_problems is None


def test_runs_on_different_problems_have_no_interval_over_problems() -> None:
    study = two_arms()
    one, *others = example_cells(study)
    split = dataclasses.replace(one.solved["rl test"], problems="others")
    moved = dataclasses.replace(one, solved={**one.solved, "rl test": split})
    results = results_of(study, [moved, *others])
    assert compared(results).over_problems is None
    assert compared(results, "rl ood pass@1").over_problems is not None
