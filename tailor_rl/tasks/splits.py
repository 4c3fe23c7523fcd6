"""Train, validation and test as shares of a fingerprint: disjoint whatever is generated.

A fingerprint is a number that does not change when a problem is renamed. Out-of-distribution
splits stay out of the train bins too, so that nothing a student was ever trained on comes back.
"""

from __future__ import annotations

import hashlib

NUM_BINS = 100
BINS = {"train": range(0, 80), "validation": range(80, 90), "test": range(90, 100)}


def fingerprint(canonical: str) -> int:
    """64 bits of a text in which everything arbitrary (names, order) has been made canonical."""
    return int(hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest(), 16)


def belongs(split: str, number: int) -> bool:
    """Whether a problem with this fingerprint may stand in a split; "ood/..." takes all but
    train's.
    """
    place = number % NUM_BINS
    return place in BINS[split] if split in BINS else place not in BINS["train"]
