"""Where tokens look: a group's way from the first block to the assignment, or one patch's."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from pgseg_core.errors import DataError
from pgseg_core.figures.grid import Grid, Key, Row, Tile, draw_grid
from pgseg_core.figures.probe import Probe
from pgseg_core.figures.tiles import group_colours, heat_tile, mask_tile, photo_pixels
from pgseg_core.viz.palette import RGB
from pgseg_core.viz.sheet import TWO_COLUMNS


def draw_group_attention(seen: Probe, number: int, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw what the largest groups of a stage attend to, one column a group.

    Rows: the patches it took in the end; the group token's self-attention in every block of the
    stage, heads averaged; its cross-attention before the assignment; the assignment itself. Each
    map is bright at its own largest value. A later stage's maps are carried back to the patches.

    Args:
        seen: A photo.
        number: The stage, from 0.
        width: Of the figure, in inches.
    """
    stage = seen.stages[number]
    group_map = seen.group_of_patch(number).unflatten(0, seen.grid).numpy()
    colours = group_colours(group_map, len(stage.queries), most=8 if width >= 5 else 4)
    pixels = photo_pixels(seen.photo)
    groups = list(colours)
    entered = len(stage.patches)
    tops = [
        Tile(mask_tile(pixels, group_map == group, colour), frame=colour)
        for group, colour in colours.items()
    ]
    rows = [Row(tops, "patches")]
    onto = seen.onto_patches(number)
    for index, block in enumerate(stage.blocks):
        tokens = block.weights().mean(dim=0)[entered:, :entered]  # (g, m)
        rows.append(_heat_row(seen, pixels, (tokens @ onto)[groups], f"block {index + 1}"))
    cross = stage.pre_assign.weights().mean(dim=0)
    rows.append(_heat_row(seen, pixels, (cross @ onto)[groups], "pre-assign"))
    rows.append(_heat_row(seen, pixels, (stage.soft @ onto)[groups], "assign"))
    key = Key(heat=("share, each map on its own scale", "0", "most"))
    headings = [f"Group {group}" for group in groups]
    columns = 8 if width >= 5 else 4
    return draw_grid(Grid(rows, headings, key, columns=min(columns, 4)), width=width).figure


def draw_patch_attention(
    seen: Probe, at: tuple[float, float], *, width: float = TWO_COLUMNS
) -> Figure:
    """Draw where one patch looks in every block of the first stage, heads averaged, then apart.

    Args:
        seen: A photo.
        at: The place, from the left and from the top, each from 0 to 1.
        width: Of the figure, in inches.

    Raises:
        DataError: The place is outside the photo, or the model has no such block.
    """
    if not all(0 <= part <= 1 for part in at):
        raise DataError(
            f"--at {at[0]:g},{at[1]:g} lies outside the photo",
            hint="Give left,top, each from 0 to 1: --at 0.5,0.5 is the middle.",
        )
    blocks = seen.stages[0].blocks
    if not blocks:
        raise DataError(
            "this model has no transformer block before its groups, so no patch looks at another",
            hint="Leave --at out to see what its groups attend to.",
        )
    rows_, columns_ = seen.grid
    column, row = (
        min(int(part * side), side - 1) for part, side in zip(at, (columns_, rows_), strict=True)
    )
    patch, count = row * columns_ + column, rows_ * columns_
    pixels = _marked(photo_pixels(seen.photo), (row, column), seen.grid)
    rows = []
    for index, block in enumerate(blocks):
        weights = block.weights()[:, patch, :count]  # (a, n)
        own = [weights.mean(dim=0), *weights]
        tiles = [Tile(pixels), *(_heat(seen, pixels, one) for one in own)]
        rows.append(Row(tiles, f"block {index + 1}"))
    heads = blocks[0].query.shape[0]
    headings = ["Patch", "All heads", *(f"Head {head + 1}" for head in range(heads))]
    key = Key(heat=("attention, each map on its own scale", "0", "most"))
    return draw_grid(Grid(rows, headings, key, columns=4), width=width).figure


def _heat_row(seen: Probe, pixels: np.ndarray, maps: Float[Tensor, "g n"], label: str) -> Row:
    return Row([_heat(seen, pixels, one) for one in maps], label)


def _heat(seen: Probe, pixels: np.ndarray, values: Float[Tensor, " n"]) -> Tile:
    grid = values.unflatten(0, seen.grid).numpy()
    return Tile(heat_tile(pixels, grid, most=float(grid.max()), smooth=False))


def _marked(
    pixels: np.ndarray, place: Sequence[int], grid: tuple[int, int], colour: RGB = (213, 94, 0)
) -> np.ndarray:
    """Frame a patch."""
    mask = np.zeros(grid, dtype=bool)
    mask[place[0], place[1]] = True
    return mask_tile(pixels, mask, colour)
