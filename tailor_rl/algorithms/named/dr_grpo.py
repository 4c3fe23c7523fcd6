"""Dr. GRPO: Liu et al., "Understanding R1-Zero-like training" (arXiv 2503.20783), section 3.

No deviation in the advantage and no length in the loss: both bias GRPO's gradient.
"""

from tailor_rl.algorithms.aggregation import constant
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import group_centred

ALGORITHM = Algorithm(estimate=group_centred, aggregate=constant)
