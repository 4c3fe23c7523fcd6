"""Recipes: what is read is what was written, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailor_rl.config.load import (
    differences,
    fingerprint,
    load_config,
    override_config,
    parse_override,
    resolve_config,
    to_toml,
)
from tailor_rl.errors import ConfigError
from tests.small_recipes import RECIPE, TWO_CORES, refused, write_checkpoint, write_recipe


def test_a_recipe_holds_what_was_written_and_defaults_elsewhere(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path))
    assert (config.rl.group_size, config.rl.groups_per_step) == (4, 8)
    assert config.sft.epochs == 4


def test_a_recipe_printed_as_toml_reads_back_the_same(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["task.options.people=[2,3]", "rl.clip_low=0.1"])
    assert load_config(write_recipe(tmp_path, to_toml(config))) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rl.group_size=16", ("rl.group_size", 16)),
        ("rl.learning_rate = 1e-5", ("rl.learning_rate", 1e-5)),
        ("task.options.people=[2, 3]", ("task.options.people", [2, 3])),
        ('student="a b"', ("student", "a b")),
        ("student=students/tiny", ("student", "students/tiny")),
        ("teacher.base_url=http://h:1/v1?a=b", ("teacher.base_url", "http://h:1/v1?a=b")),
        ("rollout.enforce_eager=false", ("rollout.enforce_eager", False)),
        ("student=1\nseed = 2", ("student", "1\nseed = 2")),
    ],
)
def test_an_override_is_toml_where_it_can_be_and_text_elsewhere(
    text: str, expected: tuple[str, object]
) -> None:
    assert parse_override(text) == expected


def test_the_last_of_two_overrides_wins_over_the_file(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rl.group_size=6", "rl.group_size=12"])
    assert config.rl.group_size == 12


@pytest.mark.parametrize(
    ("override", "unknown", "nearest"),
    [
        ("rl.group_sise=8", '"rl.group_sise"', '"rl.group_size"'),
        ("group_size=8", '"group_size"', '"rl.group_size"'),
        ("rollouts.engines=2", '"rollouts"', '"rollout"'),
        ("sft.lerning_rate=1", '"sft.lerning_rate"', '"sft.learning_rate"'),
        ("evaluation.temprature=1", '"evaluation.temprature"', '"evaluation.temperature"'),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_known(
    tmp_path: Path, override: str, unknown: str, nearest: str
) -> None:
    said = refused(write_recipe(tmp_path), override)
    assert f"unknown key {unknown} on the command line" in said
    assert f"did you mean {nearest}?" in said


def test_an_unknown_key_in_the_file_names_the_file(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, RECIPE + "[sft]\nepoch = 3\n")
    assert refused(path) == f'unknown key "sft.epoch" in {path}; did you mean "sft.epochs"?'


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("rl.group_size=eight", ['rl.group_size = "eight"', "a whole number of at least 1", "8"]),
        ('rl.group_size="8"', ['rl.group_size = "8"', "a whole number"]),
        ("rl.group_size=0", ["rl.group_size = 0", "at least 1"]),
        ("rl.group_size=4.5", ["rl.group_size = 4.5", "a whole number"]),
        ("seed=true", ["seed = true", "a whole number"]),
        ("rl.learning_rate=0", ["rl.learning_rate = 0", "a number above 0"]),
        ("rl.gamma=1.5", ["rl.gamma = 1.5", "above 0 and of at most 1"]),
        ("rl.options=[1]", ["rl.options = [1]", "a section of keys", "leave the key out for {}"]),
        ("reward.weights=3", ["reward.weights = 3", 'leave the key out for {"correct": 1.0}']),
        ("rl.learning_rate=nan", ["rl.learning_rate = nan on the command line", "finite"]),
        ("rollout.enforce_eager=1", ["rollout.enforce_eager = 1", "true or false"]),
        ("rl.kl_estimate=k4", ['rl.kl_estimate = "k4"', '"k1", "k2", "k3"']),
        ("teacher.model=4", ["teacher.model = 4", "text in quotes"]),
        ("learner.zero_stage=4", ["learner.zero_stage = 4", "one of 0, 1, 2, 3"]),
        ("rl=3", ["rl = 3", "a section"]),
        ("evaluation.ood_splits=[1]", ["evaluation.ood_splits", "text in quotes"]),
        ("seed.x=1", ["seed.x", "seed"]),
        ("rl.group_size", ["rl.group_size", "key=value"]),
        ("=8", ["key=value"]),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(
    tmp_path: Path, override: str, parts: list[str]
) -> None:
    path = write_recipe(tmp_path, "seed = 1\n" + RECIPE)
    said = refused(path, override)
    assert [part for part in parts if part not in said] == [], said


def test_several_wrong_values_are_all_named(tmp_path: Path) -> None:
    said = refused(write_recipe(tmp_path), "rl.group_size=0", "sft.epochs=0", "rl.x=1")
    assert '"rl.x"' in said and "rl.group_size" in said and "sft.epochs" in said


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert '"student" is missing' in refused(write_recipe(tmp_path, '[task]\nname = "knights"'))


@pytest.mark.parametrize(
    ("text", "part"),
    [("student = \n", "not valid TOML"), ("a = 1\na = 2\n", "not valid TOML")],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(write_recipe(tmp_path, text))


def test_a_missing_recipe_names_its_neighbour(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    said = refused(tmp_path / "recipes.toml")
    assert f"did you mean {tmp_path / 'recipe.toml'}?" in said


def test_a_folder_and_bytes_are_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "is a folder" in refused(tmp_path)
    assert "UTF-8" in refused(tmp_path / "bytes.toml")


def test_the_resolved_recipe_says_where_it_came_from(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    record = resolve_config(path, ["rl.group_size=16"], command=["tailor", "run"]).to_json()
    assert json.loads(json.dumps(record)) is not None
    assert record["config"]["rl"]["group_size"] == 16
    assert record["provenance"]["file"] == str(path)
    assert record["provenance"]["overrides"] == ("rl.group_size=16",)
    assert record["provenance"]["time"].endswith("+00:00")


def test_any_changed_value_changes_the_fingerprint_and_some_may_differ_when_a_run_goes_on(
    tmp_path: Path,
) -> None:
    path = write_recipe(tmp_path)
    base, moved, other = (
        load_config(path, overrides)
        for overrides in ([], ["cluster.address=10.0.0.1:6379", "learner.ranks=2"], ["seed=7"])
    )
    prints = {fingerprint(config.model_dump(mode="json")) for config in (base, moved, other)}
    assert len(prints) == 3
    assert differences(base, moved) == []
    assert differences(base, other) == [("seed", "0", "7")]


def test_overrides_go_on_top_of_a_resolved_recipe(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rl.clip_low=0.1"])
    changed = override_config(config, ["seed=3"], source=tmp_path / "config.json")
    assert differences(config, changed) == [("seed", "0", "3")]


def test_a_student_is_looked_for_here_then_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    path = write_recipe(there)
    write_checkpoint(there / "student")
    monkeypatch.chdir(here)
    assert load_config(path).student == str(there / "student")
    write_checkpoint(here / "student")
    assert load_config(path).student == str(here / "student")


@pytest.mark.parametrize(("count", "threads"), [(1, 2), (2, 1), (3, 1)])
def test_no_threads_means_the_cores_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, threads: int
) -> None:
    monkeypatch.setattr("tailor_rl.config.load.this_machine", lambda: TWO_CORES)
    overrides = ["rollout.threads=0", f"rollout.engines={count}"]
    overrides += ["learner.threads=0", f"learner.ranks={count}"]
    config = load_config(write_recipe(tmp_path), overrides)
    assert (config.rollout.threads, config.learner.threads) == (threads, threads)


def test_each_split_has_its_number_of_problems(tmp_path: Path) -> None:
    overrides = ["evaluation.num_problems=9", "evaluation.num_validation_problems=3"]
    asked = load_config(write_recipe(tmp_path), overrides).evaluation
    assert [asked.problems_of(s) for s in ("test", "ood/people-4", "validation")] == [9, 9, 3]
    fewer = load_config(write_recipe(tmp_path), [*overrides, "evaluation.num_ood_problems=4"])
    assert [fewer.evaluation.problems_of(s) for s in ("test", "ood/people-4")] == [9, 4]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


BASE = """
student = "s"
[task]
name = "knights"
[task.options]
people = [2]
[rl]
num_steps = 7
"""
ABOVE = """
extends = "base.toml"
[rl]
group_size = 4
[task.options]
leaf_share = 0.5
"""


def test_a_recipe_may_extend_another_and_changes_only_what_it_names(tmp_path: Path) -> None:
    write(tmp_path / "base.toml", BASE)
    config = load_config(write(tmp_path / "above.toml", ABOVE))
    assert (config.rl.num_steps, config.rl.group_size) == (7, 4)
    assert config.task.options == {"people": [2], "leaf_share": 0.5}
    other = write(tmp_path / "other.toml", 'extends = "above.toml"\n[task]\nname = "igsm"\n')
    assert (load_config(other).task.name, load_config(other).task.options) == ("igsm", {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('extends = "missing.toml"', "there is no recipe"),
        ("extends = 3", r"extends = 3 in .*: it must be the path of a recipe"),
        ('extends = "self.toml"', "which extends it in turn"),
    ],
)
def test_a_recipe_that_cannot_extend_is_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(write(tmp_path / "self.toml", text))
