"""PPO: Schulman et al. (arXiv 1707.06347) with a critic and GAE (arXiv 1506.02438).

gamma, lambda and the KL in the reward as in ReFT (arXiv 2401.08967); its rest: recipes/reft.toml.
"""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import generalised
from tailor_rl.algorithms.kl import k1

ALGORITHM = Algorithm(
    estimate=generalised,
    aggregate=token_mean,
    kl_coefficient=0.01,
    kl_estimate=k1,
    kl_in="reward",
    critic=True,
    gamma=1.0,
    lam=0.95,
)
