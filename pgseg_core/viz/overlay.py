"""A photo with its labels drawn over it, and the labels alone as an indexed image."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, UInt8
from PIL import Image, ImageDraw

from pgseg_core.viz.legend import LegendEntry, draw_legend, one_line, shorten
from pgseg_core.viz.palette import RGB, class_colours, palette_bytes, text_colour
from pgseg_core.viz.regions import label_counts, place_box, region_edges, resize_labels
from pgseg_core.viz.typeface import typeface

MOST_PIXELS = 2**22
"""A larger photo is reduced to this many pixels before it is drawn over."""
_NARROWEST = 320  # a narrower photo stands on a canvas this wide, so that its legend can be read
_CUT_NAMES = (14, 8)  # widths, in heights of letters, to which a name that does not fit is cut
_CONTOUR_OPACITY = 0.9
_BACKGROUND_OPACITY = 0.5  # of a class's: the background recedes, but the photo stays readable


def draw_overlay(
    image: Image.Image,
    labels: Integer[np.ndarray, "h w"],
    names: Sequence[str],
    *,
    background: bool,
    opacity: float = 0.55,
) -> Image.Image:
    """Draw translucent class colours, contours and names over a photo, and a legend below it.

    The photo keeps its size up to `MOST_PIXELS`. The legend lists the classes that occur, largest
    first, with their share of all pixels; the background comes last. Labels outside the class list,
    such as 255 in a ground truth, leave the photo as it is and are listed as unlabelled.

    Args:
        image: The photo.
        labels: A class index for each of its pixels.
        names: Class names in the order of the labels.
        background: Whether class 0 is the background: neutral grey, half as opaque, not named in
            the photo.
        opacity: How much the colours cover the photo, from 0 to 1.

    Returns:
        RGB; the photo at the top, centred if the legend needs more width.
    """
    assert labels.shape == image.size[::-1], "image and labels differ in size"
    counts = label_counts(labels, len(names))
    shares = (counts / labels.size).tolist()
    colours = class_colours(len(names), background=background)
    image, labels = _reduced(image, labels)
    letters = _letter_height(image.size)
    opacities = np.full(len(names), float(opacity))
    if background:
        opacities[:1] *= _BACKGROUND_OPACITY
    photo = Image.fromarray(_tinted(np.asarray(image), labels, colours, opacities, letters))
    fills: list[RGB] = [(red, green, blue) for red, green, blue in colours.tolist()]
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda label: -shares[label])
    if background and 0 in order:
        order = [*(label for label in order if label != 0), 0]
    for label in order:
        if label != 0 or not background:
            _name_region(photo, labels == label, names[label], fills[label], letters)
    entries = [LegendEntry(names[label], fills[label], shares[label]) for label in order]
    if sum(shares) < 1 - 0.5 / labels.size:
        entries.append(LegendEntry("unlabelled", None, 1 - sum(shares)))
    return _above(photo, draw_legend(entries, max(photo.width, _NARROWEST), letters))


def index_mask(labels: Integer[np.ndarray, "h w"], *, background: bool) -> Image.Image:
    """Return the labels as an indexed image whose palette is the overlay's.

    Labels 0 to 255 give mode P. If there are larger ones, which no palette holds, the labels are
    returned as 16-bit grey values.

    Args:
        labels: A class index for each pixel, from 0 to 65535; 255 is drawn as unlabelled.
        background: Whether class 0 is the background, which is neutral.
    """
    assert 0 <= labels.min() <= labels.max() < 2**16, "labels do not fit into an image"
    if labels.max() > 255:
        return Image.fromarray(labels.astype(np.uint16))
    mask = Image.fromarray(labels.astype(np.uint8))
    mask.putpalette(palette_bytes(background=background))
    return mask


def blend(
    photo: UInt8[np.ndarray, "h w 3"],
    colour: UInt8[np.ndarray, "*hw 3"],
    opacity: Float[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a colour, or one for each pixel, over a photo: 0 keeps the photo, 1 hides it."""
    below = photo.astype(np.float32)
    mixed = below + opacity.astype(np.float32)[..., None] * (colour - below)
    return np.rint(mixed).astype(np.uint8)


def _tinted(
    photo: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    colours: UInt8[np.ndarray, "c 3"],
    opacities: Float[np.ndarray, " c"],
    letters: int,
) -> UInt8[np.ndarray, "h w 3"]:
    known = (labels >= 0) & (labels < len(colours))
    places = np.where(known, labels, len(colours))  # one more place: no class, not tinted
    colours = np.vstack([colours, np.zeros((1, 3), dtype=np.uint8)])
    tinted = blend(photo, colours[places], np.append(opacities, 0.0)[places])
    edges = region_edges(places, width=max(1, letters // 10))
    return blend(tinted, np.full(3, 255, dtype=np.uint8), edges * _CONTOUR_OPACITY)


def _reduced(
    image: Image.Image, labels: Integer[np.ndarray, "h w"]
) -> tuple[Image.Image, Integer[np.ndarray, "H W"]]:
    """Bring a large photo and its labels down to `MOST_PIXELS`, ratio kept."""
    if image.mode != "RGB":
        image = image.convert("RGB")
    factor = math.sqrt(MOST_PIXELS / labels.size)
    if factor >= 1:
        return image, labels
    width, height = (max(1, int(side * factor)) for side in image.size)
    smaller = image.resize((width, height), Image.Resampling.BOX)
    return smaller, resize_labels(labels, (height, width))


def _letter_height(size: tuple[int, int]) -> int:
    """Letters grow with the photo, within what is readable."""
    return round(min(max(math.sqrt(size[0] * size[1]) / 36, 13), 40))


def _name_region(photo: Image.Image, mask: np.ndarray, name: str, fill: RGB, letters: int) -> None:
    """Write a name into its region, on the class's colour, if it fits; a long one may be cut."""
    draw, name = ImageDraw.Draw(photo), one_line(name)
    font = typeface(letters, name)
    height = 1.5 * letters
    if not name or height > photo.height:
        return
    widths = (photo.width - letters, *(letters * most for most in _CUT_NAMES))
    for text in dict.fromkeys(shorten(name, font, most) for most in widths):
        width = font.getlength(text) + letters
        if width > photo.width:
            continue
        place = place_box(mask, (1.2 * height, width + 0.3 * height))  # with a little air around it
        if place is not None:
            row, column = place
            box = (column - width / 2, row - height / 2, column + width / 2, row + height / 2)
            draw.rounded_rectangle(box, height / 2, fill=fill)
            draw.text((column, row), text, text_colour(fill), font, anchor="mm")
            return


def _above(photo: Image.Image, legend: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (legend.width, photo.height + legend.height), "white")
    canvas.paste(photo, ((legend.width - photo.width) // 2, 0))
    canvas.paste(legend, (0, photo.height))
    return canvas
