"""Is every image and mask of an evaluation set readable, of one size, and of known labels?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgseg_core.data.segmentation.sets import SegmentationSet
from pgseg_core.errors import DataError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""


@dataclass(frozen=True)
class BadImage:
    """An image or mask that cannot be used, and why."""

    image: str
    what: str


@dataclass(frozen=True, kw_only=True)
class SetVerification:
    """What a look at every image and mask of a set found."""

    name: str
    images: int
    classes: int
    classes_seen: int
    """Classes that some mask has."""
    ignored_share: float
    """Share of the pixels that are not counted, in [0, 1]."""
    pixels: dict[str, int]
    """Pixels of each class."""
    problems: tuple[BadImage, ...]


def verify_set(dataset: SegmentationSet, *, on_progress: Progress | None = None) -> SetVerification:
    """Read every image and mask of a set that is complete.

    Args:
        dataset: As `open_segmentation_set` returns it: it has checked that nothing is missing.
        on_progress: Told after every image.
    """
    num_classes = len(dataset.class_names)
    counts = np.zeros(num_classes, dtype=np.int64)
    ignored = 0
    problems = []
    for index, name in enumerate(dataset.image_names):
        try:
            mask = dataset[index].mask
        except DataError as error:
            problems.append(BadImage(name, error.message))
        else:
            counted = mask[mask != dataset.ignore_label]
            counts += np.bincount(counted, minlength=num_classes)
            ignored += mask.size - counted.size
        if on_progress is not None:
            on_progress(index + 1, len(dataset))
    return SetVerification(
        name=dataset.name,
        images=len(dataset),
        classes=num_classes,
        classes_seen=int((counts > 0).sum()),
        ignored_share=ignored / max(int(counts.sum()) + ignored, 1),
        pixels=dict(zip(dataset.class_names, counts.tolist(), strict=True)),
        problems=tuple(problems),
    )
