"""ImageNet-S 50, 300 and 919: ImageNet's validation photos with masks; folders name the classes."""

from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from pgseg_core.data.segmentation.sets import (
    BACKGROUND,
    MANY_IGNORE_LABEL,
    IndexMaskSet,
)
from pgseg_core.data.segmentation.trees import Layout, class_names_of, paired_files
from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header
from pgseg_core.vocabularies import vocabulary_text

SIZES = (50, 300, 919)
"""How many classes the published subsets have."""

_LAYOUT = Layout("validation", "validation-segmentation", ".JPEG")
_IGNORED = 1000  # as the masks write it; 0 is everything else
_WORDNET_IDS = "imagenet_wordnet_ids.txt"


def open_imagenet_s(name: str, root: Path) -> IndexMaskSet:
    """Open the validation split of ImageNet-S: classes in the order of their WordNet ids.

    Raises:
        DataError: The folders are missing or incomplete, are not 50, 300 or 919, or have a name
            that is no class of ImageNet.
    """
    root = _subset(name, root)
    if not _LAYOUT.fits(root):
        raise DataError(f"{name}: no images with masks in {root}", hint=f"Expected: {_LAYOUT}")
    folders = sorted(path.name for path in (root / _LAYOUT.images).iterdir() if path.is_dir())
    if len(folders) not in SIZES:
        raise DataError(
            f"{name}: {root / _LAYOUT.images} has {len(folders)} class folders",
            hint="The subsets have 50, 300 or 919 (validation/n01443537/*.JPEG, ...).",
        )
    names = imagenet_names()
    strangers = [folder for folder in folders if folder not in names]
    if strangers:
        raise DataError(
            f"{name}: {strangers[0]} is no class of ImageNet",
            hint="Class folders are called by their WordNet id, such as n01443537.",
        )
    labels = {value: value for value in range(len(folders) + 1)} | {_IGNORED: MANY_IGNORE_LABEL}
    return IndexMaskSet(
        name,
        (BACKGROUND, *(names[folder] for folder in folders)),
        "imagenet",
        paired_files(name, root, _LAYOUT),
        ignore_label=MANY_IGNORE_LABEL,
        labels=labels,
        read_mask=read_two_byte_mask,
    )


def imagenet_names() -> dict[str, str]:
    """Return the name of each of ImageNet's 1000 classes by its WordNet id."""
    package = resources.files("pgseg_core.data.segmentation")
    ids = package.joinpath(_WORDNET_IDS).read_text("utf-8").split()
    return dict(zip(ids, class_names_of(vocabulary_text("imagenet")), strict=True))


def read_two_byte_mask(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read a mask whose labels are red + 256 green.

    Raises:
        DataError: It cannot be read, or is no colour image.
    """
    try:
        with open_header(path) as image:
            mode = image.mode
            values = np.asarray(image).astype(np.int64)
    except Exception as error:  # Pillow raises anything on a damaged file.
        raise DataError(f"the mask {path} cannot be read: {error}") from error
    if mode != "RGB":
        raise DataError(
            f"the mask {path} is of mode {mode}",
            hint="ImageNet-S writes its labels into red and green (label = red + 256 green).",
        )
    return values[..., 0] + 256 * values[..., 1]


def _subset(name: str, root: Path) -> Path:
    """Return the subset's folder: the root itself, or the only subset in it."""
    if (root / _LAYOUT.images).is_dir():
        return root
    found = [root / f"ImageNetS{size}" for size in SIZES if (root / f"ImageNetS{size}").is_dir()]
    if len(found) > 1:
        raise DataError(
            f"{name}: {root} holds {len(found)} subsets",
            hint=f"Name one: --data-root {found[0]}",
        )
    return found[0] if found else root
