"""What a set with masks is, and the one whose masks are images of class indices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header, read_image

IGNORE_LABEL = 255
"""Pixels of this label have no ground truth."""
MANY_IGNORE_LABEL = 65_535
"""The same in sets of so many classes that 255 is one of them; the largest of a 16-bit mask."""

BACKGROUND = "background"
"""Name of the class of everything else; where a set has it, it is the first."""

_MASK_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16B"})
_SHOWN = 3


@dataclass(frozen=True)
class SegmentationSample:
    """One image and its ground truth.

    Attributes:
        name: The file's name without its suffix.
        image: RGB, at its original size.
        mask: A class index for every pixel, or the set's `ignore_label`.
    """

    name: str
    image: Image.Image
    mask: Integer[np.ndarray, "h w"]


@runtime_checkable
class SegmentationSet(Protocol):
    """A set that a segmenter can be evaluated on."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The set's own names, in the order of the mask's labels (c of them)."""
        ...

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background, which no prompt is made for."""
        ...

    @property
    def ignore_label(self) -> int:
        """The label of pixels that are not counted."""
        ...

    @property
    def vocabulary(self) -> str:
        """Where the wordings for prompts are: a built-in vocabulary's name, or `@file`."""
        ...

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image, in order."""
        ...

    def __len__(self) -> int:
        """How many images the set has."""
        ...

    def __getitem__(self, index: int, /) -> SegmentationSample:
        """Read an image and its mask."""
        ...


@dataclass(frozen=True)
class MaskFiles:
    """Where one image and its mask are."""

    name: str
    image: Path
    mask: Path


def read_index_mask(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read an image whose pixel values are class indices (palettes are not applied).

    Raises:
        DataError: Unreadable, or a colour image.
    """
    try:
        with open_header(path) as image:
            mode = image.mode
            values = np.asarray(image)
    except Exception as error:  # Pillow raises anything on a damaged file.
        raise DataError(
            f"the mask {path} is no image that can be read (empty, cut off, or not an image)",
            hint="Take it from the set's archive again; pgseg data verify checks them all.",
        ) from error
    if mode not in _MASK_MODES:
        raise DataError(
            f"the mask {path} is a colour image ({mode}), not one of class indices",
            hint="Save one channel (or a palette image) whose values are the labels.",
        )
    return values.astype(np.int64)


@dataclass(frozen=True)
class IndexMaskSet:
    """A `SegmentationSet` whose masks are images of class indices."""

    name: str
    class_names: tuple[str, ...]
    vocabulary: str
    files: tuple[MaskFiles, ...]
    ignore_label: int = IGNORE_LABEL
    labels: Mapping[int, int] | None = field(default=None, repr=False)
    """The label of each value in the mask files; None where the values are the labels."""
    read_mask: Callable[[Path], Integer[np.ndarray, "h w"]] = field(
        default=read_index_mask, repr=False
    )
    """How a mask file's values are read."""

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background."""
        return self.class_names[0].casefold() == BACKGROUND

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image, in order."""
        return tuple(entry.name for entry in self.files)

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """Where each image is, in order."""
        return tuple(entry.image for entry in self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> SegmentationSample:
        """Read an image and its mask.

        Raises:
            DataError: One of them is damaged, their sizes differ, or the mask has a label that is
                no class; names the file.
        """
        files = self.files[index]
        image = read_image(files.image)
        mask = self.read_mask(files.mask)
        height, width = mask.shape
        if image.size != (width, height):
            raise DataError(
                f"{files.mask} has {width} x {height} pixels, its image {image.width} x "
                f"{image.height}",
                hint="A mask covers its image pixel by pixel: write it at the original size.",
            )
        return SegmentationSample(files.name, image, self._translated(mask, files.mask))

    def _translated(
        self, mask: Integer[np.ndarray, "h w"], path: Path
    ) -> Integer[np.ndarray, "h w"]:
        values, places = np.unique(mask, return_inverse=True)
        last = len(self.class_names) - 1
        if self.labels is None:
            known = {*range(last + 1), self.ignore_label}
            expected = f"Labels go from 0 to {last}; {self.ignore_label} is not counted."
        else:
            known = set(self.labels)
            expected = f"{self.name} masks hold values {_ranges(known)}."
        unknown = [value for value in values.tolist() if value not in known]
        if unknown:
            raise DataError(
                f"{path} has labels outside the {len(self.class_names)} classes: "
                f"{', '.join(map(str, unknown[:_SHOWN]))}",
                hint=expected,
            )
        if self.labels is None:
            return mask
        translated = np.array([self.labels[value] for value in values.tolist()], dtype=np.int64)
        return translated[places].reshape(mask.shape)


def _ranges(values: set[int]) -> str:
    """Write numbers as ranges: {0, 1, 2, 5} as "0-2, 5"."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and value == found[-1][1] + 1:
            found[-1][1] = value
        else:
            found.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in found)
