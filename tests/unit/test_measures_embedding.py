"""Embedders: unit rows, the same everywhere, near for what is near; wrong folders are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tailor_rl.errors import ConfigError
from tailor_rl.measures.embedding import EncoderEmbedder, load_embedder
from tests.tiny import make_student

TEXTS = ["Check the answer twice.", "Twice check answers!", "Suppose Ann lies.", "", "\n"]


def test_rows_have_norm_one_also_for_texts_without_words() -> None:
    points = load_embedder("words")(TEXTS)
    assert points.shape[0] == len(TEXTS) and points.dtype == np.float64
    assert np.linalg.norm(points, axis=1) == pytest.approx(1.0)


def test_texts_of_the_same_words_are_near_and_others_far() -> None:
    cosines = (points := load_embedder("words")(TEXTS)) @ points.T
    assert cosines[0, 1] > 0.5
    assert cosines[0, 2] == pytest.approx(0.0)
    assert cosines[3, 4] == pytest.approx(1.0)
    assert np.all(cosines > -1e-12) and np.all(cosines < 1 + 1e-12)


def test_word_order_is_seen_by_pairs() -> None:
    points = load_embedder("words")(["ann lies bob", "bob lies ann"])
    assert 0.3 < points[0] @ points[1] < 0.9


def test_a_text_is_where_it_is_whatever_stands_beside_it() -> None:
    embed = load_embedder("words")
    assert np.array_equal(embed(TEXTS)[2], embed([TEXTS[2]])[0])


def test_words_have_the_same_places_in_every_process() -> None:
    program = (
        "from tailor_rl.measures.embedding import load_embedder\n"
        "print(load_embedder('words')(['Check the answer twice.']).nonzero()[1].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = load_embedder("words")(["Check the answer twice."]).nonzero()[1].tolist()
    assert json.loads(done.stdout) == here


def test_an_empty_set_has_no_rows() -> None:
    assert load_embedder("words")([]).shape[0] == 0


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderEmbedder:
    folder = make_student(tmp_path_factory.mktemp("encoder") / "tiny-encoder")
    loaded = load_embedder(str(folder))
    assert isinstance(loaded, EncoderEmbedder)
    return loaded


def test_an_encoder_gives_the_mean_of_its_last_states(encoder: EncoderEmbedder) -> None:
    import torch

    text = "Ann lies"
    ids = encoder._tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        mean = encoder._model(ids).last_hidden_state[0].mean(dim=0).double().numpy()
    assert encoder([text])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_padding_does_not_move_a_text_of_an_encoder(encoder: EncoderEmbedder) -> None:
    alone, beside = encoder(["Ann"]), encoder(["Ann", "Bob says that Ann is a knave", ""])
    assert beside[0] == pytest.approx(alone[0], abs=1e-5)
    assert np.linalg.norm(beside, axis=1) == pytest.approx(1.0)
    assert encoder.name == "tiny-encoder"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (None, "is no folder"),
        ({}, "no config.json that can be read"),
        ({"config.json": "{"}, "no config.json that can be read"),
        ({"config.json": '{"auto_map": {}}'}, "code of its own"),
        ({"config.json": "{}"}, r"holds no \*.safetensors"),
        ({"config.json": "{}", "model.safetensors": ""}, "cannot be loaded as an encoder"),
    ],
)
def test_a_folder_that_is_no_encoder_is_one_sentence(
    tmp_path: Path, files: dict[str, str] | None, part: str
) -> None:
    folder = tmp_path / "e5"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=part) as caught:
        load_embedder(str(folder))
    assert "\n" not in str(caught.value) and '"words"' in str(caught.value)
