"""What a run needs, whether a cluster has it, what is submitted, what the doctor minds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cluster.doctor import COMPANIONS, _companions, _versions, token_file
from cluster.host import AsyncHost, Host, load_secret
from cluster.local import CHECKOUT, _check_listening, secure_token
from cluster.placement import Node, Plan, Share, check_fits, make_plan, runs_that_fit
from cluster.submit import _work, make_job
from cluster.teaching import key_variables, open_teachers
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, TeacherError

LAPTOP = [Node(cpus=2, gpus=0)]
LOOPBACK = "http://127.0.0.1:8265"
REMOTE = "http://head.example:8265"


def recipe(**sections: object) -> RunConfig:
    base = {"student": "students/tiny", "task": {"name": "knights"}}
    return RunConfig.model_validate({**base, **sections})


def gpu_plan(*, engines: int, ranks: int) -> Plan:
    one = Share(cpus=1, gpus=1)
    return Plan(engines=engines, engine=one, ranks=ranks, rank=one, teachers=1)


def test_two_engines_and_two_ranks_fit_a_laptop_of_two_cores() -> None:
    plan = make_plan(recipe(rollout={"engines": 2}, learner={"ranks": 2}))
    check_fits(plan, LAPTOP)
    assert plan.cpus == 2


def test_a_plan_too_big_is_refused_with_its_arithmetic_and_a_setting_that_fits() -> None:
    with pytest.raises(ConfigError) as refusal:
        check_fits(gpu_plan(engines=2, ranks=2), [Node(cpus=16, gpus=3)])
    message = str(refusal.value)
    assert "needs 4 GPUs (2 rollout engines x 1 + 2 learner ranks x 1)" in message
    assert "the cluster has 3 GPUs" in message
    assert "set learner.ranks=1," in message


def test_the_advised_setting_fits() -> None:
    nodes = [Node(cpus=4, gpus=1), Node(cpus=4, gpus=1)]
    with pytest.raises(ConfigError, match=r"set learner\.ranks=1 rollout\.engines=1,"):
        check_fits(gpu_plan(engines=3, ranks=1 + 2), nodes)
    check_fits(gpu_plan(engines=1, ranks=1), nodes)


def test_an_actor_never_spans_two_machines() -> None:
    wide = Share(cpus=1, gpus=2)
    plan = Plan(engines=1, engine=wide, ranks=1, rank=Share(cpus=0.5, gpus=0), teachers=0)
    with pytest.raises(ConfigError, match="spread over 2 machines"):
        check_fits(plan, [Node(cpus=8, gpus=1), Node(cpus=8, gpus=1)])
    check_fits(plan, [Node(cpus=8, gpus=2)])


def test_without_any_gpu_the_advice_is_to_run_on_cpus() -> None:
    with pytest.raises(ConfigError, match="gpus_per_engine=0"):
        check_fits(gpu_plan(engines=1, ranks=1), LAPTOP)


def test_tensor_parallel_engines_need_as_many_gpus() -> None:
    with pytest.raises(ConfigError, match=r"set rollout\.gpus_per_engine=2"):
        make_plan(recipe(rollout={"tensor_parallel": 2, "gpus_per_engine": 1}))


def test_only_an_initialisation_that_asks_a_teacher_gets_teacher_actors() -> None:
    assert make_plan(recipe(teacher={"actors": 2})).teachers == 2
    assert make_plan(recipe(initialisation="none", teacher={"actors": 2})).teachers == 0


HOSTED = {"base_url": "vllm", "model": "m"}


def hosting(**more: dict[str, object]) -> RunConfig:
    """Half a CPU each for a rank and an engine, and what the hosted teachers need."""
    teachers = {name: {**HOSTED, "hosted": settings} for name, settings in more.items()}
    return recipe(teacher={"more": teachers})


def test_hosted_teachers_are_placed_after_ranks_and_engines() -> None:
    plan = make_plan(
        hosting(a={"engines": 2, "threads": 3}, b={"gpus_per_engine": 2, "tensor_parallel": 2})
    )
    half, three = Share(cpus=0.5, gpus=0), Share(cpus=1.5, gpus=0)
    assert plan.shares == (half, half, three, three, Share(cpus=1, gpus=2))
    assert (plan.cpus, plan.gpus, plan.teachers) == (5, 2, 1)


def test_a_teacher_that_nobody_asks_is_not_hosted() -> None:
    unasked = recipe(teacher={"more": {"a": {**HOSTED, "share": 0}}})
    assert make_plan(unasked).hosted == ()
    assert make_plan(recipe(initialisation="none", teacher=HOSTED)).hosted == ()


def test_hosted_teachers_are_in_the_arithmetic_and_in_the_advice() -> None:
    plan = make_plan(hosting(a={"engines": 4}, b={"engines": 2}))
    with pytest.raises(ConfigError) as refusal:
        check_fits(plan, LAPTOP)
    message = str(refusal.value)
    assert "needs 4 CPUs (1 rollout engines x 0.5 + 1 learner ranks x 0.5 + " in message
    assert "4 engines of teacher.more.a.hosted x 0.5" in message
    assert "set teacher.more.a.hosted.engines=1 teacher.more.b.hosted.engines=1," in message
    check_fits(make_plan(hosting(a={}, b={})), LAPTOP)


def test_a_hosted_teacher_too_big_for_any_gpu_is_advised_to_run_on_cpus() -> None:
    plan = make_plan(hosting(a={"gpus_per_engine": 2, "tensor_parallel": 2}))
    with pytest.raises(ConfigError, match=r"teacher\.more\.a\.hosted\.gpus_per_engine=0"):
        check_fits(plan, [Node(cpus=8, gpus=1)])
    check_fits(plan, [Node(cpus=8, gpus=2)])


def test_ray_token_is_made_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    secure_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text()
    assert len(token) == 64
    path.chmod(0o644)
    assert token_file(path).verdict == "problem"
    secure_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == token
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "ray://127.0.0.1:10001", "http://host:8265", "host:abc", "host:99999"],
)
def test_a_ray_that_is_not_there_is_told_at_once(address: str) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.address="):
        _check_listening(address)


def test_a_job_runs_the_shipped_recipe_and_writes_outside_of_its_working_directory() -> None:
    config = CHECKOUT / "tests" / "recipes" / "tiny.toml"
    job = make_job(
        config,
        ["rl.num_steps=3"],
        command="run",
        cfgs=[recipe()],
        address=LOOPBACK,
        runs_dir=None,
        name="my run",
    )
    assert job.entrypoint.startswith(
        "python -m tailor_rl run tests/recipes/tiny.toml rl.num_steps=3 "
    )
    assert f"--runs-dir {Path('runs').resolve()}" in job.entrypoint
    assert "--name 'my run'" in job.entrypoint
    assert "--working-dir" in job.as_command(LOOPBACK)


def test_a_job_elsewhere_must_say_where_its_runs_go() -> None:
    config = CHECKOUT / "tests" / "recipes" / "tiny.toml"
    with pytest.raises(ConfigError, match="--runs-dir"):
        make_job(
            config, [], command="run", cfgs=[recipe()], address=REMOTE, runs_dir=None, name=None
        )
    with pytest.raises(ConfigError, match="not absolute"):
        make_job(
            config,
            [],
            command="run",
            cfgs=[recipe()],
            address=REMOTE,
            runs_dir=Path("runs"),
            name=None,
        )


def test_a_file_that_names_arms_is_a_study_and_its_job_a_bench(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        f'recipe = "{CHECKOUT}/tests/recipes/tiny.toml"\nseeds = [1, 2]\n[arms.tailor]\n'
        '[arms.other]\nteacher = { api_key_env = "OTHER" }\n'
    )
    command, cfgs = _work(tmp_path / "study.toml", ["rl.num_steps=7"])
    assert command == "bench"
    assert [(cfg.seed, cfg.rl.num_steps) for cfg in cfgs] == [(1, 7), (1, 7), (2, 7), (2, 7)]
    assert cfgs[1].teacher.api_key_env == "OTHER"
    command, cfgs = _work(CHECKOUT / "tests/recipes/tiny.toml", ["seed=4"])
    assert (command, [cfg.seed for cfg in cfgs]) == ("run", [4])


def test_as_many_runs_side_by_side_as_have_room() -> None:
    plan = make_plan(recipe())
    one = Node(cpus=plan.cpus, gpus=0)
    assert runs_that_fit(plan, [one], most=8) == 1
    assert runs_that_fit(plan, [one] * 3, most=8) == 3
    assert runs_that_fit(plan, [one] * 30, most=8) == 8
    assert runs_that_fit(plan, [Node(cpus=0.1, gpus=0)], most=8) == 1  # it says so itself


def test_a_recipe_that_would_not_travel_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match="would not travel"):
        make_job(
            config, [], command="run", cfgs=[recipe()], address=REMOTE, runs_dir=tmp_path, name=None
        )


def test_a_key_never_leaves_with_a_job_but_the_path_of_its_file_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAILOR_TEACHER_API_KEY", "canary-5481")
    arguments = {
        "command": "run",
        "cfgs": [recipe()],
        "address": LOOPBACK,
        "runs_dir": tmp_path,
        "name": None,
    }
    with pytest.raises(ConfigError, match="TAILOR_TEACHER_API_KEY_FILE") as refusal:
        make_job(CHECKOUT / "tests/recipes/tiny.toml", [], **arguments)  # type: ignore[arg-type]
    assert "canary" not in str(refusal.value)
    monkeypatch.setenv("TAILOR_TEACHER_API_KEY_FILE", "/run/secrets/teacher")
    job = make_job(CHECKOUT / "tests/recipes/tiny.toml", [], **arguments)  # type: ignore[arg-type]
    assert job.env == {"TAILOR_TEACHER_API_KEY_FILE": "/run/secrets/teacher"}
    assert "canary" not in job.as_command(LOOPBACK)


def test_a_key_file_is_read_where_the_key_itself_is_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("abc\n")
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("SOME_KEY", "")
    load_secret("SOME_KEY")
    assert os.environ["SOME_KEY"] == "abc"


def test_a_key_file_that_cannot_be_read_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("SOME_KEY", "")
    with pytest.raises(ConfigError, match=r"SOME_KEY_FILE=.*: No such file"):
        load_secret("SOME_KEY")
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"SOME_KEY_FILE=.*: it is no text"):
        load_secret("SOME_KEY")


def test_a_job_carries_the_key_files_of_every_teacher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cfg = recipe(teacher={"api_key_env": "KEY_A", "more": {"b": {"api_key_env": "KEY_B"}}})
    monkeypatch.setenv("KEY_A_FILE", "/run/secrets/a")
    monkeypatch.setenv("KEY_B", "canary-77")
    arguments = {
        "command": "run",
        "cfgs": [cfg],
        "address": LOOPBACK,
        "runs_dir": tmp_path,
        "name": None,
    }
    with pytest.raises(ConfigError, match="KEY_B_FILE") as refusal:
        make_job(CHECKOUT / "tests/recipes/tiny.toml", [], **arguments)  # type: ignore[arg-type]
    assert "canary" not in str(refusal.value)
    monkeypatch.setenv("KEY_B_FILE", "/run/secrets/b")
    job = make_job(CHECKOUT / "tests/recipes/tiny.toml", [], **arguments)  # type: ignore[arg-type]
    assert job.env == {"KEY_A_FILE": "/run/secrets/a", "KEY_B_FILE": "/run/secrets/b"}


async def test_an_actor_reads_every_key_before_it_builds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("KEY_A", "KEY_B"):
        (tmp_path / name).write_text(f"secret of {name}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
        monkeypatch.setenv(name, "")
    for host in (Host(), AsyncHost()):
        building = host.build("collections:Counter", {}, ("KEY_A", "KEY_B"))
        if building is not None:
            await building
        assert os.environ["KEY_A"] == "secret of KEY_A"
        assert os.environ["KEY_B"] == "secret of KEY_B"
        monkeypatch.setenv("KEY_B", "")


def test_the_keys_of_the_teachers_that_are_asked_are_named_once_each() -> None:
    more = {"b": {}, "c": {"api_key_env": "KEY_C"}, "d": {"api_key_env": "KEY_D", "share": 0}}
    cfg = recipe(teacher={"api_key_env": "KEY_A", "more": more})
    assert key_variables(cfg) == ("KEY_A", "TAILOR_TEACHER_API_KEY", "KEY_C")


def test_built_in_teachers_share_one_server_and_the_hosted_one_waits() -> None:
    more = {"b": {"share": 3, "price_prompt": 2.0}, "own": {**HOSTED, "structured_output": True}}
    with open_teachers(recipe(teacher={"more": more})) as endpoints:
        first, b, own = endpoints
        assert first.base_url == b.base_url and first.base_url.startswith("http://127.0.0.1:")
        assert (own.base_url, own.model, own.structured_output) == ("vllm", "m", True)
        assert [each.share for each in endpoints] == [1, 3, 1]
        assert b.price_prompt == 2.0


def test_every_endpoint_is_checked_before_the_start() -> None:
    more = {"b": {"model": "no-such-model"}}
    with (
        pytest.raises(TeacherError, match="no-such-model") as refusal,
        open_teachers(recipe(teacher={"more": more})),
    ):
        raise AssertionError("opened")
    assert refusal.value.exit_code == 2
    assert "teacher.more.b.model" in str(refusal.value)


def test_cuda_companions_beside_a_cpu_torch_are_a_problem() -> None:
    versions = {"torch": "2.13.0+cpu", **dict.fromkeys(COMPANIONS, "0.28.0")}
    assert {each.verdict for each in _companions(versions.get)} == {"problem"}
    versions = {"torch": "2.13.0+cpu", **dict.fromkeys(COMPANIONS, "0.28.0+cpu")}
    assert not list(_companions(versions.get))


def test_a_missing_package_is_a_problem_and_another_version_a_note() -> None:
    versions = {"torch": "2.13.0+cpu", "ray": "2.61.0", "vllm": "0.32.0"}
    found = {each.name: each.verdict for each in _versions(versions.get)}
    assert found["torch"] == "ok"
    assert found["ray"] == "note"
    assert found["vllm"] == "ok"
    assert found["deepspeed"] == "problem"
