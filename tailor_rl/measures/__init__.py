"""Measures of sets of traces, and of what a policy has that RL can amplify."""
