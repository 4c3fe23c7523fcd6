"""REINFORCE++-baseline: Hu et al. (arXiv 2501.03262): the group's mean as baseline, the batch's
deviation as scale, KL (k2) in the loss.
"""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import whitened_group_centred
from tailor_rl.algorithms.kl import k2

ALGORITHM = Algorithm(
    estimate=whitened_group_centred,
    aggregate=token_mean,
    kl_coefficient=0.001,
    kl_estimate=k2,
)
