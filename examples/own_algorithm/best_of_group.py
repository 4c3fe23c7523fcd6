"""An algorithm of one's own: only rollouts that beat their group are learnt from.

An `Algorithm` names one function of each kind; any of them may be yours. Here it is the advantage:
GRPO's, with what is below the mean of the group left alone instead of pushed away.
"""

from __future__ import annotations

import numpy as np

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import Advantages, Outcome, group_normalised


def above_the_mean(outcome: Outcome) -> Advantages:
    """max(0, (R - mean) / std) of the group, at every token."""
    return Advantages(np.maximum(group_normalised(outcome).advantages_BT, 0.0))


BEST_OF_GROUP = Algorithm(estimate=above_the_mean, aggregate=token_mean, dynamic_sampling=True)
