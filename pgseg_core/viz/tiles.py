"""The pictures a prototype figure is made of, as plain pixels over the photo."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from matplotlib import colormaps
from PIL import Image

from pgseg_core.viz.overlay import blend
from pgseg_core.viz.palette import BACKGROUND, RGB
from pgseg_core.viz.regions import region_edges, resize_labels

_WHITE = np.full(3, 255, dtype=np.uint8)
_CONTOUR = 3  # pixels, on a photo of about 512
_HEAT = colormaps["inferno"]


def group_picture(
    photo: UInt8[np.ndarray, "H W 3"],
    group_map: Integer[np.ndarray, "h w"],
    colours: Mapping[int, RGB],
) -> UInt8[np.ndarray, "H W 3"]:
    """Colour the patches of some groups over the photo; other groups share a pale grey."""
    height, width = photo.shape[:2]
    labels = resize_labels(group_map, (height, width))
    table = np.array([colours.get(group, BACKGROUND) for group in range(int(labels.max()) + 1)])
    coloured = np.isin(labels, list(colours))
    base = np.where(coloured[..., None], photo, _grey(photo))
    tinted = blend(base, table.astype(np.uint8)[labels], np.where(coloured, 0.6, 0.5))
    tinted = blend(tinted, _WHITE, np.where(coloured, 0.0, 0.4))
    return blend(tinted, _WHITE, region_edges(labels, _CONTOUR) * 0.85)


def mask_tile(
    photo: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "h w"], colour: RGB
) -> UInt8[np.ndarray, "H W 3"]:
    """Show the photo where a group is, outlined in its colour, and fade it elsewhere."""
    height, width = photo.shape[:2]
    inside = resize_labels(mask.astype(np.uint8), (height, width)) > 0
    faded = blend(_grey(photo), _WHITE, np.where(inside, 0.0, 0.75))
    shown = np.where(inside[..., None], photo, faded)
    edges = region_edges(inside.astype(np.uint8), 3 * _CONTOUR)
    return blend(shown, np.array(colour, dtype=np.uint8), edges.astype(np.float64))


def heat_tile(
    photo: UInt8[np.ndarray, "H W 3"], share: Float[np.ndarray, "h w"], *, most: float
) -> UInt8[np.ndarray, "H W 3"]:
    """Lay a map of shares over the grey photo as heat, dark at 0 and bright at `most`."""
    height, width = photo.shape[:2]
    smooth = np.asarray(
        Image.fromarray(share.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    )
    heat = np.clip(smooth / max(most, 1e-12), 0, 1)
    return blend(_grey(photo), heat_colours(heat), 0.4 + 0.5 * heat)


def heat_colours(heat: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the colour of each value from 0 to 1; even for every kind of colour vision."""
    colours: np.ndarray = _HEAT(heat, bytes=True)[..., :3]
    return colours


def _grey(photo: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))
