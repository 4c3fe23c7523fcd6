"""Recipes that change how SFT or RL learns, through hooks: a file each, with its paper."""
