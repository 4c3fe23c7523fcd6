"""A run folder as figures: every number is one that stands in the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tailor_rl.bench.reading import read_cell
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import append_line, read_json, write_json
from tailor_rl.runs.ledger import read_ledger
from tailor_rl.summary import read_rows
from tests.lives import make_config
from tests.unit.test_bench_sharing import Runs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished runs; nobody writes to them."""
    runs = Runs(tmp_path_factory.mktemp("made"))
    for name in ("tailor", "re_distill", "none"):
        runs.make(name, make_config(initialisation=name))
    return runs.folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Runs:
    """Copies, to be damaged at will."""
    shutil.copytree(made, tmp_path / "runs")
    return Runs(tmp_path / "runs")


def read(runs: Runs, name: str):
    return read_cell(runs.folder / name, setting="all", arm=name, seed=0)


def test_figures_are_those_of_the_tables(runs: Runs) -> None:
    cell = read(runs, "tailor")
    rows = read_rows(runs.folder / "tailor" / "evaluations.jsonl")
    for row in rows:
        if row["split"] != "validation":
            name = "greedy" if row["metric"] == "greedy" else f"pass@{row['k']}"
            assert cell.figures[f"{row['stage']} {row['split']} {name}"] == row["value"]
    figures = cell.figures
    gain = figures["rl test pass@1"] - figures["sft test pass@1"]
    assert figures["gain test pass@1"] == pytest.approx(gain)
    assert figures["rl ood pass@1"] == figures["rl ood/large pass@1"]  # the only axis
    assert (cell.arm, cell.seed, cell.cell) == ("tailor", 0, "tailor")
    assert set(cell.versions) > {"code", "torch"}


def test_what_was_solved_of_each_problem_makes_up_the_figures(runs: Runs) -> None:
    cell = read(runs, "tailor")
    assert {"sft test", "rl test", "rl ood/large"} <= set(cell.solved)
    for name, solved in cell.solved.items():
        assert sum(solved.shares) / len(solved.shares) == pytest.approx(
            cell.figures[f"{name} pass@1"]
        )
        assert len(solved.families) == len(solved.shares) > 1
    other = read(runs, "none")
    assert {n: s.problems for n, s in other.solved.items()}.items() <= {
        n: s.problems for n, s in cell.solved.items()
    }.items()
    path = runs.folder / "tailor" / "results" / "eval-rl.jsonl"
    first, *others = path.read_text().splitlines()
    ungraded = json.dumps({**json.loads(first), "correct": []})
    path.write_text("\n".join([ungraded, *others]) + "\n")
    split = json.loads(first)["split"]
    assert f"rl {split}" not in read(runs, "tailor").solved
    path.unlink()
    assert not any(name.startswith("rl ") for name in read(runs, "tailor").solved)


def test_ood_is_the_mean_over_axes_and_only_where_all_were_measured(runs: Runs) -> None:
    path = runs.folder / "tailor" / "evaluations.jsonl"
    rows = read_rows(path)
    for stage, value in (("sft", 0.25), ("rl", 0.75)):
        like = next(row for row in rows if (row["stage"], row["split"]) == (stage, "ood/large"))
        append_line(
            path, json.dumps({**like, "split": "ood/small", "value": value, "axis": "small"})
        )
    figures = read(runs, "tailor").figures
    one = figures["rl ood/large pass@1"]
    assert figures["rl ood pass@1"] == pytest.approx((one + 0.75) / 2)
    assert "base ood pass@1" not in figures
    assert figures["gain ood pass@1"] == figures["rl ood pass@1"] - figures["sft ood pass@1"]


def test_the_curve_says_what_every_measurement_had_cost(runs: Runs) -> None:
    curve = read(runs, "tailor").curve
    assert [measured.step for measured in curve] == [0, 2, 4]
    metrics = read_rows(runs.folder / "tailor" / "metrics.jsonl")
    in_rl = {row["step"]: row for row in metrics if row["stage"] == "rl"}
    assert (curve[0].rollouts, curve[0].generated_tokens, curve[0].learner_tokens) == (0, 0, 0)
    assert curve[1].rollouts == in_rl[2]["spent_rollouts"]
    assert curve[2].generated_tokens == in_rl[4]["spent_tokens"]
    spent = read_ledger(runs.folder / "tailor")["rl"]
    assert curve[2].learner_tokens == spent["learner_tokens"]
    assert curve[2].rollouts == spent["rollouts"]
    assert curve[2].seconds == pytest.approx(sum(row["seconds"] for row in in_rl.values()))


def test_costs_are_apart_and_what_a_kill_made_void_is_nobodys(runs: Runs) -> None:
    path = runs.folder / "tailor" / "ledger.json"
    ledger = read_json(path)
    write_json(path, {**ledger, "rl_lost": {"rollouts": 1000}, "demonstrate_lost": {"rollouts": 9}})
    cell = read(runs, "tailor")
    rows = read_rows(runs.folder / "tailor" / "metrics.jsonl")
    for stage, charged in (("sft", cell.sft), ("rl", cell.rl)):
        steps = [row["seconds"] for row in rows if row["stage"] == stage and "seconds" in row]
        assert charged == {**ledger[stage], "seconds": pytest.approx(sum(steps))}
    assert cell.making["rollouts"] == ledger["attempt"]["rollouts"]
    requests = sum(
        ledger[stage].get("teacher_requests", 0) for stage in ("discover", "demonstrate")
    )
    assert cell.making["teacher_requests"] == requests


def test_the_first_run_of_re_distillation_is_a_part_of_its_price(runs: Runs) -> None:
    cell, ledger = read(runs, "re_distill"), read_ledger(runs.folder / "re_distill")
    assert cell.making["learner_tokens"] == ledger["first_run"]["learner_tokens"] > 0
    measured = read_ledger(runs.folder / "re_distill" / "first_run")["validation"]["rollouts"]
    assert measured > 0  # which is in its ledger's row, and no part of the price
    sampled = ledger["demonstrate"]["rollouts"]
    assert cell.making["rollouts"] == ledger["first_run"]["rollouts"] - measured + sampled


def test_void_steps_of_the_first_run_are_no_part_of_its_price(runs: Runs) -> None:
    before = read(runs, "re_distill").making
    run = runs.folder / "re_distill"
    inner, outer = read_ledger(run / "first_run"), read_ledger(run)
    lost = {"sft_lost": {"seconds": 30.0}, "rl_lost": {"seconds": 100.0, "rollouts": 64}}
    write_json(run / "first_run" / "ledger.json", {**inner, **lost})
    outer["first_run"]["seconds"] += 130.0  # the outer stage was open all the while
    write_json(run / "ledger.json", outer)
    assert read(runs, "re_distill").making == pytest.approx(before)


def test_facts_of_the_set_are_those_of_its_lineage(runs: Runs) -> None:
    facts = read(runs, "tailor").set_facts
    assert facts is not None
    assert (facts.examples, facts.queries, facts.right, facts.sft_steps) == (5, 5, 1.0, 6)
    assert facts.learner_tokens == read_ledger(runs.folder / "tailor")["sft"]["learner_tokens"]


def test_a_run_without_sft_gains_over_its_base(runs: Runs) -> None:
    cell = read(runs, "none")
    assert cell.set_facts is None
    assert cell.making == {}
    gain = cell.figures["rl test pass@1"] - cell.figures["base test pass@1"]
    assert cell.figures["gain test pass@1"] == pytest.approx(gain)


def test_a_run_without_an_end_is_no_cell(runs: Runs) -> None:
    path = runs.folder / "tailor" / "evaluations.jsonl"
    kept = [row for row in path.read_text().splitlines() if '"split": "test"' not in row]
    path.write_text("".join(f"{line}\n" for line in kept))
    with pytest.raises(RunFolderError, match="no evaluation after RL"):
        read(runs, "tailor")
