"""Images with index masks, for evaluation: Pascal VOC trees and plain folders.

A set is checked when it is opened, so that a missing file is known before hours of work.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer
from PIL import Image

from pgseg_core.data.images import IMAGE_SUFFIXES, read_image
from pgseg_core.errors import DataError

IGNORE_LABEL = 255
"""Pixels of this label have no ground truth."""

BACKGROUND = "background"
"""Name of the class of everything else; where a set has it, it is the first."""

VOC12_CLASSES = (
    *(BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""Pascal VOC's own class names, in the order of its masks."""

_MASK_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16B"})
_CLASS_NAME = re.compile(r'\s*(?:"([^"]*)"|([^,:#"]*))')
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


@dataclass(frozen=True)
class IndexMaskSet:
    """A `SegmentationSet` whose masks are images of class indices."""

    name: str
    class_names: tuple[str, ...]
    vocabulary: str
    files: tuple[MaskFiles, ...]
    ignore_label: int = IGNORE_LABEL

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background."""
        return self.class_names[0].casefold() == BACKGROUND

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
        mask = read_index_mask(files.mask)
        height, width = mask.shape
        if image.size != (width, height):
            raise DataError(
                f"{files.mask} has {width} x {height} pixels, its image {image.width} x "
                f"{image.height}",
                hint="A mask covers its image pixel by pixel: write it at the original size.",
            )
        labels = np.unique(mask)
        unknown = labels[(labels >= len(self.class_names)) & (labels != self.ignore_label)]
        if len(unknown):
            raise DataError(
                f"{files.mask} has labels outside the {len(self.class_names)} classes: "
                f"{', '.join(map(str, unknown[:_SHOWN].tolist()))}",
                hint=f"Labels go from 0 to {len(self.class_names) - 1}; {self.ignore_label} is "
                "not counted.",
            )
        return SegmentationSample(files.name, image, mask)


def open_segmentation_set(name: str, root: Path) -> SegmentationSet:
    """Open a set and check that all of it is there.

    Args:
        name: `voc12` (the val split of a Pascal VOC 2012 tree), `folder` or `scenes` (`images/`,
            `masks/*.png` and `classes.txt`; a first class called background is the background).
        root: The set's folder.

    Raises:
        DataError: No such kind of set, or files are missing; lists the first and counts all.
    """
    openers: dict[str, Callable[[str, Path], SegmentationSet]] = {
        "voc12": _open_voc12,
        "folder": _open_folder,
        "scenes": _open_folder,
    }
    if name not in openers:
        raise DataError(
            f"no segmentation set called '{name}'", hint=f"Known sets: {', '.join(openers)}"
        )
    if not root.is_dir():
        raise DataError(f"{name}: the folder {root} does not exist", hint="Check the path.")
    return openers[name](name, root)


def read_index_mask(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read an image whose pixel values are class indices (palettes are not applied).

    Raises:
        DataError: Unreadable, or a colour image.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            values = np.asarray(image)
    except Exception as error:  # Pillow raises anything on a damaged file.
        raise DataError(f"the mask {path} cannot be read: {error}") from error
    if mode not in _MASK_MODES:
        raise DataError(
            f"the mask {path} is a colour image ({mode}), not one of class indices",
            hint="Save one channel (or a palette image) whose values are the labels.",
        )
    return values.astype(np.int64)


def _open_voc12(name: str, root: Path) -> SegmentationSet:
    trees = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    root = next((tree for tree in trees if (tree / "ImageSets").is_dir()), root)
    layout = "JPEGImages/*.jpg, SegmentationClass/*.png, ImageSets/Segmentation/val.txt"
    listing = root / "ImageSets" / "Segmentation" / "val.txt"
    try:
        names = listing.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name}: {listing} cannot be read", hint=f"Expected in {root}: {layout}"
        ) from error
    files = tuple(
        MaskFiles(
            entry, root / "JPEGImages" / f"{entry}.jpg", root / "SegmentationClass" / f"{entry}.png"
        )
        for entry in names
    )
    wanted = [path for entry in files for path in (entry.image, entry.mask)]
    _refuse_missing(name, root, layout, [path for path in wanted if not path.is_file()])
    _refuse_empty(name, listing, files)
    return IndexMaskSet(name, VOC12_CLASSES, "voc12", files)


def _open_folder(name: str, root: Path) -> SegmentationSet:
    layout = "images/NAME.jpg (or png, ...), masks/NAME.png, classes.txt (one class a line)"
    parts = [root / "images", root / "masks", root / "classes.txt"]
    _refuse_missing(name, root, layout, [part for part in parts if not part.exists()])
    images = _by_stem(root / "images", IMAGE_SUFFIXES)
    masks = _by_stem(root / "masks", frozenset({".png"}))
    missing = [root / "masks" / f"{stem}.png" for stem in images if stem not in masks]
    missing += [root / "images" / f"{stem}.jpg" for stem in masks if stem not in images]
    _refuse_missing(name, root, layout, missing)
    files = tuple(MaskFiles(stem, images[stem], masks[stem]) for stem in images)
    _refuse_empty(name, root / "images", files)
    classes = root / "classes.txt"
    return IndexMaskSet(name, _read_class_names(classes), f"@{classes}", files)


def _by_stem(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            other = found.setdefault(path.stem, path)
            if other != path:
                raise DataError(
                    f"{folder}: {other.name} and {path.name} have the same name",
                    hint="Keep one of them: masks are found by the name without its suffix.",
                )
    return found


def _read_class_names(path: Path) -> tuple[str, ...]:
    """Read the first name of every line: the class as the set calls it, without its wordings."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    matches = (_CLASS_NAME.match(line) for line in lines)
    found = [" ".join((match[1] or match[2] or "").split()) for match in matches if match]
    names = tuple(filter(None, found))
    if not names:
        raise DataError(f"{path} names no class", hint="Write one class a line, in label order.")
    if len(names) > IGNORE_LABEL:
        raise DataError(
            f"{path} names {len(names)} classes; label {IGNORE_LABEL} is kept for ignored pixels",
            hint=f"Use at most {IGNORE_LABEL} classes.",
        )
    return names


def _refuse_missing(name: str, root: Path, layout: str, missing: Sequence[Path]) -> None:
    if missing:
        names = ", ".join(str(path.relative_to(root)) for path in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{name}: {len(missing)} missing in {root}: {names}{more}", hint=f"Expected: {layout}"
        )


def _refuse_empty(name: str, where: Path, files: Sequence[MaskFiles]) -> None:
    if not files:
        raise DataError(f"{name}: {where} names no image", hint="Is the set complete?")
