"""The pictures that figures are made of, as plain pixels over the photo."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from matplotlib import colormaps
from PIL import Image

from pgseg_core.viz.overlay import blend
from pgseg_core.viz.palette import BACKGROUND, RGB, palette
from pgseg_core.viz.regions import region_edges, resize_labels

SIDE = 480
"""Longer side of a tile's photo in pixels: 300 dots an inch at 1.6 inches."""

_WHITE = np.full(3, 255, dtype=np.uint8)
_CONTOUR = 3
_HEAT = colormaps["inferno"]


def photo_pixels(photo: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """Return a photo's pixels, its longer side brought to `SIDE`."""
    factor = SIDE / max(photo.size)
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    return np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def group_colours(
    group_map: Integer[np.ndarray, "h w"], num_groups: int, *, most: int
) -> dict[int, RGB]:
    """Give the groups with the most patches a colour each, largest first; the others get none."""
    counts = np.bincount(group_map.ravel(), minlength=num_groups)
    order = np.argsort(-counts, kind="stable")[:most]
    shown = [int(group) for group in order if counts[group] > 0]
    return dict(zip(shown, palette(), strict=False))


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


def label_picture(
    photo: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: UInt8[np.ndarray, "c 3"],
    *,
    background: bool = False,
) -> UInt8[np.ndarray, "H W 3"]:
    """Lay class colours over the grey photo, as papers show them.

    Args:
        photo: RGB.
        labels: A class for every pixel, of any size; one outside the classes leaves the photo pale.
        colours: Of the classes.
        background: Whether class 0 is the background, which recedes.
    """
    height, width = photo.shape[:2]
    places = resize_labels(labels, (height, width))
    known = (places >= 0) & (places < len(colours))
    places = np.where(known, places, len(colours))
    table = np.vstack([colours, _WHITE[None]])
    opacity = np.full(len(table), 0.7)
    opacity[0] = 0.35 if background else 0.7
    tinted = blend(_grey(photo), table[places], opacity[places])
    return blend(tinted, _WHITE, region_edges(places, _CONTOUR) * 0.9)


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
    photo: UInt8[np.ndarray, "H W 3"],
    values: Float[np.ndarray, "h w"],
    *,
    least: float = 0.0,
    most: float,
    smooth: bool = True,
) -> UInt8[np.ndarray, "H W 3"]:
    """Lay a map over the grey photo as heat, dark at `least` and bright at `most`.

    Args:
        photo: RGB.
        values: One for each patch.
        least: Value of the dark end.
        most: Value of the bright end.
        smooth: Interpolate between patches; otherwise each patch is one flat square.
    """
    height, width = photo.shape[:2]
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    enlarged = np.asarray(
        Image.fromarray(values.astype(np.float32)).resize((width, height), method)
    )
    heat = np.clip((enlarged - least) / max(most - least, 1e-12), 0, 1)
    return blend(_grey(photo), heat_colours(heat), 0.45 + 0.45 * heat)


def outlined(
    picture: UInt8[np.ndarray, "H W 3"], labels: Integer[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw thin white lines where labels change."""
    edges = region_edges(resize_labels(labels, picture.shape[:2]), _CONTOUR)
    return blend(picture, _WHITE, edges * 0.9)


def heat_colours(heat: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the colour of each value from 0 to 1; even for every kind of colour vision."""
    colours: np.ndarray = _HEAT(heat, bytes=True)[..., :3]
    return colours


def _grey(photo: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))
