"""REINFORCE++: Hu et al. (arXiv 2501.03262): no critic; the whole batch is the baseline."""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import whitened_returns
from tailor_rl.algorithms.kl import k1

ALGORITHM = Algorithm(
    estimate=whitened_returns,
    aggregate=token_mean,
    kl_coefficient=0.001,
    kl_estimate=k1,
    kl_in="reward",
)
