"""A cell that begins with parts that other cells made ends as one that made everything itself."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.bench.parts import keys_of, makes, recipe_key, wants
from tailor_rl.bench.sharing import SHARED_FROM, awaits, made_parts, share, shared_parts
from tailor_rl.config.load import Provenance, ResolvedConfig, differences, load_config
from tailor_rl.config.schema import RunConfig
from tailor_rl.kit import Kit
from tailor_rl.pipeline import tailor, train
from tailor_rl.runs.folder import RunFolder, read_recipes
from tailor_rl.runs.journal import RunJournal, read_stages
from tailor_rl.runs.ledger import read_ledger
from tailor_rl.screen import PlainScreen
from tailor_rl.summary import read_rows
from tests.fakes import (
    FakeGrader,
    FakeLearner,
    FakePool,
    FakeTask,
    FakeTeacher,
    FakeTokens,
    Fault,
    Killed,
)
from tests.lives import make_config, untimed

NOWHERE = Provenance(file="study.toml", overrides=(), command=(), time="")
LAST_OF_SFT = 6  # learner calls


def changed(cfg: RunConfig, **sections: Any) -> RunConfig:
    table = cfg.model_dump(mode="json")
    for section, values in sections.items():
        table[section] = {**table[section], **values} if isinstance(values, dict) else values
    return RunConfig.model_validate_json(json.dumps(table))


class Runs:
    """Run folders on fakes, one for each cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(
        self, name: str, cfg: RunConfig, *donors: str, kill_at: int | None = None
    ) -> tuple[dict[str, str], FakeTeacher, FakePool]:
        teacher, pool = FakeTeacher(), FakePool()
        resolved = ResolvedConfig(cfg, NOWHERE)
        with RunFolder.create(self.folder, resolved, name=name) as run:
            shared = share(cfg, run.path, [self.folder / donor for donor in donors])
            kit = Kit(
                cfg=cfg,
                task=FakeTask(),
                teacher=teacher,
                pool=pool,
                grader=FakeGrader(),
                learner=FakeLearner(Fault(kill_at)),
                tokens=FakeTokens(),
                journal=RunJournal(run, PlainScreen(io.StringIO())),
                train=train,
            )
            asyncio.run(tailor(kit))
        return shared, teacher, pool

    def rows(self, name: str) -> dict[str, list[dict[str, Any]]]:
        run = self.folder / name
        files = {str(p.relative_to(run)): read_rows(p) for p in run.rglob("*.jsonl")}
        return {name: sorted(map(untimed, rows), key=repr) for name, rows in files.items()}

    def spent(self, name: str) -> dict[str, dict[str, float]]:
        """Without what is a matter of time."""
        ledger = read_ledger(self.folder / name)
        timed = ("seconds", "teacher_seconds")
        return {
            stage: {kind: n for kind, n in row.items() if kind not in timed}
            for stage, row in ledger.items()
        }


GRPO = {"algorithm": "grpo", "dynamic_sampling": False}


@pytest.mark.parametrize(
    ("donor", "cell", "parts"),
    [
        (make_config(), changed(make_config(), rl=GRPO), {"base", "set", "sft"}),
        (make_config(), changed(make_config(), sft={"epochs": 3}), {"base", "set"}),
        (
            make_config(),
            changed(make_config(), demonstrations={"num_problems": 4}),
            {"base", "candidates", "attempts"},
        ),
        (make_config(initialisation="rule_based"), make_config(), {"base"}),
        (make_config(), make_config(initialisation="none"), {"base"}),
        (
            make_config(),
            make_config(initialisation="one_primitive"),
            {"base", "attempts", "candidates"},
        ),
        (
            make_config(initialisation="rule_based"),
            make_config(initialisation="re_distill"),
            {"base", "first_run"},
        ),
        (make_config(), make_config(), {"whole"}),
    ],
)  # fmt: skip
def test_a_cell_with_shared_parts_has_the_numbers_of_one_made_alone(
    tmp_path: Path, donor: RunConfig, cell: RunConfig, parts: set[str]
) -> None:
    runs = Runs(tmp_path)
    runs.make("donor", donor)
    runs.make("alone", cell)
    before = runs.rows("donor")
    shared, _, _ = runs.make("cell", cell, "donor")
    assert set(shared) == parts
    assert set(shared.values()) == {"donor"}
    assert as_read_outside(runs.rows("cell")) == as_read_outside(runs.rows("alone"))
    assert runs.spent("cell") == runs.spent("alone")
    assert runs.rows("donor") == before


def as_read_outside(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A first run that was made inside another has other files than one that was made alone: what
    it examined at its end, and what it tried. Compared is what the outer run reads of it.
    """
    inner = ("first_run/demonstrations", "first_run/metrics", "first_run/traces")
    return {
        name: sorted(rows[name], key=repr)
        for name in sorted(rows)
        if not name.startswith("first_run/") or name.startswith(inner)
    }


def test_what_was_shared_is_not_made_again_and_says_who_made_it(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.make("first", make_config())
    _, teacher, _ = runs.make("second", changed(make_config(), rl=GRPO), "first")
    assert not teacher.book.replies
    third = changed(make_config(), rl={**GRPO, "learning_rate": 1e-3})
    runs.make("third", third, "second")
    stages = read_stages(tmp_path / "third")
    assert {stage for stage, entry in stages.items() if SHARED_FROM in entry} == {
        "evaluate_base", "attempt", "discover", "screen", "select", "demonstrate", "curate", "sft",
        "evaluate_sft",
    }  # fmt: skip
    assert {entry[SHARED_FROM] for entry in stages.values() if SHARED_FROM in entry} == {"first"}


def test_a_run_that_was_killed_shares_what_it_had_finished(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with pytest.raises(Killed):
        runs.make("killed", make_config(), kill_at=LAST_OF_SFT)
    shared, _, _ = runs.make("cell", changed(make_config(), rl=GRPO), "killed")
    assert set(shared) == {"base", "set"}
    runs.make("alone", changed(make_config(), rl=GRPO))
    assert runs.rows("cell") == runs.rows("alone")


def test_nothing_is_shared_between_versions(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.make("donor", make_config())
    environment = json.loads((tmp_path / "donor" / "environment.json").read_text())
    for changed_version in ({"code": "another"}, {"packages": {"torch": "1.0"}}):
        (tmp_path / "donor" / "environment.json").write_text(
            json.dumps({**environment, **changed_version})
        )
        shared, _, _ = runs.make(f"cell-{len(list(tmp_path.iterdir()))}", make_config(), "donor")
        assert shared == {}


@pytest.mark.parametrize(
    ("change", "apart"),
    [
        ({"seed": 7}, {"base", "attempts", "candidates", "set", "sft", "whole"}),
        ({"student": "other"}, {"base", "attempts", "candidates", "set", "sft", "whole"}),
        ({"task": {"seed": 1}}, {"base", "attempts", "candidates", "set", "sft", "whole"}),
        ({"attempts": {"num_problems": 2}}, {"attempts", "candidates", "set", "sft", "whole"}),
        ({"primitives": {"num_primitives": 2}}, {"candidates", "set", "sft", "whole"}),
        ({"teacher": {"model": "other"}}, {"candidates", "set", "sft", "whole"}),
        ({"demonstrations": {"max_tries": 1}}, {"set", "sft", "whole"}),
        ({"sft": {"epochs": 5}}, {"sft", "whole"}),
        ({"evaluation": {"num_problems": 2}}, {"base", "sft", "whole"}),
        ({"rl": {"learning_rate": 1.0}}, {"whole"}),
        ({"rl": {"max_tokens": 4}}, {"attempts", "candidates", "set", "sft", "whole"}),
        ({"cluster": {"address": "local"}}, set()),
        ({"learner": {"threads": 2}}, set()),
        ({"rollout": {"threads": 2}}, set()),
    ],
)
def test_a_key_keeps_apart_the_parts_that_depend_on_it(
    change: dict[str, Any], apart: set[str]
) -> None:
    first, second = keys_of(make_config()), keys_of(changed(make_config(), **change))
    assert {name for name in first if first[name] != second[name]} == apart


def test_what_is_left_of_a_budget_is_a_runs_own() -> None:
    poor, rich = (
        changed(make_config(), teacher={"budget_tokens": num}) for num in (1_000, 1_000_000)
    )
    assert "candidates" not in keys_of(poor)
    for part in ("set", "sft", "whole"):
        assert keys_of(poor)[part] != keys_of(rich)[part]


def test_how_the_learner_cuts_its_work_keeps_policies_apart() -> None:
    first, second = (
        keys_of(changed(make_config(), learner={"packing": packing})) for packing in (True, False)
    )
    assert first["sft"] != second["sft"]
    assert first["whole"] != second["whole"]


def test_candidates_that_were_tried_depend_on_where_their_trial_problems_begin() -> None:
    few, many = (
        changed(
            make_config(),
            primitives={"trial_problems": 2},
            demonstrations={"num_problems": num},
        )
        for num in (4, 400)
    )
    assert keys_of(few)["candidates"] != keys_of(many)["candidates"]


def test_the_set_of_a_file_of_ones_own_may_depend_on_everything() -> None:
    own = make_config(initialisation="file.py:own")
    assert keys_of(own)["set"] != keys_of(changed(own, rl=GRPO))["set"]
    assert keys_of(make_config())["set"] == keys_of(changed(make_config(), rl=GRPO))["set"]


def test_nothing_is_shared_of_what_was_made_from_a_file_that_changed(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "config.json").write_text("one")
    cfg = changed(make_config(initialisation="none"), student=str(tmp_path / "student"))
    runs = Runs(tmp_path / "runs")
    runs.make("donor", cfg)
    assert set(runs.make("same", cfg, "donor")[0]) == {"whole"}
    (tmp_path / "student" / "config.json").write_text("another")
    assert runs.make("other", cfg, "donor")[0] == {}


def test_how_many_are_selected_does_not_matter_to_candidates_that_are_counted() -> None:
    four, eight = (
        changed(make_config(), primitives={"num_primitives": num, "num_candidates": 12})
        for num in (4, 8)
    )
    assert keys_of(four)["candidates"] == keys_of(eight)["candidates"]
    assert keys_of(four)["set"] != keys_of(eight)["set"]


def test_a_set_that_trains_on_the_way_depends_on_the_training(tmp_path: Path) -> None:
    first = make_config(initialisation="re_distill")
    for change in ({"rl": {"learning_rate": 1.0}}, {"sft": {"epochs": 5}}):
        assert keys_of(first)["set"] != keys_of(changed(first, **change))["set"]


def waits(
    cfg: RunConfig,
    *,
    busy: Sequence[RunConfig] = (),
    waiting: Sequence[RunConfig] = (),
    donors: Sequence[Path] = (),
) -> bool:
    return awaits(wants(cfg), map(makes, busy), map(makes, waiting), made_parts(donors))


def test_a_cell_waits_for_a_running_one_that_is_about_to_make_what_it_needs(
    tmp_path: Path,
) -> None:
    dapo, grpo = make_config(), changed(make_config(), rl=GRPO)
    ruled, distilled = (make_config(initialisation=name) for name in ("rule_based", "re_distill"))
    assert waits(grpo, busy=[dapo])
    assert not waits(grpo, waiting=[dapo])  # one of the two has to begin
    assert waits(distilled, waiting=[ruled])  # this one's first run is all that the other is
    assert not waits(distilled, waiting=[grpo])
    bare = make_config(initialisation="none")
    assert waits(bare, busy=[dapo])  # for the student's evaluation
    runs = Runs(tmp_path)
    runs.make("dapo", dapo)
    assert not waits(grpo, busy=[dapo], donors=[tmp_path / "dapo"])
    assert not waits(bare, busy=[dapo], donors=[tmp_path / "dapo"])
    policy = changed(dapo, sft={"epochs": 3})
    assert waits(changed(policy, rl=GRPO), busy=[policy], donors=[tmp_path / "dapo"])


def test_what_a_grid_saves_is_counted_as_it_is_shared() -> None:
    cells = [make_config(), changed(make_config(), rl=GRPO), make_config(initialisation="none")]
    assert shared_parts(cells) == [[], ["base", "set", "sft"], ["base"]]


def test_how_many_cores_a_machine_has_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    """A recipe with threads = 0 becomes another one on each machine."""
    (tmp_path / "recipe.toml").write_text(
        (Path(__file__).parents[1] / "recipes" / "tiny.toml").read_text()
        + "[teacher.more.second]\nmodel = 'builtin-novice'\n"
    )
    few, many = (
        load_config(
            tmp_path / "recipe.toml",
            [
                f"{section}.threads={threads}"
                for section in (
                    "rollout", "learner", "teacher.hosted", "teacher.more.second.hosted",
                )
            ],
        )
        for threads in (1, 3)
    )  # fmt: skip
    assert few.teacher.more["second"].hosted.threads != many.teacher.more["second"].hosted.threads
    assert differences(few, many) == []
    assert len(differences(few, many, free=True)) == 4
    assert keys_of(few) == keys_of(many)
    assert recipe_key(few) == recipe_key(many)


def test_a_cell_that_another_study_has_made_costs_nothing() -> None:
    cells = [make_config(), changed(make_config(), rl=GRPO)]
    made = makes(cells[0]).values()
    assert shared_parts(cells, list(made)) == [["whole"], ["base", "set", "sft"]]


def test_what_a_run_made_by_either_of_two_recipes_is_nobody_elses(tmp_path: Path) -> None:
    """It ran out of its budget and went on with more: by which of them its set is, none can say."""
    poor, rich = (
        changed(make_config(), teacher={"budget_tokens": num}) for num in (1_000, 1_000_000)
    )
    runs = Runs(tmp_path)
    runs.make("donor", poor)
    assert {part for part, _ in made_parts([tmp_path / "donor"])} >= {"base", "set", "sft", "whole"}
    for _ in range(2):  # noted once
        with RunFolder.resume(tmp_path / "donor", ResolvedConfig(rich, NOWHERE)):
            assert read_recipes(tmp_path / "donor") == [poor, rich]
    assert {part for part, _ in made_parts([tmp_path / "donor"])} == {"base", "attempts"}
    with RunFolder.resume(tmp_path / "donor", None):
        assert read_recipes(tmp_path / "donor") == [poor, rich]
