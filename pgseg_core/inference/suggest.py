"""Which of many classes a photo may show, for who does not want to name them.

The arithmetic is small and in numpy, so that every engine suggests the same.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from pgseg_core.inference.class_bank import ClassBank

SUGGESTED = 6
"""How many classes are used unless said otherwise."""
_ALIKE = 0.9
"""Cosine above which two classes are said to be one and the same by this model."""


@runtime_checkable
class Seen(Protocol):
    """What an engine's encoder saw in a photo, in arrays that numpy reads."""

    @property
    def groups(self) -> Any:
        """Vector of each group of each window (n g e)."""
        ...

    @property
    def images(self) -> Any:
        """Vector of each window as a whole (n e)."""
        ...


@dataclass(frozen=True)
class Suggester:
    """Takes the best few of many classes for each photo: a `Chooser` of any segmenter."""

    bank: ClassBank
    """The many."""
    count: int = SUGGESTED

    def __call__(self, field: Seen) -> ClassBank:
        """Return the classes that fit a photo best, the best first.

        A class that the model hardly tells from a better one is passed over.
        """
        vectors = np.asarray(self.bank.vectors)
        order = rank_classes(np.asarray(field.images), np.asarray(field.groups), vectors)
        chosen: list[int] = []
        for candidate in order.tolist():
            if all(float(vectors[candidate] @ vectors[other]) < _ALIKE for other in chosen):
                chosen.append(candidate)
            if len(chosen) == self.count:
                break
        return self.bank.select(chosen)


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
    whole = (unit(images) @ vectors.T).max(axis=0)  # (c)
    parts = (unit(groups) @ vectors.T).max(axis=(0, 1))  # (c)
    order: np.ndarray = np.argsort(-(_standard(whole) + _standard(parts)), kind="stable")
    return order


def unit(vectors: Float[np.ndarray, "*rows e"]) -> Float[np.ndarray, "*rows e"]:
    """Scale vectors to length 1; the zero vector stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: np.ndarray = vectors / np.maximum(lengths, 1e-12)
    return scaled


def _standard(values: Float[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    standard: np.ndarray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return standard
