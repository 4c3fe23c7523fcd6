"""The data set folder: loads everywhere, is whole or not there, and is published as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tailor_rl.curation import dataset as dataset_module
from tailor_rl.curation.dataset import (
    CARD,
    PARQUET,
    check_dataset,
    export_dataset,
    read_dataset,
    read_lineage,
    write_dataset,
)
from tailor_rl.curation.hub import HubError, push
from tailor_rl.errors import ConfigError, RunFolderError, TailorError
from tailor_rl.printable import printable
from tailor_rl.types import Primitive
from tests.curation_fakes import demonstration, demonstrations, lineage, primitives
from tests.hub_server import TOKEN, HubServer

EVIL = (
    "```\n---\n</details><script>alert(1)</script>\n| a | b |\n# heading\n\x1b[31m{{ 1234 * 1000 }}"
)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = demonstrations(6, wrong=1)
    write_dataset(tmp_path / "dataset", made, lineage(made))
    return tmp_path / "dataset"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        # As `make test` runs: offline, but for this hub on loopback.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


# ----- on disk


def test_it_loads_from_disk_and_by_name_with_the_same_rows(folder: Path, tmp_path: Path) -> None:
    import datasets

    on_disk = datasets.load_from_disk(folder)["train"]
    by_name = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert on_disk.to_list() == by_name.to_list()
    assert on_disk.features == by_name.features
    assert len(on_disk) == 6
    first = on_disk[0]
    assert first["messages"] == first["prompt"] + first["completion"]
    assert [turn["role"] for turn in first["messages"]] == ["user", "assistant"]
    assert first["completion"][0]["content"] == demonstration(0).trace


def test_rows_and_lineage_come_back_as_they_were(folder: Path) -> None:
    made = demonstrations(6, wrong=1)
    assert read_dataset(folder) == made
    assert read_lineage(folder) == lineage(made) == check_dataset(folder)


def test_rows_without_teacher_and_primitive_keep_their_types(tmp_path: Path) -> None:
    import datasets

    made = [demonstration(0, teacher="", temperature=None, primitive_id=None, trace="")]
    write_dataset(tmp_path / "a", made, lineage(made, primitives=[]))
    assert read_dataset(tmp_path / "a") == made
    features = datasets.load_from_disk(tmp_path / "a")["train"].features
    assert features["primitive_id"].dtype == "string"
    assert features["temperature"].dtype == "float64"


def test_the_same_set_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    made = demonstrations(6, wrong=1)
    write_dataset(tmp_path / "again", made, lineage(made))
    assert files(tmp_path / "again") == files(folder)


def test_writing_again_replaces_all_of_it(folder: Path, tmp_path: Path) -> None:
    made = demonstrations(2)
    write_dataset(folder, made, lineage(made))
    assert read_dataset(folder) == made
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_failure_half_way_leaves_the_old_set(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder)
    made = demonstrations(2)

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(dataset_module, "write_card", full)
        with pytest.raises(RunFolderError, match="no room"):
            write_dataset(folder, made, lineage(made))
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_kill_between_the_two_renames_loses_nothing(folder: Path, tmp_path: Path) -> None:
    before = files(folder)
    folder.rename(tmp_path / ".tailor-old-dataset")
    (tmp_path / ".tailor-new-dataset").mkdir()
    with pytest.raises(ZeroDivisionError):
        dataset_module._replace(folder, lambda new: 1 // 0)
    assert files(folder) == before


def test_somebody_elses_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.md").write_text("mine")
    made = demonstrations(2)
    with pytest.raises(ConfigError, match="no data set of tailor_rl"):
        write_dataset(tmp_path / "thesis", made, lineage(made))
    assert (tmp_path / "thesis" / "chapter.md").read_text() == "mine"


def test_no_progress_bar_is_drawn_and_the_callers_choice_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import datasets

    datasets.enable_progress_bars()
    made = demonstrations(3)
    write_dataset(tmp_path / "a", made, lineage(made))
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled()


@pytest.mark.parametrize("keep", [0, 100])
def test_a_truncated_file_is_said(folder: Path, keep: int) -> None:
    path = folder / PARQUET
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunFolderError, match="damaged"):
        check_dataset(folder)


def test_edited_rows_are_found(folder: Path, tmp_path: Path) -> None:
    made = demonstrations(5)
    write_dataset(tmp_path / "other", made, lineage(made))
    (folder / PARQUET).write_bytes((tmp_path / "other" / PARQUET).read_bytes())
    with pytest.raises(RunFolderError, match="was edited"):
        check_dataset(folder)
    with pytest.raises(RunFolderError, match="was edited"):
        export_dataset(folder, tmp_path / "copy")


# ----- the card


def test_the_front_matter_is_what_the_hub_reads(folder: Path) -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(folder / CARD).data.to_dict()
    assert data["size_categories"] == ["n<1K"]
    assert "license" not in data
    assert {"tailor", "reasoning", "sft"} <= set(data["tags"])
    assert data["configs"][0]["data_files"] == [{"split": "train", "path": PARQUET}]


def test_the_card_says_what_it_is_made_of(folder: Path) -> None:
    card = (folder / CARD).read_text()
    found = lineage(demonstrations(6, wrong=1))
    for expected in (
        found.queries_sha256,
        found.set_sha256,
        "| p0 | 2 | Assume and retract 0 |",
        "6 demonstrations by deepseek-reasoner at temperature 0.4",
        "5 of 6 right",
        "| discover |  | 18 | 41,200 | 3.25 |",
        "| total | 10 | 30 | 43,200 | 3.25 |",
        "No licence is set",
        "untrusted",
        "| demonstrations.keep | correct |",
        "    Who is who, in puzzle 0?",
    ):
        assert expected in card, expected


def test_text_of_models_stays_in_its_place_on_the_card(tmp_path: Path) -> None:
    made = [demonstration(0, prompt=EVIL, trace=EVIL, teacher=EVIL)]
    evil = dataclasses.replace(primitives(1)[0], name=EVIL, instruction=EVIL)
    library: list[Primitive] = [evil]
    write_dataset(tmp_path / "a", made, lineage(made, primitives=library))
    card = (tmp_path / "a" / CARD).read_text()
    assert "\x1b" not in card
    assert "1234000" not in card  # nothing of it was run as a template
    page = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    inner = [token for line in page for token in (line, *(line.children or ()))]
    assert not [token for token in inner if token.type in ("html_block", "html_inline", "hr")]
    assert not [token for token in inner if token.type in ("link_open", "image", "em_open")][1:]
    headings = [page[i + 1].content for i, t in enumerate(page) if t.type == "heading_open"]
    assert "heading" not in headings and "Primitives" in headings
    blocks = [token.content for token in page if token.type == "code_block"]
    assert len(blocks) == 2 and all(printable(EVIL) in block for block in blocks)
    row = [line for line in card.split("\n") if line.startswith("| p0 | 1 | ")]
    assert len(row) == 1


def test_a_set_of_nothing_is_still_a_set(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", [], lineage([], primitives=[], spent={}))
    assert read_dataset(tmp_path / "a") == []
    assert "## Examples" not in (tmp_path / "a" / CARD).read_text()


# ----- export and push


def test_an_export_is_a_whole_copy_and_can_be_repeated(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        export_dataset(folder, tmp_path / "out" / "copy")
        assert files(tmp_path / "out" / "copy") == files(folder)


@pytest.mark.parametrize("out", [".", "inside", ".."])
def test_an_export_into_the_set_itself_is_refused(folder: Path, out: str) -> None:
    before = files(folder)
    with pytest.raises(ConfigError, match="within each other"):
        export_dataset(folder, folder / out)
    assert files(folder) == before


def test_a_push_publishes_the_files_as_they_are_in_one_commit(folder: Path, hub: HubServer) -> None:
    (folder / CARD).write_text((folder / CARD).read_text() + "\nMine: CC-BY-4.0.\n")
    pushed = push(folder, "ada/knights", private=True)
    assert (pushed.url, pushed.private) == (f"{hub.endpoint}/datasets/ada/knights", True)
    repo = hub.repos["ada/knights"]
    assert repo.private and len(repo.commits) == 1
    assert repo.files == {
        name: (folder / name).read_bytes() for name in (CARD, PARQUET, "lineage.json")
    }


def test_what_was_pushed_loads_with_load_dataset(
    folder: Path, hub: HubServer, tmp_path: Path
) -> None:
    import datasets

    push(folder, "knights", private=False)
    for name, content in hub.repos["ada/knights"].files.items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_bytes(content)
    loaded = datasets.load_dataset(str(tmp_path / "clone"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].to_list() == datasets.load_from_disk(folder)["train"].to_list()
    assert not hub.repos["ada/knights"].private
    assert check_dataset(tmp_path / "clone") == read_lineage(folder)


def test_a_second_push_is_a_second_commit(folder: Path, hub: HubServer) -> None:
    push(folder, "ada/knights", private=True)
    made = demonstrations(2)
    write_dataset(folder, made, lineage(made))
    push(folder, "ada/knights", private=True)
    assert len(hub.repos["ada/knights"].commits) == 2
    assert hub.repos["ada/knights"].files[PARQUET] == (folder / PARQUET).read_bytes()


def test_a_hub_that_wants_large_files_gets_them_through_lfs(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    hub.large = (".parquet",)
    push(folder, "ada/knights", private=True)
    assert hub.repos["ada/knights"].files[PARQUET] == (folder / PARQUET).read_bytes()
    assert any(line.startswith("PUT /lfs/") for line in hub.seen)


def test_a_private_push_never_goes_to_a_public_repository(folder: Path, hub: HubServer) -> None:
    push(folder, "ada/knights", private=False)
    hub.repos["ada/knights"].files.clear()
    with pytest.raises(HubError, match="is public, and nothing was sent"):
        push(folder, "ada/knights", private=True)
    assert not hub.repos["ada/knights"].files


@pytest.mark.parametrize("name", ["a/b/c", "ada/", "ada/kni ghts", "../x", "ada/x--y", "", "\x1bx"])
def test_a_malformed_name_is_said_before_anything_is_sent(
    folder: Path, hub: HubServer, name: str
) -> None:
    with pytest.raises(ConfigError, match="write OWNER/NAME"):
        push(folder, name, private=True)
    assert not hub.seen


@pytest.mark.parametrize(
    ("token", "said"), [("", "set the environment variable"), ("hf_a\nb", "no token has")]
)
def test_a_token_is_needed(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ConfigError, match=said) as caught:
        push(folder, "ada/knights", private=True)
    assert caught.value.exit_code == 2
    assert not hub.seen


def test_a_token_of_another_variable_is_taken_from_there(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("ADAS_TOKEN", TOKEN)
    push(folder, "ada/knights", private=True, token_env="ADAS_TOKEN")
    assert hub.repos["ada/knights"].files


def test_offline_mode_is_said(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE"):
        push(folder, "ada/knights", private=True)


def one_sentence(error: TailorError) -> str:
    text = str(error)
    assert "\n" not in text
    assert error.exit_code == 3
    return text


def test_a_refused_token_is_said_and_not_shown(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expiredtoken")
    with pytest.raises(HubError, match=r"refused the token in HF_TOKEN \(401\)") as caught:
        push(folder, "ada/knights", private=True)
    assert "hf_expired" not in one_sentence(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_somebody_elses_name_is_said(folder: Path, hub: HubServer) -> None:
    hub.fails["api"] = (403, {"error": f"no rights for Bearer {TOKEN}"})
    with pytest.raises(HubError, match="may not write to the data set bob/knights") as caught:
        push(folder, "bob/knights", private=True)
    assert TOKEN not in one_sentence(caught.value)
    assert "[token]" in str(caught.value)


def test_a_failed_commit_is_said_and_can_be_repeated(folder: Path, hub: HubServer) -> None:
    hub.fails["commit"] = (422, {"error": "not now"})
    with pytest.raises(HubError, match="answered 422 to the push of ada/knights") as caught:
        push(folder, "ada/knights", private=True)
    one_sentence(caught.value)
    hub.fails.clear()
    assert push(folder, "ada/knights", private=True).url


def test_a_hub_that_is_not_there_is_said(folder: Path, hub: HubServer) -> None:
    hub.__exit__(None, None, None)
    with pytest.raises(HubError, match="could not be used") as caught:
        push(folder, "ada/knights", private=True)
    one_sentence(caught.value)


def test_a_push_leaves_no_token_in_the_folder(folder: Path, hub: HubServer) -> None:
    push(folder, "ada/knights", private=True)
    assert not [name for name, content in files(folder).items() if TOKEN.encode() in content]
