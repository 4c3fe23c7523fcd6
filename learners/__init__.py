"""Classes that learn: ranks (home of DeepSpeed) and the group that makes them one learner.

Knows nothing about Ray, rollouts' origin or where weights go. Plain classes; cluster/ wraps them.
"""
