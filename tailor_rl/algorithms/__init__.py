"""The mathematics of learning: functions of arrays, tensors and floats.

Knows nothing about config, devices, processes or logging. The way of a reward to a gradient:

    rewards, groups --estimate--> advantages          advantages.py, returns.py   numpy, whole batch
    log-probabilities --ratio--> ratios               ratios.py                   torch, tokens
    ratios, advantages --clipping--> losses           losses.py                   torch, tokens
    mask --aggregation--> weights                     aggregation.py              numpy, whole batch
    learner against reference --KL--> a loss, or a reward of each token           kl.py
    learner against rollout --correction--> weights   corrections.py              torch, tokens
    all of a token's parts --> its loss               objective.py                torch, tokens

An `Algorithm` (algorithm.py) names one function of each kind; those of the field are in named/.
"""
