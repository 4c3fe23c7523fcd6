"""Tiny base students: small language models raised from scratch on a CPU, saved as ordinary
checkpoints.
"""
