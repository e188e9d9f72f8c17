"""Whatever a caller calls a picture, as RGB photos: paths, PIL images, arrays, tensors, batches."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.images import read_image, to_rgb

if TYPE_CHECKING:
    from torch import Tensor

    Picture = str | Path | Image.Image | np.ndarray | Tensor
else:  # without torch, there are no tensors
    Picture = Any
"""One photo. A path's EXIF orientation is applied, as in a viewer; an image in memory stays as it
is, so that labels lie on its own pixels."""

_COLOURS = (1, 3, 4)


def as_photos(picture: Picture | Sequence[Picture]) -> tuple[list[Image.Image], bool]:
    """Return RGB photos, and whether a batch was given rather than one picture.

    Args:
        picture: One picture, a list of them, or an array or tensor with a first axis for the batch:
            (b, h, w, colours) or (b, colours, h, w).

    Raises:
        DataError: A file cannot be read, or an array is no picture.
    """
    if isinstance(picture, str | Path | Image.Image):
        return [_as_photo(picture)], False
    if isinstance(picture, np.ndarray) or _is_tensor(picture):
        several = picture.ndim == 4
        return [_as_photo(one) for one in (picture if several else [picture])], several
    return [_as_photo(one) for one in picture], True


def _as_photo(picture: Any) -> Image.Image:
    if isinstance(picture, str | Path):
        return read_image(Path(picture))
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    if _is_tensor(picture):
        values = picture.detach().cpu()
        return _from_array(
            _colours_last(
                values.float().numpy() if values.is_floating_point() else values.numpy(), first=True
            )
        )
    if isinstance(picture, np.ndarray):
        return _from_array(_colours_last(picture, first=False))
    raise DataError(
        f"a {type(picture).__name__} is no picture",
        hint="Give a path, a PIL image, a numpy array or a torch tensor, or a list of them.",
    )


def _is_tensor(picture: object) -> "TypeGuard[Tensor]":
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(picture, torch.Tensor)


def _colours_last(values: np.ndarray, *, first: bool) -> np.ndarray:
    """Return (h, w) or (h, w, colours); `first` is the axis that colours usually have."""
    if values.ndim == 2:
        return values
    if values.ndim == 3 and values.size:
        leads, trails = values.shape[0] in _COLOURS, values.shape[-1] in _COLOURS
        if leads and (first or not trails):
            values = np.moveaxis(values, 0, -1)
        if leads or trails:
            return values[..., 0] if values.shape[-1] == 1 else values
    raise DataError(
        f"an array of shape {tuple(values.shape)} is no picture",
        hint="Give height x width x 3 (numpy) or 3 x height x width (torch).",
    )


def _from_array(values: np.ndarray) -> Image.Image:
    if values.size == 0:
        raise DataError("an array without pixels is no picture")
    return to_rgb(Image.fromarray(np.ascontiguousarray(_as_bytes(values))))


def _as_bytes(values: Shaped[np.ndarray, "*hwc"]) -> UInt8[np.ndarray, "*hwc"]:
    """Bring numbers to 0 to 255: booleans, bytes, 16 bits, or floats from 0 to 1 or to 255."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    low, high = float(values.min()), float(values.max())  # NaN fails the comparison below
    if values.dtype == np.uint16:
        return (values / 257).round().astype(np.uint8)
    if not 0 <= low <= high <= 255:
        raise DataError(
            f"an array with values from {low:g} to {high:g} is no picture",
            hint="Give 0 to 1, or 0 to 255; do not standardise the colours.",
        )
    scale = 255 if values.dtype.kind == "f" and high <= 1 else 1
    return (values * scale).round().astype(np.uint8)
