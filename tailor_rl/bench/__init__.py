"""Many runs as one experiment: which initialisation should RL start from, with error bars.

    study.toml -> cells -> (shared stages) -> runs -> figures -> estimates -> report

Knows nothing about Ray: how a cell is run comes as a command line.
"""
