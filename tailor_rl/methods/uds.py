"""UDS: of the candidates of a step, train on those that are useful and unlike the last ones
(arXiv 2510.16882).

    score = nuclear norm of the candidate's logits
            + alpha * mean L2 distance of its projection to those of past selections

The best of `candidates` for each example are trained on. Past selections are a queue, first in,
first out. The projection is bilinear and random: P X Q of the logits X (T tokens, V vocabulary)
with `rows` x T and V x `columns` Gaussian matrices.

Ours, where the paper is silent or costs too much:

- The nuclear norm is taken through the Gram matrix of the smaller side: the square roots of the
  eigenvalues of X X^T or X^T X, in float64. A singular value decomposition of T x V costs far more
  and is no more exact for the sum: what is lost is below 1e-7 of the largest singular value each.
- The logits are those of the trained tokens; prompt and padding say nothing of the demonstration.
- P's columns belong to positions, so that equal tokens at equal places project alike whatever the
  length. The projection keeps distances, times sqrt(512 V) / 2: the scale of the published code's
  subsampled Fourier transforms at its 512 positions, by which the published alpha is to be read.
- All candidates of a step are measured against the queue before the step, and scores are compared
  over the whole step, not within micro-batches. Until something was selected distances are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import SFTMethod
from tailor_rl.seeds import derive_seed

if TYPE_CHECKING:
    import torch

PUBLISHED_POSITIONS = 512


class Uds(SFTMethod):
    def __init__(
        self,
        *,
        candidates: int = 4,
        alpha: float = 2.5e-3,
        queue: int = 1024,
        rows: int = 8,
        columns: int = 128,
        seed: int = 0,
    ) -> None:
        if candidates < 2:
            raise ConfigError(
                f"sft.options.candidates={candidates} leaves nothing to select: set 2 or more"
            )
        if alpha < 0:
            raise ConfigError(f"sft.options.alpha={alpha} must not be below 0")
        for key, number in {"queue": queue, "rows": rows, "columns": columns}.items():
            if number < 1:
                raise ConfigError(f"sft.options.{key}={number} must be at least 1")
        self.candidates_per_example = candidates
        self._alpha = alpha
        self._queue_size = queue
        self._rows = rows
        self._columns = columns
        self._seed = seed
        self._right: torch.Tensor | None = None  # (V, columns), made once: V is large
        self._past = np.zeros((0, rows * columns), dtype=np.float32)

    def features(self, logits_TV: torch.Tensor, token_ids_T: torch.Tensor) -> torch.Tensor:
        """The nuclear norm, then the projection: (1 + rows * columns,)."""
        import torch

        logits_TV = logits_TV.float()
        projection = self._left(len(logits_TV), like=logits_TV) @ logits_TV
        projection = (projection @ self._right_of(logits_TV)).flatten()
        scale = (PUBLISHED_POSITIONS * logits_TV.shape[1]) ** 0.5 / 2
        return torch.cat([nuclear_norm(logits_TV)[None], scale * projection])

    def select(self, features_BF: np.ndarray, *, num: int) -> np.ndarray:
        projections_BF = features_BF[:, 1:]
        scores_B = features_BF[:, 0] + self._alpha * self._distances(projections_BF)
        # Stable, so that of equals the first is taken on every machine.
        chosen = np.sort(np.argsort(-scores_B, kind="stable")[:num])
        self._past = np.concatenate([self._past, projections_BF[chosen]])[-self._queue_size :]
        return chosen

    def state(self) -> Mapping[str, Any]:
        """The queue, exact to the bit: float32, little-endian, in base64."""
        from base64 import b64encode

        packed = np.ascontiguousarray(self._past, dtype="<f4").tobytes()
        return {"queue": b64encode(packed).decode("ascii")}

    def load(self, state: Mapping[str, Any]) -> None:
        from base64 import b64decode

        flat = np.frombuffer(b64decode(state["queue"]), dtype="<f4")
        self._past = flat.reshape(-1, self._rows * self._columns).astype(np.float32)

    def _distances(self, projections_BF: np.ndarray) -> np.ndarray:
        """Mean distance of each to the queue. (B,)"""
        if not len(self._past):
            return np.zeros(len(projections_BF))
        own_BF, past_QF = projections_BF.astype(np.float64), self._past.astype(np.float64)
        return np.array([np.linalg.norm(past_QF - own_F, axis=1).mean() for own_F in own_BF])

    def _left(self, num_tokens: int, *, like: torch.Tensor) -> torch.Tensor:
        """(rows, T): drawn token by token, so that a longer one begins like a shorter one."""
        import torch

        rng = np.random.default_rng(derive_seed(self._seed, "uds", "left"))
        drawn = rng.standard_normal((num_tokens, self._rows)) / self._rows**0.5
        return torch.from_numpy(drawn.T.astype(np.float32)).to(like.device)

    def _right_of(self, logits_TV: torch.Tensor) -> torch.Tensor:
        import torch

        if self._right is None:
            rng = np.random.default_rng(derive_seed(self._seed, "uds", "right"))
            shape = (logits_TV.shape[1], self._columns)
            drawn = rng.standard_normal(shape, dtype=np.float32) / np.float32(self._columns**0.5)
            self._right = torch.from_numpy(drawn).to(logits_TV.device)
        return self._right


def nuclear_norm(matrix: torch.Tensor) -> torch.Tensor:
    """The sum of the singular values, by the eigenvalues of the smaller Gram matrix."""
    import torch

    wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().T
    eigenvalues: torch.Tensor = torch.linalg.eigvalsh(wide @ wide.T)
    return eigenvalues.clamp(min=0).sqrt().sum().float()
