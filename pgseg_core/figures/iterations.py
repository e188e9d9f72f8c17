"""Expectation-maximisation at work on one photo: who explains which patch, step after step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from pgseg_core.figures.grid import Grid, Key, Row, Tile, draw_grid
from pgseg_core.figures.stages import EmStep
from pgseg_core.figures.tiles import group_picture, photo_pixels
from pgseg_core.viz.palette import palette
from pgseg_core.viz.sheet import (
    HEADING,
    INK,
    MARGIN,
    QUIET,
    SMALL,
    TWO_COLUMNS,
    Sheet,
    style_axes,
    unit,
)

_CHART = 1.15  # inches of height
_MOST_COLOURED = 12


def draw_iterations(
    photo: Image.Image,
    stages: Sequence[tuple[int, Sequence[EmStep]]],
    *,
    width: float = TWO_COLUMNS,
) -> Figure:
    """Draw for each stage the patches of every prototype at some iterations, and two curves.

    Below the maps: how far the prototypes still move, and the likelihood that EM makes grow.

    Args:
        photo: The image as the model saw it.
        stages: Number of each stage, from 0, and its iterations.
        width: Of the figure, in inches.
    """
    pixels = photo_pixels(photo)
    columns = 6 if width >= 5 else 3
    rows = []
    for number, steps in stages:
        owners = np.stack([step.owner for step in steps])
        order = np.argsort(-np.bincount(owners.ravel()), kind="stable")[:_MOST_COLOURED]
        colours = dict(zip(order.tolist(), palette(), strict=False))
        tiles = [
            Tile(
                group_picture(pixels, steps[place].owner, colours),
                (f"T = {place + 1}", _count(steps[place])),
            )
            for place in _spread(len(steps), columns)
        ]
        rows += [
            Row(tiles[start : start + columns], f"Stage {number + 1}")
            for start in range(0, len(tiles), columns)
        ]
    note = "Each patch has the colour of the prototype most responsible for it"
    grid = Grid(rows, columns=columns, key=Key(note=note))
    sheet = draw_grid(grid, width=width, foot=_CHART + 0.32)
    _draw_curves(sheet, stages)
    return sheet.figure


def _count(step: EmStep) -> str:
    count = len(np.unique(step.owner))
    return f"{count} prototype{'' if count == 1 else 's'}"


def _spread(total: int, count: int) -> list[int]:
    """Choose iterations to show: dense at the start, where most happens, and the last."""
    if total <= count:
        return list(range(total))
    places = np.geomspace(1, total, count).round().astype(int) - 1
    for index in range(1, count):  # no iteration twice
        places[index] = max(places[index], places[index - 1] + 1)
    return [int(place) for place in places]


def _draw_curves(sheet: Sheet, stages: Sequence[tuple[int, Sequence[EmStep]]]) -> None:
    left, bottom = 0.5, 0.3
    wide = (sheet.width - 2 * left - 2 * MARGIN) / 2
    top = sheet.height - bottom - _CHART + 0.12
    moved = sheet.axes((left, top), (wide, _CHART - 0.12))
    likely = sheet.axes((2 * left + wide, top), (wide, _CHART - 0.12))
    for index, (number, steps) in enumerate(stages):
        counts = np.arange(1, len(steps) + 1)
        style: dict[str, Any] = {
            "color": unit(palette()[index]),
            "linewidth": 1,
            "marker": "osD^"[index % 4],
            "markersize": 2.5,
            "label": f"stage {number + 1}",
        }
        moved.plot(counts, [max(step.movement, 1e-9) for step in steps], **style)
        likely.plot(counts, [step.likelihood - steps[0].likelihood for step in steps], **style)
    moved.set_yscale("log")
    _finish(moved, "movement, 1 - cos")
    _finish(likely, "gain in log likelihood")
    if len(stages) > 1:
        likely.legend(prop={"size": SMALL, "family": "DejaVu Sans"}, frameon=False, labelcolor=INK)


def _finish(axes: Axes, title: str) -> None:
    style_axes(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    font: dict[str, Any] = {"family": "DejaVu Sans", "color": QUIET}
    axes.set_title(title, loc="left", pad=3, size=HEADING, family="DejaVu Sans", color=INK)
    axes.set_xlabel("iteration T", size=SMALL, labelpad=1.5, **font)
