"""What comes out of a segmenter: a label for every pixel, and the scores behind it."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int16

BACKGROUND = "background"
"""What class 0 is called where pixels may belong to none of the classes."""


@runtime_checkable
class ClassScores(Protocol):
    """The scores behind the labels, in whatever form an engine keeps them."""

    def class_maps(self) -> Float[np.ndarray, "c h w"]:
        """Return every class's scores at the size the photo was read at."""
        ...


@dataclass(frozen=True)
class Segmentation:
    """A photo, labelled."""

    labels: Int16[np.ndarray, "h w"]
    """Index into `names`, at the photo's own size."""
    names: tuple[str, ...]
    """Class names in the order they were given; "background" first where it was asked for."""
    background: bool
    """Whether class 0 is the background."""
    pixels: tuple[int, ...]
    """Pixels of each class."""
    scores: tuple[float, ...]
    """Mean winning score of each class over its pixels, in [0, 1]; 0 for a class without pixels."""
    field: ClassScores = field(repr=False, compare=False)
    """The scores of every class at the size the photo was read at. Enlarged bilinearly to the
    photo's size their best class is `labels`."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the photo that each class covers, in [0, 1]."""
        return tuple(count / self.labels.size for count in self.pixels)
