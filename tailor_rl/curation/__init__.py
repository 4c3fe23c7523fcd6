"""From the traces of an initialisation to the set that SFT learns from, and to one to publish."""
