"""MaxRL: "Maximum likelihood reinforcement learning" (arXiv 2602.02710).

The advantage is divided by the group's mean reward, so that the gradient is that of log pass-rate.
"""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import maximum_likelihood

ALGORITHM = Algorithm(estimate=maximum_likelihood, aggregate=token_mean, dynamic_sampling=True)
