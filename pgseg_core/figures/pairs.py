"""The matched pairs of many photos together: how similar they are, and how many phi rejects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pgseg_core.figures.grid import Key, draw_key, key_height
from pgseg_core.figures.stages import StageView
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

_CHART, _LEFT, _BELOW, _ABOVE = 1.3, 0.4, 0.34, 0.24  # inches


def draw_pairs(
    photos: Sequence[Sequence[StageView]], *, threshold: float, width: float = TWO_COLUMNS
) -> Figure:
    """Draw for each stage how similarity is spread over kept and rejected pairs.

    Args:
        photos: The stages of every photo, all with prototypes.
        threshold: phi, for the words.
        width: Of the figure, in inches.
    """
    num_stages = len(photos[0])
    kept_colour, rejected_colour = palette()[0], palette()[3]
    key = Key(
        names=[(kept_colour, "kept"), (rejected_colour, f"rejected by phi = {threshold:g}")],
        note=f"Pairs of a group and its prototype in {len(photos)} photos",
    )
    charts = MARGIN + _ABOVE + _CHART + _BELOW
    sheet = Sheet(width, charts + key_height(key, width) + MARGIN)
    room = (width - 2 * MARGIN - num_stages * _LEFT) / num_stages
    for number in range(num_stages):
        similarity = np.concatenate([_of(stages[number].similarity) for stages in photos])
        kept = np.concatenate([_of(stages[number].kept) for stages in photos]).astype(bool)
        left = MARGIN + _LEFT + number * (room + _LEFT)
        axes = sheet.axes((left, MARGIN + _ABOVE), (room, _CHART))
        edges = np.linspace(*_range(similarity), 31).tolist()
        colours = [unit(kept_colour), unit(rejected_colour)]
        axes.hist([similarity[kept], similarity[~kept]], bins=edges, stacked=True, color=colours)
        style_axes(axes)
        title = f"Stage {number + 1}: {kept.mean():.0%} kept"
        axes.set_title(title, loc="left", pad=3, size=HEADING, family="DejaVu Sans", color=INK)
        style: dict[str, Any] = {
            "size": SMALL,
            "family": "DejaVu Sans",
            "color": QUIET,
            "labelpad": 1.5,
        }
        axes.set_xlabel("cosine", **style)
        axes.set_ylabel("pairs", **style)
    draw_key(sheet, key, charts)
    return sheet.figure


def _of(values: np.ndarray | None) -> np.ndarray:
    assert values is not None, "a stage without prototypes"
    return values


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high - low > 1e-6 else (low - 0.01, high + 0.01)
