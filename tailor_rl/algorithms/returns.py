"""Advantages that differ from token to token: returns, whitening, and GAE over a critic's values.

Shapes: (B, T) arrays; `mask_BT` is True at the tokens of the completion, which are consecutive.
"""

from __future__ import annotations

import numpy as np


def token_rewards(
    rewards_B: np.ndarray, penalties_BT: np.ndarray, mask_BT: np.ndarray
) -> np.ndarray:
    """The outcome reward at the last token, minus a penalty (beta * KL) at each. float32 (B, T)."""
    rewards_BT = np.where(mask_BT, -penalties_BT, 0.0)
    rows = np.flatnonzero(mask_BT.any(axis=1))
    last = mask_BT.shape[1] - 1 - mask_BT[rows, ::-1].argmax(axis=1)
    rewards_BT[rows, last] += rewards_B[rows]
    return np.asarray(rewards_BT, dtype=np.float32)


def discounted_returns(rewards_BT: np.ndarray, mask_BT: np.ndarray, *, gamma: float) -> np.ndarray:
    """G_t = r_t + gamma G_{t+1}, over the tokens of the mask. float32 (B, T)."""
    returns_BT = np.zeros(rewards_BT.shape)
    ahead_B = np.zeros(len(rewards_BT))
    for t in range(rewards_BT.shape[1] - 1, -1, -1):
        now_B = rewards_BT[:, t] + gamma * ahead_B
        ahead_B = np.where(mask_BT[:, t], now_B, ahead_B)
        returns_BT[:, t] = np.where(mask_BT[:, t], now_B, 0.0)
    return np.asarray(returns_BT, dtype=np.float32)


def gae(
    rewards_BT: np.ndarray, values_BT: np.ndarray, mask_BT: np.ndarray, *, gamma: float, lam: float
) -> np.ndarray:
    """A_t = delta_t + gamma lam A_{t+1}, delta_t = r_t + gamma V_{t+1} - V_t; V is 0 after the end.

    Generalised advantage estimation (arXiv 1506.02438) equation 16. `values_BT[t]` is the critic's
    value of the state in which token t is chosen. Returns float32 (B, T), 0 outside the mask.
    """
    advantages_BT = np.zeros(rewards_BT.shape)
    ahead_B, value_ahead_B = np.zeros(len(rewards_BT)), np.zeros(len(rewards_BT))
    for t in range(rewards_BT.shape[1] - 1, -1, -1):
        inside_B = mask_BT[:, t]
        delta_B = rewards_BT[:, t] + gamma * value_ahead_B - values_BT[:, t]
        now_B = delta_B + gamma * lam * ahead_B
        ahead_B = np.where(inside_B, now_B, ahead_B)
        value_ahead_B = np.where(inside_B, values_BT[:, t], value_ahead_B)
        advantages_BT[:, t] = np.where(inside_B, now_B, 0.0)
    return np.asarray(advantages_BT, dtype=np.float32)


def whiten(values_BT: np.ndarray, mask_BT: np.ndarray, *, eps: float = 1e-8) -> np.ndarray:
    """(x - mean) / (std + eps) over all tokens of the mask, 0 outside it. float32 (B, T).

    The batch-wide normalisation of REINFORCE++ (arXiv 2501.03262) equation 9. Equal values give
    exact zeros.
    """
    inside = np.asarray(values_BT[mask_BT], dtype=np.float64)
    if inside.size == 0 or inside.min() == inside.max():
        return np.zeros(values_BT.shape, dtype=np.float32)
    whitened_BT = (values_BT - inside.mean()) / (inside.std() + eps)
    return np.asarray(np.where(mask_BT, whitened_BT, 0.0), dtype=np.float32)
