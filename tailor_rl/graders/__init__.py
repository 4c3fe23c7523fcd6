"""From a completion to a reward: what is worth what, and where it is computed."""
