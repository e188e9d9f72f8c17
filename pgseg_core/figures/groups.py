"""Every group of a stage as a mask of its own, for one photo."""

from pathlib import Path

import numpy as np
from jaxtyping import Integer
from matplotlib.figure import Figure
from PIL import Image

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.figures.grid import Grid, Key, Row, Tile, draw_grid
from pgseg_core.figures.tiles import group_colours, group_picture, mask_tile, photo_pixels
from pgseg_core.viz.legend import percentage
from pgseg_core.viz.palette import palette_bytes
from pgseg_core.viz.regions import resize_labels
from pgseg_core.viz.sheet import TWO_COLUMNS

_CELL = 0.8  # inches, at least
_MOST = 256


def draw_groups(
    photo: Image.Image,
    group_map: Integer[np.ndarray, "h w"],
    num_groups: int,
    *,
    stage: int,
    width: float = TWO_COLUMNS,
) -> Figure:
    """Draw the photo, the map of all groups, and each group that has patches, largest first.

    Args:
        photo: The image as the model saw it.
        group_map: The group of each patch.
        num_groups: Groups of the stage, empty ones included.
        stage: Its number, from 0.
        width: Of the figure, in inches.
    """
    pixels = photo_pixels(photo)
    colours = group_colours(group_map, num_groups, most=_MOST)
    counts = np.bincount(group_map.ravel(), minlength=num_groups)
    tiles = [
        Tile(pixels, ("photo",)),
        Tile(group_picture(pixels, group_map, colours), ("all groups",)),
    ]
    for group, colour in colours.items():
        share = percentage(float(counts[group] / group_map.size))
        picture = mask_tile(pixels, group_map == group, colour)
        tiles.append(Tile(picture, (f"{group}: {share}",), frame=colour))
    columns = max(2, int(width / _CELL))
    rows = [Row(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    height, across = group_map.shape
    empty = int((counts == 0).sum())
    note = (
        f"Stage {stage + 1}: {num_groups} groups on {height} x {across} patches, {empty} empty. "
        "Below each: its number and share of the patches"
    )
    return draw_grid(Grid(rows, key=Key(note=note), columns=columns), width=width).figure


def save_group_image(
    group_map: Integer[np.ndarray, "h w"], size: tuple[int, int], path: Path
) -> None:
    """Write the groups as an index image in the figures' colours.

    Args:
        group_map: The group of each patch.
        size: Height and width of the photo itself, which is that of the image.
        path: Of the PNG.

    Raises:
        DataError: There are more groups than an index image holds, or it cannot be written.
    """
    if group_map.max() >= _MOST:
        raise DataError(f"{path}: an index image holds {_MOST} groups", hint="Drop --masks.")
    image = Image.fromarray(resize_labels(group_map, size).astype(np.uint8))
    image.putpalette(palette_bytes(background=False))
    try:
        with whole_file(path) as file:
            image.save(file, format="PNG")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror})", hint="Give another path with --out."
        ) from None
