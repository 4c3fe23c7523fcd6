"""Who imports what, seen from outside: each law is checked in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tailor_rl", "actors", "learners", "cluster")

IMPORT_EVERY_MODULE = """
import importlib, json, pkgutil, sys, tailor_rl
names = [m.name for m in pkgutil.walk_packages(tailor_rl.__path__, "tailor_rl.")]
names = [name for name in names if not name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted(sys.modules)}))
"""

IMPORT_TAILOR_RL = """
import json, sys, tailor_rl
print(json.dumps({"version": tailor_rl.__version__, "loaded": sorted(sys.modules)}))
"""

HELP = """
import contextlib, io, json, runpy, sys
sys.argv = ["tailor", "--help"]
text, code = io.StringIO(), None
with contextlib.redirect_stdout(text):
    try:
        runpy.run_module("tailor_rl", run_name="__main__")
    except SystemExit as exit:
        code = exit.code
print(json.dumps({"code": code, "text": text.getvalue(), "loaded": sorted(sys.modules)}))
"""


def fresh_python(program: str) -> dict[str, Any]:
    """The JSON object that `program` prints, run by a new interpreter in the checkout's root."""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def test_no_module_of_tailor_rl_loads_ray_vllm_or_deepspeed() -> None:
    answer = fresh_python(IMPORT_EVERY_MODULE)
    assert "tailor_rl.config.schema" in answer["imported"]
    assert not {"ray", "vllm", "deepspeed", "actors", "learners", "cluster"} & set(answer["loaded"])


def test_importing_tailor_rl_loads_nothing_heavy() -> None:
    answer = fresh_python(IMPORT_TAILOR_RL)
    heavy = {"torch", "ray", "vllm", "deepspeed", "transformers", "numpy", "pydantic", "typer"}
    assert not heavy & set(answer["loaded"])


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_comes_from_this_checkout(package: str) -> None:
    program = f"import json, {package}; print(json.dumps({{'file': {package}.__file__}}))"
    assert Path(fresh_python(program)["file"]) == ROOT / package / "__init__.py"


def test_help_needs_no_torch() -> None:
    answer = fresh_python(HELP)
    assert answer["code"] == 0
    assert "run" in answer["text"]
    assert not {"torch", "ray", "vllm", "deepspeed", "transformers"} & set(answer["loaded"])


def test_help_answers_within_a_second_of_processor_time() -> None:
    """The best of three, in processor time: a busy machine must not fail it."""
    spent_s = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "tailor_rl", "--help"], cwd=ROOT, check=True, capture_output=True
        )
        after = os.times()
        spent_s.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(spent_s) < 1.0, f"seconds of processor time: {spent_s}"
