"""Reasoning primitives: discovered from a student's attempts, then used to demonstrate solutions."""
