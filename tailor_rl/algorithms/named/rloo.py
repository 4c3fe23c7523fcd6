"""RLOO: Ahmadian et al., "Back to basics" (arXiv 2402.14740): REINFORCE, others as the baseline.

A completion is one action, so its tokens' losses are summed; KL to the reference is a part of the
reward. With rollouts that are not stale the ratio is 1 and the gradient REINFORCE's. The paper has
no others; against stale ones PPO's clip is ours (`rl.clipping = "none"` takes it away).
"""

from tailor_rl.algorithms.aggregation import sequence_sum
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import leave_one_out
from tailor_rl.algorithms.kl import k1

ALGORITHM = Algorithm(
    estimate=leave_one_out,
    aggregate=sequence_sum,
    kl_coefficient=0.001,
    kl_estimate=k1,
    kl_in="reward",
)
