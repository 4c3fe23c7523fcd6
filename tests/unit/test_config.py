"""Recipes: what is read is what was written, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailor_rl.cli_plan import forecast, plan_lines
from tailor_rl.config.checks import (
    check_lengths,
    check_machine,
    check_options,
    check_positions,
    check_splits,
)
from tailor_rl.config.load import (
    differences,
    fingerprint,
    load_config,
    override_config,
    parse_override,
    resolve_config,
    to_toml,
)
from tailor_rl.config.student import check_student
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine
from tailor_rl.tasks.registry import load_task

RECIPE = """
student = "student"
[task]
name = "knights"
[rl]
group_size = 4
groups_per_step = 8
"""
TWO_CORES = Machine(cores=2, gpus=0, memory_gib=8.0)


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def write_checkpoint(folder: Path, **config: object) -> Path:
    """The files of a checkpoint, without weights or words."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2", **config}))
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def refused(path: Path, *overrides: str) -> str:
    """The sentence with which a recipe is refused, by itself or by `check_options`."""
    with pytest.raises(ConfigError) as caught:
        check_options(load_config(path, overrides))
    text = str(caught.value)
    assert "\n" not in text
    assert "pydantic" not in text.lower() and "validation error" not in text.lower()
    return text


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
        ("rl.group_size=eight", ['rl.group_size = "eight"', "a whole number of at least 2", "8"]),
        ('rl.group_size="8"', ['rl.group_size = "8"', "a whole number"]),
        ("rl.group_size=1", ["rl.group_size = 1", "at least 2"]),
        ("rl.group_size=4.5", ["rl.group_size = 4.5", "a whole number"]),
        ("seed=true", ["seed = true", "a whole number"]),
        ("rl.learning_rate=0", ["rl.learning_rate = 0", "a number above 0"]),
        ("rl.clip_low=1.5", ["rl.clip_low = 1.5", "above 0 and below 1"]),
        ("rl.learning_rate=nan", ["rl.learning_rate = nan", "finite"]),
        ("rollout.enforce_eager=1", ["rollout.enforce_eager = 1", "true or false"]),
        ("rl.algorithm=ppo", ['rl.algorithm = "ppo"', '"dapo", "grpo"']),
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
    said = refused(write_recipe(tmp_path), "rl.group_size=1", "sft.epochs=0", "rl.x=1")
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


def test_the_fingerprint_ignores_only_where_a_run_goes_on(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    base, moved, other = (
        load_config(path, overrides)
        for overrides in ([], ["cluster.address=10.0.0.1:6379"], ["seed=7"])
    )
    prints = [fingerprint(config.model_dump(mode="json")) for config in (base, moved, other)]
    assert prints[0] == prints[1] != prints[2]
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


# ----- options that do not go together


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["learner.ranks=3"], ["rl.groups_per_step=8", "rl.group_size=4", "learner.ranks=3"]),
        (["rl.updates_per_step=5"], ["rl.updates_per_step=5", "multiple of 5"]),
        (["learner.ranks=2", "sft.batch_size=5"], ["sft.batch_size=5", "sft.batch_size=6"]),
        (["rl.max_tokens=512"], ["rl.max_tokens=512", "rollout.max_model_len=512"]),
        (["evaluation.max_tokens=600"], ["evaluation.max_tokens=600", "rollout.max_model_len"]),
        (["rl.overlong_buffer=256"], ["rl.overlong_buffer=256", "rl.max_tokens=256"]),
        (["rl.temperature=0.001"], ["rl.temperature=0.001", "0.01"]),
        (["attempts.temperature=0"], ["attempts.temperature=0", "attempts.samples_per_problem=4"]),
        (
            ["attempts.num_problems=1", "primitives.attempts_per_request=6"],
            ["primitives.attempts_per_request=6", "attempts.num_problems=1"],
        ),
        (
            ["primitives.max_requests=2", "primitives.num_primitives=25"],
            ["primitives.num_primitives=25", "primitives.max_requests=2"],
        ),
        (["teacher.base_url=localhost:8000"], ["teacher.base_url", "http://"]),
        (["learner.dtype=bfloat16"], ["learner.dtype='bfloat16'", "learner.zero_stage=0"]),
        (["cluster.address=http://h:8265"], ["cluster.address", "tailor submit"]),
    ],
)
def test_options_that_do_not_go_together_are_both_named(
    tmp_path: Path, overrides: list[str], parts: list[str]
) -> None:
    said = refused(write_recipe(tmp_path), *overrides)
    assert [part for part in parts if part not in said] == [], said


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["learner.zero_stage=3"],
        ["initialisation=none", "learner.ranks=2", "sft.batch_size=5"],
        ["initialisation=rule_based", "attempts.temperature=0"],
        ["rollout.dtype=bfloat16", "learner.dtype=bfloat16", "learner.zero_stage=1"],
        ["rl.overlong_buffer=255"],
    ],
)
def test_options_that_go_together_pass(tmp_path: Path, overrides: list[str]) -> None:
    check_options(load_config(write_recipe(tmp_path), overrides))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["learner.ranks=3"], ["learner.ranks=3", "2 cores"]),
        (["learner.threads=3"], ["learner.threads=3", "2 cores"]),
        (["rollout.engines=4"], ["learner.ranks=1", "rollout.engines=4", "5 threads"]),
        (["rollout.gpus_per_engine=1"], ["rollout.gpus_per_engine=1", "this machine has 0"]),
        (["learner.gpus_per_rank=1"], ["learner.gpus_per_rank=1", "this machine has 0"]),
        (["rollout.tensor_parallel=2"], ["rollout.tensor_parallel=2", "rollout.gpus_per_engine"]),
        (["rollout.kv_cache_gib=9"], ["rollout.kv_cache_gib=9", "8 GiB"]),
    ],
)
def test_more_than_the_machine_has_is_refused(
    tmp_path: Path, overrides: list[str], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_machine(load_config(write_recipe(tmp_path), overrides), TWO_CORES)
    assert [part for part in parts if part not in str(caught.value)] == [], caught.value


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


@pytest.mark.parametrize("count", [1, 2])
def test_as_many_engines_and_ranks_as_cores_fit(tmp_path: Path, count: int) -> None:
    overrides = [f"learner.ranks={count}", f"rollout.engines={count}"]
    check_machine(load_config(write_recipe(tmp_path), overrides), TWO_CORES)


def test_parts_on_gpus_need_no_cores(tmp_path: Path) -> None:
    overrides = ["learner.ranks=4", "learner.gpus_per_rank=1", "rollout.gpus_per_engine=1"]
    machine = Machine(cores=2, gpus=5, memory_gib=8.0)
    check_machine(load_config(write_recipe(tmp_path), overrides), machine)


def test_more_positions_than_the_student_has_are_refused(tmp_path: Path) -> None:
    student = check_student(
        str(write_checkpoint(tmp_path / "student", max_position_embeddings=256)), ()
    )
    config = load_config(write_recipe(tmp_path))
    with pytest.raises(ConfigError, match=r"rollout\.max_model_len=512 .* 256 positions"):
        check_positions(config, student)


class WordTokens:
    """A token a word."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return tuple(range(len(prompt.split())))

    def encode_completion(self, text: str) -> tuple[int, ...]:
        return self.encode_prompt(text)

    def decode(self, token_ids: object) -> str:
        raise NotImplementedError


def test_the_longest_prompt_and_an_answer_must_fit_the_engine(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rollout.max_model_len=400"])
    task = load_task("knights", seed=0, options={})
    with pytest.raises(ConfigError, match=r"evaluation\.max_tokens=384 need \d+ tokens") as caught:
        check_lengths(config, task, WordTokens())
    needed = str(caught.value).partition("set rollout.max_model_len=")[2].split()[0]
    enough = load_config(write_recipe(tmp_path), [f"rollout.max_model_len={needed}"])
    check_lengths(enough, task, WordTokens())


def test_a_split_that_the_task_lacks_is_refused(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ['evaluation.ood_splits=["ood/people-9"]'])
    with pytest.raises(ConfigError, match=r"ood/people-9.*ood/people-4"):
        check_splits(config, load_task("knights", seed=0, options={}))


# ----- students


def refused_student(folder: Path | str, *searched: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check_student(str(folder), searched)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_student_without_one_of_its_files_is_refused(tmp_path: Path, missing: str) -> None:
    folder = write_checkpoint(tmp_path / "student")
    (folder / missing).unlink()
    assert missing.partition(".")[2] in refused_student(folder)


def test_a_student_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "student")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pickled weights (pytorch_model.bin)" in refused_student(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_student_with_code_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "student")
    (folder / name).write_text(json.dumps({"auto_map": {"AutoConfig": "evil.Config"}}))
    assert f"{name} has auto_map" in refused_student(folder)


def test_a_damaged_student_and_a_file_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "student")
    (folder / "config.json").write_text("{")
    assert "cannot be read as JSON" in refused_student(folder)
    assert "is a file" in refused_student(folder / "tokenizer.json")


def test_a_model_id_passes_and_a_misspelt_path_does_not(tmp_path: Path) -> None:
    assert check_student("Qwen/Qwen2.5-0.5B", (tmp_path,)).folder is None
    (tmp_path / "students").mkdir()
    assert "correct the path" in refused_student("students/typo", tmp_path)
    assert "correct the path" in refused_student("/no/such/folder", tmp_path)


# ----- the plan


def test_the_forecast_multiplies_what_the_recipe_says(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rl.num_steps=20", "evaluation.every=10"])
    cost = forecast(config, ("train", "validation", "test", "ood/people-4"))
    assert cost.attempt_rollouts == 64 * 4
    assert cost.rl_rollouts == 20 * 8 * 4
    assert cost.evaluation_rollouts == (3 * 2 * 200 + 2 * 64) * 8
    assert cost.teacher_requests == (512 + 1, 512 * 3 + 64)
    assert cost.sft_steps == 4 * 8


def test_a_run_without_a_teacher_forecasts_no_requests(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["initialisation=rule_based"])
    assert forecast(config, ("test",)).teacher_requests == (0, 0)
    assert not any("teacher" in line for line in plan_lines(config, ("test",), TWO_CORES))


def test_a_model_that_cannot_be_downloaded_is_said_in_one_sentence() -> None:
    code = (
        "from tailor_rl.config.student import fetch_student\n"
        "try: fetch_student('nobody/nothing')\n"
        "except ValueError as error: print(error)"
    )
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1"}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert said.stdout.startswith("student = 'nobody/nothing' cannot be downloaded")
    assert said.stdout.count("\n") == 1
