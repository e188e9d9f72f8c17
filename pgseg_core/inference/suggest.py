"""Which of many classes a photo may show, for who does not want to name them.

The arithmetic is small and in numpy, so that every method suggests the same.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pgseg_core.arrays import NUMPY, arrays_of
from pgseg_core.inference.class_bank import ClassBank
from pgseg_core.inference.score_map import RegionField

SUGGESTED = 6
"""How many classes are used unless said otherwise."""
_ALIKE = 0.9
"""Cosine above which two classes are said to be one and the same by this model."""


@dataclass(frozen=True)
class Suggester:
    """Takes the best few of many classes for each photo: a `Chooser` of any segmenter."""

    bank: ClassBank
    """The many."""
    count: int = SUGGESTED

    def __call__(self, field: RegionField) -> ClassBank:
        """Return the classes that fit a photo best, the best first.

        A class that the model hardly tells from a better one is passed over.
        """
        arrays = arrays_of(field.vectors)
        vectors, regions = arrays.numpy(self.bank.vectors), arrays.numpy(field.vectors)
        windows = regions.mean(axis=1) if field.windows is None else arrays.numpy(field.windows)
        order = rank_classes(windows, regions, vectors)
        chosen: dict[int, int] = {}  # a class's place, and its query
        for query in order.tolist():
            place = self.bank.classes[query]
            others = (vectors[other] for other in chosen.values())
            if place not in chosen and all(float(vectors[query] @ o) < _ALIKE for o in others):
                chosen[place] = query
            if len(chosen) == self.count:
                break
        return self.bank.select(list(chosen))


def rank_classes(
    images: Float[np.ndarray, "n e"],
    groups: Float[np.ndarray, "n g e"],
    vectors: Float[np.ndarray, "c e"],
) -> Int[np.ndarray, " c"]:
    """Order classes by how well they fit a photo, the best first.

    Half by the photo as a whole, half by the group that fits best: a thing may be small.

    Args:
        images: The windows, of any length.
        groups: Their groups, of any length.
        vectors: The classes, unit vectors.
    """
    whole = (NUMPY.unit(images) @ vectors.T).max(axis=0)  # (c)
    parts = (NUMPY.unit(groups) @ vectors.T).max(axis=(0, 1))  # (c)
    order: np.ndarray = np.argsort(-(_standard(whole) + _standard(parts)), kind="stable")
    return order


def _standard(values: Float[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    standard: np.ndarray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return standard
