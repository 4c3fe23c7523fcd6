"""Tailor: the reasoning patterns a model has before RL decide what RL can reach."""

__version__ = "0.1.0"
