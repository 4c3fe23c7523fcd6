"""Who counts how much: one weight per token.

Weights are made for the whole batch before it is cut into ranks and micro-batches. From there on
everybody sums weight * loss, so no cut can change the loss or its gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Aggregation = Callable[..., np.ndarray]  # (mask_BT, *, max_tokens) -> weights_BT


def token_mean(mask_BT: np.ndarray, *, max_tokens: int = 0) -> np.ndarray:
    """Every trained token counts the same: w[i, t] = m[i, t] / sum(m).

    The token-level loss of DAPO (arXiv 2503.14476) equation 12, over the whole batch rather than
    one group at a time, and the loss of supervised fine-tuning.
    Returns float32 (B, T), summing to 1. Raises ValueError when nothing is trained on.
    """
    _check(mask_BT)
    return np.asarray(mask_BT / mask_BT.sum(), dtype=np.float32)


def sequence_mean(mask_BT: np.ndarray, *, max_tokens: int = 0) -> np.ndarray:
    """Every sequence counts the same: w[i, t] = m[i, t] / (sum_t m[i, t] * number of sequences).

    The loss of GRPO, DeepSeekMath (arXiv 2402.03300) equation 3. Sequences without a trained token
    are not counted: they would only dilute the others.
    Returns float32 (B, T), summing to 1. Raises ValueError when nothing is trained on.
    """
    _check(mask_BT)
    tokens_B = mask_BT.sum(axis=1)
    weights_BT = mask_BT / (np.maximum(tokens_B, 1)[:, None] * (tokens_B > 0).sum())
    return np.asarray(weights_BT, dtype=np.float32)


def sequence_sum(mask_BT: np.ndarray, *, max_tokens: int = 0) -> np.ndarray:
    """The sum over a sequence, the mean over sequences: w[i, t] = m[i, t] / number of sequences.

    A whole completion as one action: RLOO (arXiv 2402.14740) section 2. Weights add up to the mean
    number of trained tokens, and gradient norms grow by as much, which `rl.max_grad_norm` clips;
    Adam's steps do not depend on it.
    """
    _check(mask_BT)
    return np.asarray(mask_BT / (mask_BT.any(axis=1)).sum(), dtype=np.float32)


def constant(mask_BT: np.ndarray, *, max_tokens: int = 0) -> np.ndarray:
    """w[i, t] = m[i, t] / (max_tokens * number of sequences): a divisor that no length moves.

    Dr. GRPO (arXiv 2503.20783) section 3.2; `max_tokens` is the longest completion allowed.
    """
    _check(mask_BT)
    if max_tokens < 1:
        raise ValueError(f"the constant divisor needs max_tokens of at least 1, not {max_tokens}")
    return np.asarray(mask_BT / (max_tokens * mask_BT.any(axis=1).sum()), dtype=np.float32)


def _check(mask_BT: np.ndarray) -> None:
    if not mask_BT.any():
        raise ValueError(f"no token of a batch of {mask_BT.shape[0]} sequences is trained on")
