"""Teachers that do not go together with the recipe; models to host that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.placement import Node, check_fits, make_plan
from tailor_rl.cli_plan import plan_lines
from tailor_rl.config.load import load_config
from tailor_rl.config.machine import check_machine
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.teachers import check_hosted_models, check_teachers
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine
from tests.small_recipes import TWO_CORES, write_checkpoint

RECIPES = Path(__file__).parents[2] / "recipes"
VLLM = {"base_url": "vllm", "model": "models/big"}


def recipe(teacher: dict[str, Any], **sections: Any) -> RunConfig:
    base = {"student": "s", "task": {"name": "knights"}, "teacher": teacher}
    return RunConfig.model_validate({**base, **sections})


def hosted(**settings: Any) -> dict[str, Any]:
    return {**VLLM, "hosted": settings}


@pytest.mark.parametrize(
    ("teacher", "sections", "parts"),
    [
        ({"base_url": "localhost:8000"}, {}, ["teacher.base_url", '"vllm"', "http://"]),
        ({"base_url": "http://[::1"}, {}, ["teacher.base_url", "http://["]),
        ({"base_url": "https://u:p@h/v1"}, {}, ["teacher.base_url for h holds", "api_key_env"]),
        (
            {"more": {"big": {"base_url": "ftp://x"}}},
            {},
            ['teacher.more.big.base_url = "ftp://x"', '"builtin"'],
        ),
        ({"more": {"teacher": {}}}, {}, ["teacher.more.teacher", "choose another name"]),
        ({"more": {"a b": {}}}, {}, ["'a b'", "letters"]),
        ({"base_url": "vllm"}, {}, ['teacher.model, which is still "builtin-solver"', "folder"]),
        (
            {"hosted": {"engines": 2}},
            {},
            ["teacher.hosted.engines=2", 'teacher.base_url = "builtin"'],
        ),
        (
            {"more": {"big": {"base_url": "http://h/v1", "hosted": {"dtype": "float32"}}}},
            {},
            ["teacher.more.big.hosted.dtype=float32", 'teacher.more.big.base_url = "http://h/v1"'],
        ),
        (
            hosted(tensor_parallel=2, gpus_per_engine=1),
            {},
            ["teacher.hosted.tensor_parallel=2", "set teacher.hosted.gpus_per_engine=2"],
        ),
        (
            hosted(tensor_parallel=2),
            {},
            ["teacher.hosted.gpus_per_engine=0", "teacher.hosted.tensor_parallel=1 on a CPU"],
        ),
        (
            hosted(gpus_per_engine=4),
            {},
            ["teacher.hosted.tensor_parallel=1", "teacher.hosted.gpus_per_engine=4"],
        ),
        (
            {**VLLM, "max_tokens": 4096},
            {},
            ["teacher.max_tokens=4096", "teacher.hosted.max_model_len=4096"],
        ),
        (
            {"budget_money": 5.0, "more": {"big": {"share": 2}}},
            {},
            ["teacher.budget_money is 5", "price_completion", "teacher.budget_tokens"],
        ),
        (
            {"budget_money": 5.0, "more": {"big": {"share": 0, "price_prompt": 1.0}}},
            {},
            ["teacher.budget_money is 5"],
        ),
        ({}, {"primitives": {"guard": "llama"}}, ['primitives.guard = "llama"', "has teacher"]),
        ({}, {"measures": {"judge": "big"}}, ['measures.judge = "big"', "[teacher.more.big]"]),
        (
            {"share": 0, "more": {"big": {"share": 0}}},
            {},
            ["teacher.share, teacher.more.big.share", 'initialisation = "tailor"'],
        ),
    ],
)
def test_teachers_that_do_not_go_together_with_the_recipe_are_named(
    teacher: dict[str, Any], sections: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_teachers(recipe(teacher, **sections))
    said = str(refusal.value)
    assert [part for part in parts if part not in said] == [], said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("teacher", "sections"),
    [
        ({}, {}),
        ({"base_url": "https://api.example.com/v1", "model": "m"}, {}),
        (hosted(), {}),
        (hosted(gpus_per_engine=2, tensor_parallel=2, engines=4), {}),
        (hosted(gpus_per_engine=0.5), {}),
        ({"share": 0, "more": {"big": VLLM}}, {}),
        ({"share": 0}, {"initialisation": "rule_based"}),
        ({"budget_money": 5.0, "price_completion": 0.1}, {}),
        ({"budget_money": 5.0, "more": {"big": {"price_prompt": 0.1}}}, {}),
        ({"budget_money": 5.0}, {"initialisation": "rule_based"}),
        (
            {"more": {"guard": {"share": 0}}},
            {"primitives": {"guard": "guard"}, "measures": {"judge": "teacher"}},
        ),
    ],
)
def test_teachers_that_go_together_pass(teacher: dict[str, Any], sections: dict[str, Any]) -> None:
    check_teachers(recipe(teacher, **sections))


# ----- models to host


def test_the_folder_of_a_hosted_teacher_must_hold_a_model(tmp_path: Path) -> None:
    missing = recipe({"more": {"big": {**VLLM, "model": str(tmp_path)}}})
    with pytest.raises(ConfigError, match=r"teacher\.more\.big\.model .* has no config\.json"):
        check_hosted_models(missing, ())
    (tmp_path / "file").write_text("")
    wrong = recipe({"more": {"big": {**VLLM, "model": str(tmp_path / "file")}}})
    with pytest.raises(ConfigError, match=r"teacher\.more\.big\.model = .* is a file"):
        check_hosted_models(wrong, ())


def test_a_hosted_teacher_must_have_positions_for_its_context(tmp_path: Path) -> None:
    model = str(write_checkpoint(tmp_path / "big", max_position_embeddings=2048))
    with pytest.raises(ConfigError, match=r"set teacher\.hosted\.max_model_len=2048 or less"):
        check_hosted_models(recipe({**VLLM, "model": model}), ())
    fits = recipe({**VLLM, "model": model, "hosted": {"max_model_len": 2048}})
    assert check_hosted_models(fits, ()) == ()


def test_a_model_id_will_be_downloaded_and_a_teacher_nobody_asks_is_not_looked_at() -> None:
    by_id = {"base_url": "vllm", "model": "Qwen/Qwen2.5-7B-Instruct"}
    assert "will be downloaded" in check_hosted_models(recipe(by_id), ())[0]
    missing = {"base_url": "vllm", "model": "/no/such/folder"}
    assert check_hosted_models(recipe(missing, initialisation="rule_based"), ()) == ()
    assert check_hosted_models(recipe({"more": {"x": {**missing, "share": 0}}}), ()) == ()


# ----- what they occupy


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (
            {"engines": 2, "gpus_per_engine": 2, "tensor_parallel": 2},
            ["teacher.hosted.engines=2 x teacher.hosted.gpus_per_engine=2", "has 0"],
        ),
        ({"engines": 3}, ["teacher.hosted.engines=3", "5 threads on 2 cores", "lower teacher."]),
        (
            {"kv_cache_gib": 8.0},
            ["teacher.hosted.engines=1 x teacher.hosted.kv_cache_gib=8", "8 GiB"],
        ),
    ],
)
def test_hosted_teachers_count_in_what_the_machine_must_carry(
    settings: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_machine(recipe(hosted(**settings)), TWO_CORES)
    assert [part for part in parts if part not in str(refusal.value)] == [], refusal.value
    check_machine(recipe(hosted(**settings), initialisation="rule_based"), TWO_CORES)


def test_gpus_of_ranks_engines_and_teachers_add_up() -> None:
    cfg = recipe(
        hosted(engines=2, gpus_per_engine=2, tensor_parallel=2),
        rollout={"engines": 2, "gpus_per_engine": 1},
        learner={"ranks": 2, "gpus_per_rank": 1},
    )
    check_machine(cfg, Machine(cores=2, gpus=8, memory_gib=8.0))
    with pytest.raises(ConfigError, match="ask for 8 GPUs and this machine has 7"):
        check_machine(cfg, Machine(cores=2, gpus=7, memory_gib=8.0))


def test_the_plan_shows_where_hosted_teachers_run_and_who_gets_how_much() -> None:
    settings = {"engines": 2, "gpus_per_engine": 2, "tensor_parallel": 2}
    cfg = recipe(
        {"more": {"big": {**hosted(**settings), "share": 3}, "guard": {"share": 0}}, "actors": 4},
        primitives={"guard": "guard"},
    )
    lines = plan_lines(cfg, ("test",), None)
    assert "teacher engines  2 x 2 GPUs, tensor parallel 2, for models/big" in lines
    assert lines[-4:-1] == [
        "teacher          builtin-solver at builtin, 25% of the requests",
        "teacher big      models/big at vllm, 75% of the requests",
        "teacher guard    builtin-solver at builtin, when named",
    ]
    assert any("4 x 32 in flight" in line for line in lines)


# ----- the recipes in the repository


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_teachers_of_every_recipe_go_together(path: Path) -> None:
    check_teachers(load_config(path))


def test_the_recipe_with_a_hosted_teacher_takes_four_gpus() -> None:
    cfg = load_config(RECIPES / "teacher-hosted.toml")
    plan = make_plan(cfg)
    assert (plan.gpus, [each.engine.gpus for each in plan.hosted]) == (4, [2])
    assert cfg.teacher.hosted.tensor_parallel == 2
    check_machine(cfg, Machine(cores=16, gpus=4, memory_gib=64.0))
    check_fits(plan, [Node(cpus=16, gpus=4)])
    with pytest.raises(ConfigError, match=r"teacher\.hosted\.engines=1 x teacher\.hosted\.gpus"):
        check_machine(cfg, Machine(cores=16, gpus=3, memory_gib=64.0))
