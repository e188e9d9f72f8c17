"""Rows and columns of pictures with headings, captions and a key: most figures are one of these."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8

from pgseg_core.figures.tiles import heat_colours
from pgseg_core.viz.palette import RGB
from pgseg_core.viz.sheet import (
    HEADING,
    MARGIN,
    QUIET,
    SMALL,
    TEXT,
    Sheet,
    text_width,
)

_GAP = 0.06  # inches between pictures
_LINE = 0.105  # inches that a line of captions takes
_HEADING_BAND, _ROW_LABEL, _KEY_BAND = 0.18, 0.17, 0.2
_TALLEST = 1.5  # a picture is at most this many times as high as its column is wide
_CHIP = 0.085


@dataclass(frozen=True)
class Tile:
    """One picture of a grid."""

    pixels: UInt8[np.ndarray, "h w 3"]
    caption: tuple[str, ...] = ()
    """Lines below it."""
    frame: RGB | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Row:
    """Pictures beside each other; None leaves a place empty."""

    tiles: Sequence[Tile | None]
    label: str = ""
    """Written upwards at the left."""


@dataclass(frozen=True)
class Key:
    """What the colours mean: names beside chips, or a heat scale between two values, or both."""

    names: Sequence[tuple[RGB, str]] = ()
    heat: tuple[str, str, str] | None = None
    """What the heat is, and what its dark and its bright end stand for."""
    note: str = ""
    """A quiet line below it all."""


@dataclass(frozen=True)
class Grid:
    """A figure of rows and columns."""

    rows: Sequence[Row]
    headings: Sequence[str] = ()
    """Above the columns."""
    key: Key = field(default_factory=Key)
    columns: int = 0
    """Columns at least: with fewer pictures the others stay empty, and tiles keep their size."""


def draw_grid(grid: Grid, *, width: float, foot: float = 0.0) -> Sheet:
    """Lay a grid out; its height follows from the pictures.

    Args:
        grid: What to draw.
        width: Of the figure, in inches.
        foot: Inches left free at the foot, for a chart.
    """
    labelled = any(row.label for row in grid.rows)
    left = MARGIN + (_ROW_LABEL if labelled else 0)
    columns = max(grid.columns, *(len(row.tiles) for row in grid.rows))
    cell = (width - left - MARGIN - _GAP * (columns - 1)) / columns
    heights = [_row_height(row, cell) for row in grid.rows]
    lines = [_caption_lines(row) for row in grid.rows]
    top = MARGIN + (_HEADING_BAND if grid.headings else 0)
    pictures = sum(heights) + sum(_LINE * count + _GAP for count in lines)
    sheet = Sheet(width, top + pictures + key_height(grid.key, width) + MARGIN + foot)
    for column, heading in enumerate(grid.headings):
        centre = left + column * (cell + _GAP) + cell / 2
        place = (centre, top - 0.055)
        sheet.words(heading, place, HEADING, room=cell + _GAP, ha="center", weight="bold")
    for row, height, count in zip(grid.rows, heights, lines, strict=True):
        if row.label:
            middle = (MARGIN + 0.07, top + height / 2)
            upright: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center"}
            sheet.words(row.label, middle, HEADING, room=height + _LINE * count, **upright)
        for column, tile in enumerate(row.tiles):
            if tile is not None:
                _place(sheet, tile, (left + column * (cell + _GAP), top), (cell, height))
        top += height + _LINE * count + _GAP
    draw_key(sheet, grid.key, top)
    return sheet


def _place(
    sheet: Sheet, tile: Tile, corner: tuple[float, float], room: tuple[float, float]
) -> None:
    """Centre a picture in its place, its captions below."""
    rows, columns = tile.pixels.shape[:2]
    scale = min(room[0] / columns, room[1] / rows)
    size = (columns * scale, rows * scale)
    at = (corner[0] + (room[0] - size[0]) / 2, corner[1] + (room[1] - size[1]) / 2)
    sheet.picture(tile.pixels, at, size, frame=tile.frame, dashed=tile.dashed)
    for number, text in enumerate(tile.caption):
        baseline = corner[1] + room[1] + _LINE * (number + 1) - 0.005
        style: dict[str, Any] = {} if number == 0 else {"color": QUIET}
        centre = (corner[0] + room[0] / 2, baseline)
        sheet.words(text, centre, SMALL, room=room[0] + _GAP / 2, ha="center", **style)


def _row_height(row: Row, cell: float) -> float:
    ratios = [tile.pixels.shape[0] / tile.pixels.shape[1] for tile in row.tiles if tile is not None]
    return cell * min(max(ratios, default=0.0), _TALLEST)


def _caption_lines(row: Row) -> int:
    return max((len(tile.caption) for tile in row.tiles if tile is not None), default=0)


def _wrapped(key: Key, width: float) -> list[list[tuple[RGB, str]]]:
    """Break the names into lines that fit."""
    lines: list[list[tuple[RGB, str]]] = []
    used = width
    for entry in key.names:
        needed = _entry_width(entry[1], width)
        if used + needed > width:
            lines.append([])
            used = 0.0
        lines[-1].append(entry)
        used += needed
    return lines


def _entry_width(name: str, width: float) -> float:
    return min(_CHIP + 0.05 + text_width(name, TEXT) + 0.14, width)


def key_height(key: Key, width: float) -> float:
    """Return the inches that a key takes in a figure of a width."""
    lines = len(_wrapped(key, width - 2 * MARGIN))
    height = 0.15 * lines + (_KEY_BAND if key.heat else 0) + (0.14 if key.note else 0)
    return height + (0.03 if height else 0)


def draw_key(sheet: Sheet, key: Key, top: float) -> None:
    """Draw a key over the whole width, from `top` inches on."""
    top += 0.03
    full = sheet.width - 2 * MARGIN
    for line in _wrapped(key, full):
        left = MARGIN
        for colour, name in line:
            sheet.chip(colour, (left, top + 0.02), _CHIP)
            taken = _entry_width(name, full)
            place = (left + _CHIP + 0.05, top + 0.098)
            sheet.words(name, place, TEXT, room=taken - _CHIP - 0.05)
            left += taken
        top += 0.15
    if key.heat is not None:
        draw_heat_scale(sheet, key.heat, (MARGIN, top + 0.12), full)
        top += _KEY_BAND
    if key.note:
        sheet.words(key.note, (MARGIN, top + 0.09), SMALL, room=full, color=QUIET)


def draw_heat_scale(
    sheet: Sheet, heat: tuple[str, str, str], at: tuple[float, float], room: float
) -> None:
    """Write what heat means, and its scale between two values, on one line.

    Args:
        sheet: Where.
        heat: What it is, and what its dark and its bright end stand for.
        at: Left and baseline, in inches.
        room: Inches that the line may take.
    """
    what, low, high = heat
    bar = min(0.8, room / 4)
    ends = text_width(low, TEXT) + text_width(high, TEXT) + 0.2
    left, baseline = at
    sheet.words(what, at, TEXT, room=room - bar - ends)
    left += min(text_width(what, TEXT), room - bar - ends) + 0.1
    sheet.words(low, (left, baseline), TEXT, color=QUIET)
    left += text_width(low, TEXT) + 0.05
    scale = heat_colours(np.linspace(0, 1, 256)[None])
    sheet.picture(scale, (left, baseline - 0.085), (bar, 0.085))
    sheet.words(high, (left + bar + 0.05, baseline), TEXT, color=QUIET)
