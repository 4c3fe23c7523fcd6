"""Students: what is no checkpoint, or no safe one, is refused before anything starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailor_rl.config.student import check_student
from tailor_rl.errors import ConfigError
from tests.small_recipes import write_checkpoint


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
    (folder / "adapter.safetensors").write_bytes(b"")  # not the model's
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
