"""GSPO: Zheng et al. (arXiv 2507.18071), equations 5 to 7; clips from its section 5.1."""

from tailor_rl.algorithms.aggregation import sequence_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import group_normalised
from tailor_rl.algorithms.losses import Clips
from tailor_rl.algorithms.ratios import sequence_ratio

ALGORITHM = Algorithm(
    estimate=group_normalised,
    ratio=sequence_ratio,
    clips=Clips(low=3e-4, high=4e-4),
    aggregate=sequence_mean,
)
