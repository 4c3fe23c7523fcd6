"""CISPO: "MiniMax-M1" (arXiv 2506.13585), equations 4 and 5.

The paper bounds the weight from above only and gives no number for it: 0.2 is ours.
"""

from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import group_normalised
from tailor_rl.algorithms.losses import Clips, cispo

ALGORITHM = Algorithm(
    estimate=group_normalised,
    clipping=cispo,
    clips=Clips(low=1.0, high=0.2),
    aggregate=token_mean,
)
