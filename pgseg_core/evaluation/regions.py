"""Where class-free masks come from: a model's groups, random cells, or another system's files.

Kept apart from the measures (`quality.py`), which do not care.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from PIL import Image

from pgseg_core.data.segmentation import SegmentationSample, read_index_mask
from pgseg_core.data.segmentation.instances import object_pixels
from pgseg_core.errors import DataError
from pgseg_core.evaluation.baselines import random_groups
from pgseg_core.inference.preprocess import size_photo, to_window
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import as_groups, largest_groups
from pgseg_core.viz.regions import resize_labels


@dataclass(frozen=True)
class Regions:
    """An image cut into class-free masks."""

    groups: Integer[np.ndarray, "h w"]
    """The mask that each pixel belongs to; where masks overlap, the smallest."""
    masks: Bool[np.ndarray, "m h w"] | None = None
    """The masks where they may overlap; None where `groups` says all."""
    features: Float[np.ndarray, "n d"] | None = None
    """A vector for each patch; None for a system that has none."""
    patches: Integer[np.ndarray, " n"] | None = None
    """The group of each patch, where there are features."""

    def each(self) -> Iterator[Bool[np.ndarray, "h w"]]:
        """Yield the masks one by one."""
        if self.masks is not None:
            yield from self.masks
        else:
            yield from (self.groups == group for group in np.unique(self.groups))


@torch.inference_mode()
def model_regions(segmenter: Segmenter, photo: Image.Image) -> Regions:
    """Cut a photo into a model's groups, looking at the whole of it in one window.

    Args:
        segmenter: The model; the photo's short side becomes that of its windows.
        photo: RGB.

    Returns:
        The last stage's groups at the photo's own size, with the patches as the first grouping
        block sees them (after its LayerNorm).
    """
    method = as_groups(segmenter.method, "--quality")
    sized = size_photo(photo, to_window(segmenter.reading))
    output = method.encode(sized.pixels[None])
    maps = output.group_maps().float().cpu().unflatten(2, output.grid)
    rows, columns = output.grid
    covered = (rows * method.patch_size, columns * method.patch_size)
    own = largest_groups(maps, covered, sized.photo.shape[:2])[0]
    return Regions(
        groups=resize_labels(own.numpy(), (photo.height, photo.width)),
        features=output.stages[0].patches[0].float().cpu().numpy(),
        patches=output.group_maps()[0].argmax(dim=0).cpu().numpy(),
    )


def baseline_regions(name: str, sample: SegmentationSample) -> Regions:
    """Cut an image as a trivial answer does: into random cells, or not at all."""
    if name.startswith("random"):
        return Regions(random_groups(sample.name, *sample.mask.shape))
    return Regions(np.zeros(sample.mask.shape, dtype=np.int64))


def overlapping_regions(masks: Bool[np.ndarray, "m h w"]) -> Regions:
    """Take masks that may overlap: a pixel's group is the smallest mask over it, or none."""
    groups = np.zeros(masks.shape[1:], dtype=np.int64)
    for place in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
        groups[masks[place]] = place + 1
    return Regions(groups, masks)


def find_mask_file(folder: Path, name: str) -> Path:
    """Find an image's masks: NAME.png, NAME.npy, NAME.json, or a folder NAME of PNGs.

    Raises:
        DataError: None of them is there.
    """
    for candidate in (*(folder / f"{name}.{ending}" for ending in ("png", "npy", "json")),
                      folder / name):  # fmt: skip
        if candidate.exists():
            return candidate
    raise DataError(
        f"{folder} has no masks of {name}",
        hint=f"Expected {name}.png (an index image), {name}.npy (masks x height x width), "
        f"{name}.json (segment-anything's run lengths), or a folder {name}/ of PNGs.",
    )


def read_regions(path: Path, height: int, width: int) -> Regions:
    """Read an image's masks from a file or folder of `find_mask_file`.

    Args:
        path: An index image (every value is a mask, 0 too), a stack of masks, run lengths, or a
            folder with an image for each mask.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Raises:
        DataError: It cannot be read, is of another size, or holds no mask.
    """
    if path.suffix == ".png" and path.is_file():
        return Regions(_of_size(read_index_mask(path), path, height, width))
    if path.is_dir():
        files = sorted(path.glob("*.png"))
        parts = [_of_size(read_index_mask(file) > 0, file, height, width) for file in files]
    elif path.suffix == ".npy":
        parts = _stack(path, height, width)
    else:
        parts = _run_lengths(path, height, width)
    if not parts:
        raise DataError(f"{path} holds no mask", hint="Leave the image out, or write its masks.")
    return overlapping_regions(np.stack(parts))


def _stack(path: Path, height: int, width: int) -> list[Bool[np.ndarray, "h w"]]:
    try:
        stack = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array ({error})") from error
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3:
        raise DataError(
            f"{path} is an array of {stack.ndim} axes", hint="Expected masks x height x width."
        )
    return [_of_size(mask, path, height, width) for mask in stack != 0]


def _run_lengths(path: Path, height: int, width: int) -> list[Bool[np.ndarray, "h w"]]:
    try:
        entries = json.loads(path.read_text("utf-8"))
        return [object_pixels(entry["segmentation"], height, width) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"{path} does not hold masks of {width} x {height} pixels ({error})",
            hint='Expected a list of {"segmentation": {"size": [height, width], "counts": ...}}.',
        ) from error


def _of_size(mask: np.ndarray, path: Path, height: int, width: int) -> np.ndarray:
    if mask.shape != (height, width):
        raise DataError(
            f"{path} has {mask.shape[1]} x {mask.shape[0]} pixels, its image {width} x {height}",
            hint="Write masks at the image's original size.",
        )
    return mask
