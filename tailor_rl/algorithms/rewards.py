"""Rewards that do not depend on the task."""

from __future__ import annotations


def soft_overlong_punishment(num_tokens: int, *, max_tokens: int, buffer: int) -> float:
    """Added to the reward of a long completion: from 0 down to -1 over the last `buffer` tokens.

    DAPO (arXiv 2503.14476) equation 13; L = `num_tokens`, L_max = `max_tokens`, L_cache = buffer::

        0                                  L <= L_max - L_cache
        (L_max - L_cache - L) / L_cache    L_max - L_cache < L <= L_max
        -1                                 L_max < L

    `buffer=0` turns it off: 0.0 for every length.
    Raises ValueError unless 0 <= buffer <= max_tokens.
    """
    if not 0 <= buffer <= max_tokens:
        raise ValueError(f"overlong buffer must be from 0 to max_tokens={max_tokens}, not {buffer}")
    if buffer == 0:
        return 0.0
    excess = num_tokens - (max_tokens - buffer)
    return -min(max(excess / buffer, 0.0), 1.0)
