"""GRPO: Shao et al., "DeepSeekMath" (arXiv 2402.03300), equation 3.

The paper's KL coefficient of 0.04 was for a reward model; with verifiable rewards 0.001 is common.
"""

from tailor_rl.algorithms.aggregation import sequence_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import group_normalised

ALGORITHM = Algorithm(estimate=group_normalised, aggregate=sequence_mean, kl_coefficient=0.001)
