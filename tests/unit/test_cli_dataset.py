"""`tailor dataset`: what it prints, where it finds a set, and one sentence for what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tailor_rl.cli_dataset import app
from tailor_rl.curation.dataset import PARQUET, read_dataset, write_dataset
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.runs.folder import RunFolder
from tests.curation_fakes import demonstration, demonstrations, lineage
from tests.hub_server import TOKEN, HubServer
from tests.run_folders import resolved


@pytest.fixture
def run(folder: RunFolder) -> Path:
    made = [*demonstrations(4, wrong=1), demonstration(4, trace="\x1b[2J\nred\u202e")]
    write_dataset(folder.path / "dataset", made, lineage(made))
    return folder.path


def tailor(*arguments: str) -> str:
    """What `tailor dataset ARGUMENTS` prints; its error is raised."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return str(result.stdout)


def test_show_says_where_the_set_comes_from_and_shows_rows(run: Path) -> None:
    text = tailor("show", str(run), "--num", "5")
    assert "4 of 5 right (80.0 %)" in text
    assert lineage(read_dataset(run / "dataset")).set_sha256 in text
    assert "2 x p0: Assume and retract 0" in text
    assert "knights:train:3: teacher, reward 0, follows p0" in text
    assert text.count("  assistant  ") == 5
    assert "\x1b" not in text and "\u202e" not in text


def test_show_by_name_and_by_the_folder_of_the_set_are_one(run: Path) -> None:
    by_name = tailor("show", "a", "--runs-dir", str(run.parent), "--json")
    assert json.loads(by_name) == json.loads(tailor("show", str(run / "dataset"), "--json"))
    shown = json.loads(by_name)
    assert shown["lineage"]["num_demonstrations"] == 5
    assert [row["id"] for row in shown["rows"]] == [made.id for made in demonstrations(3)]


def test_export_prints_where_the_copy_is(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    assert tailor("export", str(run), "--out", str(out)).strip() == str(out)
    assert read_dataset(out) == read_dataset(run / "dataset")
    assert tailor("show", str(out)).splitlines()[1:] == tailor("show", str(run)).splitlines()[1:]


@pytest.mark.parametrize(("flags", "visibility"), [((), "private"), (("--public",), "public")])
def test_push_is_private_unless_asked(
    run: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], visibility: str
) -> None:
    with HubServer() as hub:
        # As `make test` runs: offline, but for this hub on loopback.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        printed = tailor("push", str(run), "ada/set", *flags)
        assert printed.strip() == f"{hub.endpoint}/datasets/ada/set ({visibility})"
        assert hub.repos["ada/set"].private is (visibility == "private")
        assert hub.repos["ada/set"].files[PARQUET]


def test_a_run_without_a_set_is_said(tmp_path: Path, run: Path) -> None:
    with RunFolder.create(tmp_path / "runs", resolved(tmp_path), name="early") as created:
        early = created.path
    none = resolved(tmp_path, "initialisation=none")
    with RunFolder.create(tmp_path / "runs", none, name="none") as created:
        without = created.path
    with pytest.raises(RunFolderError, match="has no data set: it has not come so far"):
        tailor("show", str(early))
    with pytest.raises(RunFolderError, match='initialisation = "none" makes none'):
        tailor("show", str(without))


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no run folder"):
        tailor("show", str(tmp_path / "nothing"))


def test_a_damaged_lineage_is_said(run: Path) -> None:
    path = run / "dataset" / "lineage.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokens": "many"}))
    with pytest.raises(RunFolderError, match="tokens"):
        tailor("show", str(run))


def test_an_export_over_something_else_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds mine\.txt, which is no part of a data set"):
        tailor("export", str(run), "--out", str(tmp_path / "full"))
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_export_loses_nothing_that_was_put_beside_an_older_one(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    for _ in range(2):  # over its own kind it may go
        tailor("export", str(run), "--out", str(out))
    (out / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match=r"holds notes\.txt"):
        tailor("export", str(run), "--out", str(out))
    assert (out / "notes.txt").read_text() == "keep"
