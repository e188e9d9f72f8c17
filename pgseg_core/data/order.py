"""The order of an epoch, planned in one place: which sample stands at which position.

Whoever reads position p gets the same sample, so the order does not depend on the number of reading
processes or ranks, and going on from step s is arithmetic.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

MIN_GROUPED_SHARDS = 8
"""Samples are shuffled among no fewer shards than this, if there are as many."""

_CACHED_GROUPS = 4


class EpochOrder:
    """A shuffled epoch over shards that keeps neighbours in few files.

    The shards are shuffled, then cut into groups of whole shards, and the samples of each group are
    shuffled among each other. Only the groups in use are held in memory (8 bytes a sample).

    Args:
        counts: Samples in each shard.
        shuffle: Samples a group should have at least; groups also have `MIN_GROUPED_SHARDS` shards.
        seed: Seed of the run.
        epoch: Counted from 0.
    """

    def __init__(self, counts: Sequence[int], *, shuffle: int, seed: int, epoch: int) -> None:
        self._seed = (seed, epoch)
        self._counts = np.asarray(counts, dtype=np.int64)
        shards = np.random.default_rng((*self._seed, 0)).permutation(len(counts))
        by_samples = int(self._counts.sum()) // shuffle
        num_groups = max(1, min(by_samples, len(counts) // MIN_GROUPED_SHARDS))
        self._groups = np.array_split(shards, num_groups)
        sizes = [int(self._counts[group].sum()) for group in self._groups]
        self._ends = np.cumsum(sizes)
        self._permutation = lru_cache(_CACHED_GROUPS)(self._permute)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def place(self, position: int) -> tuple[int, int]:
        """Return the shard, and the position in it, of the sample at a position of the epoch.

        Args:
            position: From 0 to the number of samples - 1.
        """
        group = int(np.searchsorted(self._ends, position, side="right"))
        start = int(self._ends[group - 1]) if group else 0
        permutation, ends = self._permutation(group)
        inside = permutation[position - start]
        which = int(np.searchsorted(ends, inside, side="right"))
        before = int(ends[which - 1]) if which else 0
        return int(self._groups[group][which]), int(inside) - before

    def _permute(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a group's order, and where each of its shards ends before the shuffle."""
        ends = np.cumsum(self._counts[self._groups[group]])
        return np.random.default_rng((*self._seed, 1, group)).permutation(int(ends[-1])), ends
