"""The synthetic demo planet: a dataset drawn from a seed, to try the whole pipeline without a network.

Read `planet.py` (clues that vary over the world, and who photographs where) first, then `scenes.py` (from clues to a
picture) and `dataset.py` (the command).
"""
