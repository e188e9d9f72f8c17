"""Photos, what several systems make of them, and the ground truth, beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer, UInt8
from matplotlib.figure import Figure
from PIL import Image

from pgseg_core.evaluation.regions import Regions
from pgseg_core.figures.grid import Grid, Key, Row, Tile, draw_grid
from pgseg_core.figures.tiles import label_picture, photo_pixels
from pgseg_core.viz.palette import class_colours, palette
from pgseg_core.viz.sheet import TWO_COLUMNS

_MOST_NAMED = 24
_FIRST_FREE = 20  # masks without a class begin here in the palette, after its best known colours


@dataclass(frozen=True)
class Column:
    """What one system, or the ground truth, says of every photo."""

    name: str
    labels: Sequence[Integer[np.ndarray, "_ _"]]
    """A class for every pixel of each photo; one outside the classes is left pale."""


@dataclass(frozen=True)
class MaskColumn:
    """Class-free masks of a system for every photo."""

    name: str
    regions: Sequence[Regions]


def draw_comparison(
    photos: Sequence[Image.Image],
    columns: Sequence[Column | MaskColumn],
    class_names: Sequence[str],
    *,
    background: bool,
    colours: UInt8[np.ndarray, "c 3"] | None = None,
    width: float = TWO_COLUMNS,
) -> Figure:
    """Draw photos in rows and systems in columns, and name the classes that are seen.

    Class-free masks have colours of their own, which mean nothing but "another mask".

    Args:
        photos: RGB.
        columns: Systems and ground truth, left to right.
        class_names: In the order of the labels.
        background: Whether class 0 is the background.
        colours: Of the labels; None takes those that every kind of colour vision tells apart.
        width: Of the figure, in inches.
    """
    table = class_colours(len(class_names), background=background) if colours is None else colours
    rows = []
    for index, photo in enumerate(photos):
        pixels = photo_pixels(photo)
        tiles = [Tile(pixels)]
        for column in columns:
            if isinstance(column, Column):
                tiles.append(
                    Tile(label_picture(pixels, column.labels[index], table, background=background))
                )
            else:
                tiles.append(Tile(_mask_picture(pixels, column.regions[index])))
        rows.append(Row(tiles))
    seen = _seen(columns, len(class_names))
    key = Key(
        names=[(_rgb(table[label]), class_names[label]) for label in seen[:_MOST_NAMED]],
        note=f"and {len(seen) - _MOST_NAMED} more classes" if len(seen) > _MOST_NAMED else "",
    )
    headings = ("Photo", *(column.name for column in columns))
    return draw_grid(Grid(rows, headings, key), width=width).figure


def _seen(columns: Sequence[Column | MaskColumn], count: int) -> list[int]:
    """List the classes that any system sees, in their own order."""
    total = np.zeros(count, dtype=np.int64)
    for column in columns:
        if isinstance(column, Column):
            for labels in column.labels:
                inside = labels[(labels >= 0) & (labels < count)]
                total += np.bincount(inside.ravel(), minlength=count)
    return np.flatnonzero(total).tolist()


def _mask_picture(
    photo: UInt8[np.ndarray, "H W 3"], regions: Regions
) -> UInt8[np.ndarray, "H W 3"]:
    """Colour masks from large to small; pixels of no mask (0 where masks overlap) stay pale."""
    groups = regions.groups
    numbers, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.empty(len(numbers), dtype=np.int64)
    order[np.argsort(-counts, kind="stable")] = np.arange(len(numbers))
    labels = order[places].reshape(groups.shape)
    if regions.masks is not None:
        labels = np.where(groups == 0, -1, labels)
    table = np.array(
        [palette()[(_FIRST_FREE + index) % 256] for index in range(len(numbers))], dtype=np.uint8
    )
    return label_picture(photo, labels, table)


def _rgb(colour: UInt8[np.ndarray, " 3"]) -> tuple[int, int, int]:
    red, green, blue = colour.tolist()
    return red, green, blue
