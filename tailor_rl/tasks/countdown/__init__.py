"""Countdown: make a target out of given numbers, each used once."""
