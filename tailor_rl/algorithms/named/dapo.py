"""DAPO: Yu et al. (arXiv 2503.14476), equations 8 to 13. Each of its four parts has its own key:

clip-higher (`rl.clip_high`), dynamic sampling (`rl.dynamic_sampling`), the token-level loss
(`rl.aggregation`), and the soft overlong punishment (`rl.overlong_buffer`, off unless it is set:
the buffer depends on the lengths of the task).
"""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import group_normalised
from tailor_rl.algorithms.losses import Clips

ALGORITHM = Algorithm(
    estimate=group_normalised,
    clips=Clips(low=0.2, high=0.28),
    aggregate=token_mean,
    dynamic_sampling=True,
)
