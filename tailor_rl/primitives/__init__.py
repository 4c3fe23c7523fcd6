"""Reasoning primitives: found in a student's attempts, then used to demonstrate solutions."""
