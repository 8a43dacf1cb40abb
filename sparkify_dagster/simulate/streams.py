"""Chance: independent streams of uniform numbers, each named by the seed and a few integers.

Only uniform doubles of PCG64 are drawn, and what is made of them uses + - * / and comparisons,
whose results IEEE 754 fixes: no logarithm or sampling routine that may differ between machines
or numpy versions. Sorting is always stable for the same reason.
"""

import numpy as np
from numpy.typing import NDArray

WEEKS, CATALOGUE, OTHER_SONGS, LISTENERS, DAYS = range(5)


def stream(seed: int, *name: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *name])))


def uniform(size: int, seed: int, *name: int) -> NDArray[np.float64]:
    """`size` numbers in [0, 1) of the stream of that name."""
    return stream(seed, *name).random(size)


def cumulative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running shares that end in 1, for `draw`."""
    running = np.cumsum(weights)
    shares: NDArray[np.float64] = running / running[-1]
    return shares


def draw(shares: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index that each chance falls on."""
    return np.searchsorted(shares, chance, side="right").astype(np.int64)
