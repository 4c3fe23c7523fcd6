"""UDS: scores against hand-worked numbers, a queue that forgets the oldest, exact resuming."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tailor_rl.errors import ConfigError
from tailor_rl.methods.find import sft_method
from tailor_rl.methods.uds import Uds, nuclear_norm

TOKENS = torch.zeros(3, dtype=torch.long)


def small(**options: float) -> Uds:
    """Features are (nuclear norm, two numbers of a projection)."""
    return Uds(candidates=2, rows=1, columns=2, **options)  # type: ignore[arg-type]


def candidates(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_the_nuclear_norm_is_the_sum_of_singular_values() -> None:
    assert nuclear_norm(torch.diag(torch.tensor([3.0, -4.0]))).item() == pytest.approx(7.0)
    # Rank 1: |u| |v| = 5 * 13
    rank_1 = torch.outer(torch.tensor([3.0, 4.0]), torch.tensor([5.0, 12.0, 0.0]))
    assert nuclear_norm(rank_1).item() == pytest.approx(65.0)
    assert nuclear_norm(rank_1.T).item() == pytest.approx(65.0)


@pytest.mark.parametrize("shape", [(7, 40), (40, 7), (20, 20)])
def test_the_gram_matrix_gives_what_a_decomposition_gives(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.svdvals(matrix.double()).sum().item()
    assert nuclear_norm(matrix).item() == pytest.approx(expected, rel=1e-6)


def test_without_a_past_the_most_useful_are_taken_in_their_order() -> None:
    method = small(alpha=1.0)
    chosen = method.select(candidates((1, 9, 9), (3, 0, 0), (2, 5, 5), (4, 1, 1)), num=2)
    assert chosen.tolist() == [1, 3]


def test_scores_add_alpha_times_the_mean_distance_to_the_past() -> None:
    method = small(alpha=0.5)
    method.select(candidates((9, 0, 0), (8, 0, 8)), num=2)  # the past: (0, 0) and (0, 8)
    # (3, 4): distances 5 and 5, mean 5.  (0, 4): 4 and 4, mean 4.  (6, 8): 10 and 6, mean 8.
    # scores: 1 + 2.5 = 3.5, 1.9 + 2 = 3.9, 0 + 4 = 4
    chosen = method.select(candidates((1, 3, 4), (1.9, 0, 4), (0, 6, 8)), num=2)
    assert chosen.tolist() == [1, 2]


def test_the_queue_forgets_the_oldest() -> None:
    method = small(alpha=1.0, queue=1)
    method.select(candidates((1, 0, 0)), num=1)
    method.select(candidates((1, 10, 0)), num=1)  # (0, 0) is forgotten
    assert method.select(candidates((0, 0, 0), (0, 10, 0)), num=1).tolist() == [0]


def test_what_is_remembered_survives_json_to_the_bit() -> None:
    first = small(alpha=1.0)
    rng = np.random.default_rng(0)
    first.select(rng.normal(size=(8, 3)).astype(np.float32), num=4)
    second = small(alpha=1.0)
    second.load(json.loads(json.dumps(dict(first.state()))))
    assert first.state() == second.state()
    for _ in range(5):
        more = rng.normal(size=(8, 3)).astype(np.float32)
        assert first.select(more, num=4).tolist() == second.select(more, num=4).tolist()


def test_projections_keep_distances_at_the_published_scale() -> None:
    method = Uds()
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randn(60, 90, generator=generator) for _ in range(2))
    ids = torch.zeros(60, dtype=torch.long)
    projected = (method.features(one, ids) - method.features(other, ids))[1:].norm().item()
    real = (one - other).norm().item() * (512 * 90) ** 0.5 / 2
    assert projected == pytest.approx(real, rel=0.2)


def test_every_rank_projects_alike_and_a_longer_text_begins_like_a_shorter_one() -> None:
    logits = torch.randn(5, 11, generator=torch.Generator().manual_seed(2))
    longer = torch.cat([logits, torch.zeros(3, 11)])
    here, there = Uds(rows=2, columns=4), Uds(rows=2, columns=4)
    assert torch.equal(here.features(logits, TOKENS), there.features(logits, TOKENS))
    assert here.features(longer, TOKENS).tolist() == pytest.approx(
        here.features(logits, TOKENS).tolist(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidates": 1}, "candidates=1 leaves nothing"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"queue": 0}, "queue=0"),
        ({"columns": 0}, "columns=0"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sft_method("uds", options)
