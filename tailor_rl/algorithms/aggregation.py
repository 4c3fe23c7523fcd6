"""Who counts how much: one weight per token, summing to 1 over the whole batch.

Weights are made for the whole batch before it is cut into ranks and micro-batches. From there on
everybody sums weight * loss, so no cut can change the loss or its gradient.
"""

from __future__ import annotations

import numpy as np


def token_mean_weights(mask_BT: np.ndarray) -> np.ndarray:
    """Every trained token counts the same: w[i, t] = m[i, t] / sum(m).

    The token-level loss of DAPO (arXiv 2503.14476) equation 12, and of supervised fine-tuning.
    Returns float32 (B, T). Raises ValueError when nothing is trained on.
    """
    num_tokens = int(mask_BT.sum())
    if num_tokens == 0:
        raise ValueError(f"no token of a batch of {mask_BT.shape[0]} sequences is trained on")
    return np.asarray(mask_BT / num_tokens, dtype=np.float32)


def sequence_mean_weights(mask_BT: np.ndarray) -> np.ndarray:
    """Every sequence counts the same: w[i, t] = m[i, t] / (sum_t m[i, t] * number of sequences).

    The loss of GRPO, DeepSeekMath (arXiv 2402.03300) equation 3. Sequences without a trained token
    are not counted: they would only dilute the others.
    Returns float32 (B, T). Raises ValueError when nothing is trained on.
    """
    tokens_B = mask_BT.sum(axis=1)
    num_sequences = int((tokens_B > 0).sum())
    if num_sequences == 0:
        raise ValueError(f"no token of a batch of {mask_BT.shape[0]} sequences is trained on")
    weights_BT = mask_BT / (np.maximum(tokens_B, 1)[:, None] * num_sequences)
    return np.asarray(weights_BT, dtype=np.float32)
