"""Distance to the student, against log-probabilities computed token by token."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tailor_rl.chat import ChatTokens
from tailor_rl.errors import ConfigError
from tailor_rl.measures.distance import StudentDistance, student_distance
from tailor_rl.types import Demonstration
from tests.measures_fakes import demonstration
from tests.tiny import make_student

SET = [
    demonstration(0, "Ann lies.", prompt="Who is who?"),
    demonstration(1, "Suppose Bob lies. Take that back. Bob knight.", prompt="BOB Bob knight."),
    demonstration(2, "", prompt="3 + 4?"),
]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_student(tmp_path_factory.mktemp("made") / "tiny", max_length=128)


def by_hand(student: Path, made: Demonstration) -> float:
    """Mean over the trace and its end of turn of the log-softmax, in float64."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    tokens = ChatTokens(student)
    prompt = list(tokens.encode_prompt(made.prompt))
    ids = prompt + list(tokens.encode_completion(made.trace))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    found = [
        float(logits[place - 1, ids[place]] - logits[place - 1].exp().sum().log())
        for place in range(len(prompt), len(ids))
    ]
    return sum(found) / len(found)


@pytest.mark.parametrize("batch_tokens", [1, 8192])
def test_log_probabilities_are_those_computed_by_hand_however_batched(
    student: Path, batch_tokens: int
) -> None:
    found = student_distance(SET, student, threads=1, batch_tokens=batch_tokens)
    expected = [by_hand(student, made) for made in SET]
    assert found.mean_logprobs == pytest.approx(expected, abs=1e-5)
    assert found.num_tokens == tuple(len(made.trace) + 1 for made in SET)  # a token a byte
    total = sum(m * n for m, n in zip(expected, found.num_tokens, strict=True))
    assert found.mean_logprob == pytest.approx(total / sum(found.num_tokens), abs=1e-5)


def test_progress_reaches_the_whole_set(student: Path) -> None:
    seen: list[tuple[int, int]] = []
    student_distance(
        SET, student, threads=1, batch_tokens=1, on_progress=lambda *pair: seen.append(pair)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_trace_that_the_student_cannot_hold_is_left_out_and_counted(student: Path) -> None:
    found = student_distance([*SET, demonstration(3, "x" * 200)], student, threads=1)
    assert found.mean_logprobs[3] is None and found.num_too_long == 1
    assert found.mean_logprob == student_distance(SET, student, threads=1).mean_logprob


def test_perplexity_is_that_of_the_mean_over_tokens() -> None:
    """One token at -3 and three at -1: mean -1.5."""
    found = StudentDistance("s", (-3.0, -1.0, None), (1, 3, 9))
    assert found.mean_logprob == pytest.approx(-1.5)
    assert found.perplexity == pytest.approx(math.exp(1.5))
    assert StudentDistance("s", (None,), (9,)).perplexity is None


def test_an_empty_set_has_no_distance(student: Path) -> None:
    assert student_distance([], student, threads=1).mean_logprob is None


def test_a_folder_without_a_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint"):
        student_distance(SET, tmp_path, threads=1)
