"""A tiny set of images with masks, held in memory."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pgseg_core.data.segmentation import SegmentationSample
from pgseg_core.errors import DataError


@dataclass(frozen=True)
class MemorySet:
    """The red channel of each image is its index; `damaged` ones cannot be read."""

    masks: tuple[np.ndarray, ...]
    class_names: tuple[str, ...] = ("background", "cat", "dog")
    name: str = "memory"
    has_background: bool = True
    ignore_label: int = 255
    vocabulary: str = "@memory"
    damaged: frozenset[int] = frozenset()

    @property
    def image_names(self) -> tuple[str, ...]:
        return tuple(f"{index}.jpg" for index in range(len(self.masks)))

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> SegmentationSample:
        if index in self.damaged:
            raise DataError(f"{index}.jpg: cannot be decoded")
        mask = self.masks[index]
        image = Image.new("RGB", (mask.shape[1], mask.shape[0]), (index, 0, 0))
        return SegmentationSample(f"{index}.jpg", image, mask)


def random_set(num_images: int = 7, *, damaged: frozenset[int] = frozenset()) -> MemorySet:
    generator = np.random.default_rng(0)
    labels = np.array([0, 1, 2, 255])
    masks = tuple(
        labels[generator.integers(0, 4, size=(3 + index, 5))] for index in range(num_images)
    )
    return MemorySet(masks, damaged=damaged)


def index_of(image: Image.Image) -> int:
    red, _, _ = image.getpixel((0, 0))
    return red
