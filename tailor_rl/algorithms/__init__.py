"""The mathematics of learning: functions of arrays, tensors and floats.

Knows nothing about config, devices, processes or logging. Algorithms differ only in what is passed:
GRPO is DAPO with equal clips and `sequence_mean_weights` in place of `token_mean_weights`.
"""
