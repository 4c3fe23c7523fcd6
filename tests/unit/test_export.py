"""An exported model: loadable by others, with its story, and only what the manifest vouches for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard
from typer.testing import CliRunner

from tailor_rl.cli import app
from tailor_rl.curation.dataset import write_dataset
from tailor_rl.errors import ConfigError, RunFolderError, TailorError
from tailor_rl.export import export_model
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tests.curation_fakes import demonstrations, lineage
from tests.run_folders import ROOT, journal, resolved, save
from tests.sample_run import evaluation, ledger

STEPS = 20
STUDENT = ROOT / "students" / "knights-qwen2"


class StudentLearner:
    """Saves a student, and things that have no place in an exported model."""

    async def save(self, folder: Path) -> None:
        shutil.copytree(
            STUDENT,
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("student.json", "*.md"),
        )
        (folder / "learner").mkdir()
        version = {"step": 33, "checksum": "abc123"}
        ranks = 2 if folder.name.endswith(f"step-{STEPS:06d}") else 1
        layout = {"ranks": ranks, "zero_stage": 2 * (ranks - 1), "packing": False}
        said = json.dumps({"version": version, "layout": layout})
        (folder / "learner" / "learner.json").write_text(said)
        (folder / "learner" / "policy-optimizer-0-0.safetensors").write_bytes(b"moments")
        (folder / "modeling_mine.py").write_text("raise SystemExit('ran')")
        (folder / "pytorch_model.bin").write_bytes(b"pickle")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """After both stages; step 10 of RL was the best and is kept."""
    sft = ("sft.held_out=4", "sft.evaluate_every=2")
    recipe = resolved(tmp_path, f"rl.num_steps={STEPS}", f"student={STUDENT}", *sft)
    with RunFolder.create(tmp_path / "runs", recipe, name="a") as folder:
        book = journal(folder)
        for stage, names in (("sft", ["sft"]), ("rl", ["step-000010", f"step-{STEPS:06d}"])):
            book.start(stage)
            for name in names:
                learner: Any = StudentLearner()
                step = int(name.rpartition("-")[2]) if "-" in name else 6
                save(book, name, learner, step=step, state={})
            book.finish(stage)
        measured(book)
        for stage, amounts in ledger().items():
            book.spend(stage, amounts)
        yield folder


def measured(book: RunJournal) -> None:
    for stage, value in (("base", 0.1), ("sft", 0.3), ("rl", 0.6)):
        step = STEPS if stage == "rl" else 0
        book.evaluation(evaluation(stage, "test", value, k=1, step=step))
        book.evaluation(evaluation(stage, "ood/people", value / 2, k=8, step=step))
    for step, value in ((0, 0.9), (10, 0.7), (STEPS, 0.6)):
        book.evaluation(evaluation("rl", "validation", value, k=1, step=step))


def card(folder: Path) -> tuple[dict[str, Any], str]:
    """The front matter, as the hub reads it, and the page."""
    found = ModelCard.load(folder / "README.md")
    data: dict[str, Any] = found.data.to_dict()
    results: list[EvalResult] = getattr(found.data, "eval_results", None) or []
    data["results"] = [(result.dataset_split, result.metric_value) for result in results]
    return data, found.text


def test_only_what_belongs_to_a_model_is_exported(run: RunFolder, tmp_path: Path) -> None:
    out = export_model(run.path, tmp_path / "models" / "mine", stage=None, best=False)
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "chat_template.jinja", "config.json", "generation_config.json",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    for path in out.iterdir():
        assert path.name == "README.md" or path.read_bytes() == (STUDENT / path.name).read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["mine"]


def test_the_card_says_what_was_measured_and_how_it_was_made(run: RunFolder) -> None:
    out = export_model(run.path, None, stage=None, best=False)
    assert out == run.path / "export-rl"
    front, page = card(out)
    assert front["library_name"] == "transformers" and front["tags"] == [
        "tailor",
        "reasoning",
        "rl",
    ]
    assert "license" not in front and "base_model" not in front  # the student is a folder
    assert front["results"] == [("test", 0.6), ("ood/people", 0.3), ("validation", 0.6)]
    assert "| the student before | in distribution | pass@1 | 10.0 %" in page
    assert "| **this model** | in distribution | pass@1 | 60.0 %" in page
    assert "| **this model** | ood: people | pass@8 | 30.0 %" in page
    assert "version 33 since" in page and "abc123" in page
    assert f"num_steps = {STEPS}" in page and "No licence is set" in page
    assert "generated tokens" in page and "| torch |" in page
    assert str(run.path.parent) not in page, "a path of this machine"


def test_a_model_after_sft_has_a_card_of_its_own(run: RunFolder, tmp_path: Path) -> None:
    front, page = card(export_model(run.path, tmp_path / "sft", stage="sft", best=False))
    assert "after supervised fine-tuning" in page and "after RL" not in page
    assert front["tags"][-1] == "sft"


def test_the_best_checkpoint_is_exported_and_claims_no_figure_of_the_last(run: RunFolder) -> None:
    out = export_model(run.path, None, stage="rl", best=True)
    assert out.name == "export-rl-best"
    front, page = card(out)
    assert "the checkpoint of step 10" in page and "not with these" in page
    assert "60.0 %" not in page and "70.0 %" in page
    assert front["results"] == [("validation", 0.7)]


def test_the_card_gives_the_command_as_it_is_typed_without_paths_and_addresses(
    run: RunFolder, tmp_path: Path
) -> None:
    path = run.path / "config.json"
    record = json.loads(path.read_text())
    record["provenance"]["command"] = [
        "/opt/x/tailor_rl/__main__.py", "run", "/home/me/mine.toml", "student=/home/me/base",
        "teacher.base_url=https://inside.example/v1", "task.options.people=[2, 3]",
    ]  # fmt: skip
    path.write_text(json.dumps(record))
    _, page = card(export_model(run.path, tmp_path / "out", stage=None, best=False))
    assert (
        "    tailor run mine.toml student=base 'teacher.base_url=(an address)'"
        " 'task.options.people=[2, 3]'\n" in page
    )


def test_the_card_says_where_the_learner_was_cut_up_otherwise_than_the_recipe_says(
    run: RunFolder, tmp_path: Path
) -> None:
    _, page = card(export_model(run.path, tmp_path / "as-asked", stage="sft", best=False))
    assert "another cut" not in page
    _, page = card(export_model(run.path, tmp_path / "otherwise", stage="rl", best=False))
    assert "another cut of the learner: ranks 2, zero\\_stage 2 at these weights" in page


def test_the_card_claims_neither_more_measured_nor_more_trained_on_than_was(
    tmp_path: Path, run: RunFolder
) -> None:
    made = demonstrations(8)
    write_dataset(run.path / "dataset", made, lineage(made))
    _, page = card(export_model(run.path, tmp_path / "best", stage="rl", best=True))
    assert "with 4 demonstrations or a few more were held out" in page
    assert "over families of problems" in page
    assert "best of the run" not in page, "SFT may have been better: only steps of RL are compared"


def test_what_models_wrote_adds_no_markup_to_the_card(run: RunFolder, tmp_path: Path) -> None:
    row = evaluation("rl", "ood/<script>|[x](y)", 0.5, k=1, step=STEPS)
    journal(run).evaluation(row)
    _, page = card(export_model(run.path, tmp_path / "out", stage=None, best=False))
    assert "<script>" not in page and "[x](y)" not in page


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_changed_file_is_not_exported(run: RunFolder, tmp_path: Path, name: str) -> None:
    path = run.path / "checkpoints" / f"step-{STEPS:06d}" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(RunFolderError, match=rf"is damaged: {name} was changed"):
        export_model(run.path, tmp_path / "out", stage=None, best=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_left_as_it_is(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match=r"out exists already: .* --to"):
        export_model(run.path, tmp_path / "out", stage=None, best=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "runs", resolved(tmp_path), name="a") as folder:
        book = journal(folder)
        with pytest.raises(RunFolderError, match=r"has not finished rl.* --resume .*runs/a`"):
            export_model(folder.path, None, stage=None, best=False)
        book.start("sft")
        book.finish("sft")
        with pytest.raises(RunFolderError, match=r"finished SFT but not RL.* --stage sft"):
            export_model(folder.path, None, stage=None, best=False)
    with pytest.raises(RunFolderError, match="no run folder"):
        export_model(tmp_path / "nothing", None, stage=None, best=False)


def test_a_run_without_sft_or_without_a_kept_best_says_so(run: RunFolder) -> None:
    shutil.rmtree(run.path / "checkpoints" / "step-000010")
    with pytest.raises(RunFolderError, match=r"kept no checkpoint step-000010.*rl\.keep_best"):
        export_model(run.path, None, stage=None, best=True)
    with pytest.raises(RunFolderError, match=r"measured nothing during sft.* leave --best out"):
        export_model(run.path, None, stage="sft", best=True)
    stages = json.loads((run.path / "stages.json").read_text())
    del stages["sft"]
    (run.path / "stages.json").write_text(json.dumps(stages))
    with pytest.raises(RunFolderError, match=r"had no SFT.* --stage rl"):
        export_model(run.path, None, stage="sft", best=False)


def test_a_full_disk_leaves_nothing_and_says_where(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(TailorError, match=r"out \(No space left on device\): free some space") as e:
        export_model(run.path, tmp_path / "out", stage=None, best=False)
    assert e.value.exit_code == 3
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_the_command_prints_the_folder_and_errors_are_one_line(run: RunFolder) -> None:
    words = ["export", "a", "--runs-dir", str(run.path.parent)]
    done = CliRunner().invoke(app, [*words, "--stage", "sft"])
    assert (done.exit_code, done.stdout.strip()) == (0, str(run.path / "export-sft"))
    again = CliRunner().invoke(app, [*words, "--stage", "sft"])
    assert isinstance(again.exception, ConfigError) and "\n" not in str(again.exception)


def test_figures_without_a_metric_of_the_stage_give_a_card_all_the_same(
    run: RunFolder, tmp_path: Path
) -> None:
    (run.path / "evaluations.jsonl").unlink()
    front, page = card(export_model(run.path, tmp_path / "out", stage=None, best=False))
    assert front["results"] == [] and "## Figures" not in page
