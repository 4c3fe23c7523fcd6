"""Knights & Knaves: truth-tellers, liars, and what they say of each other."""
