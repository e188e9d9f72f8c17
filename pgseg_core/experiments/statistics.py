"""Numbers of a few runs: their mean, their spread, and how sure a difference is.

Two kinds of chance are kept apart. Seeds: another initialisation and order of the data; few, so
intervals are Student's. Images: another test set of the same kind; bootstrap (`uncertainty.py`).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A measure over seeds."""

    values: tuple[float, ...]
    """One a seed."""
    mean: float
    deviation: float | None
    """Standard deviation, n - 1; None for a single seed."""
    interval: tuple[float, float] | None
    """95 % interval of the mean: Student's t over seeds."""


def spread(values: Sequence[float]) -> Spread:
    """Sum up one number a seed; at least one."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Spread(tuple(values), mean, None, None)
    deviation = statistics.stdev(values)
    reach = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    half = reach * deviation / math.sqrt(len(values))
    return Spread(tuple(values), mean, deviation, (mean - half, mean + half))


@dataclass(frozen=True)
class Difference:
    """A row less the reference row, over the seeds that both have."""

    seeds: Spread
    """Seed by seed: both start from the same data order."""
    images: tuple[float, float] | None
    """95 % bootstrap interval over images of the mean over seeds; of mIoU only."""

    @property
    def verdict(self) -> str:
        """Say whether it is told apart from nothing: over seeds, and over images where known."""
        if self.seeds.interval is None:
            return "one seed"
        known = [i for i in (self.seeds.interval, self.images) if i is not None]
        if all(low > 0 for low, _ in known):
            return "higher"
        if all(high < 0 for _, high in known):
            return "lower"
        return "not told apart"
