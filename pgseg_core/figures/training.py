"""The curves of one run or several, from their logs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

from pgseg_core.errors import DataError
from pgseg_core.figures.grid import Key, draw_key, key_height
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

_PLACE = ("step", "epoch")
_TITLES = {
    "t_npr": "T-NPR",
    "lr": "learning rate",
    "grad_norm": "gradient norm",
    "images_per_second": "images / s",
    "images_per_second_per_device": "images / s, device",
    "data_share": "waiting for data",
    "memory_gib": "memory, GiB",
    "clipped": "steps clipped",
    "skipped": "steps skipped",
}
_DIAGNOSTIC = re.compile(
    r".*_pairs|grad_(?!norm$).*|drift_.*|images_per_second_per_device|memory_gib|clipped|skipped"
)
"""Numbers that explain a run rather than show it; drawn on request."""
_CONTRASTS = {"info_nce": "InfoNCE", "multi_label": "multi-label", "shared_nouns": "shared nouns"}
_PARTS = {None: "", "group": ", groups", "patch": ", patches"}
"""Of images, that are contrasted one by one."""
_LAST = ("lr", "grad_norm", "images_per_second", "data_share")
_LOGARITHMIC = frozenset({"grad_norm"})
_DASHES: tuple[tuple[float, Sequence[float]], ...] = (
    (0, ()),
    (0, (4, 1.5)),
    (0, (1, 1)),
    (0, (4, 1, 1, 1)),
)
_CHART, _BAND, _GAP = 0.95, 0.42, 0.36  # inches: height, room for words, between charts

Log = Sequence[Mapping[str, Any]]


def draw_training(
    runs: Sequence[tuple[str, Log]], *, width: float = TWO_COLUMNS, everything: bool = False
) -> Figure:
    """Draw the numbers of the logs against the epoch, one small chart each, runs on top.

    The pale line is what was logged, the dark one its running mean.

    Args:
        runs: Name of each run and the lines of its log.
        width: Of the figure, in inches.
        everything: Whether numbers that explain a run are drawn as well: each term's gradient,
            the weights' drift, memory, ...

    Raises:
        DataError: A log has no line to draw.
    """
    for name, log in runs:
        if not log:
            raise DataError(
                f"{name} has no line in its log yet",
                hint="Wait for the first one (train.log_every steps), or name another run.",
            )
    quantities = _quantities([log for _, log in runs])
    if not everything:
        quantities = [name for name in quantities if not _DIAGNOSTIC.fullmatch(name)]
    columns = 4 if width >= 5 else 2
    rows = -(-len(quantities) // columns)
    key = Key(names=[(palette()[i], name) for i, (name, _) in enumerate(runs)])
    charts = MARGIN + rows * (_CHART + _BAND)
    sheet = Sheet(width, charts + key_height(key, width) + MARGIN)
    room = (width - 2 * MARGIN - columns * _GAP) / columns
    for place, quantity in enumerate(quantities):
        row, column = divmod(place, columns)
        left = MARGIN + _GAP * 0.9 + column * (room + _GAP)
        top = MARGIN + 0.18 + row * (_CHART + _BAND)
        axes = sheet.axes((left, top), (room, _CHART))
        _draw_quantity(axes, quantity, runs)
        if place + columns >= len(quantities):
            style: dict[str, Any] = {"family": "DejaVu Sans", "color": QUIET}
            axes.set_xlabel("epoch", size=SMALL, labelpad=1.5, **style)
    draw_key(sheet, key, charts)
    return sheet.figure


def _quantities(logs: Sequence[Log]) -> list[str]:
    """Order what the logs hold: the loss, its terms as logged, then speed and such."""
    found = dict.fromkeys(
        name
        for log in logs
        for line in log
        for name, value in line.items()
        if name not in _PLACE and isinstance(value, int | float)
    )
    first = [name for name in ("loss",) if name in found]
    last = [name for name in _LAST if name in found]
    middle = [name for name in found if name not in first and name not in last]
    return [*first, *middle, *last]


def _title(quantity: str) -> str:
    """Call a number of the log what the paper calls it."""
    if quantity.endswith("_kept"):
        return f"pairs kept, {_title(quantity.removesuffix('_kept'))}"
    if quantity.endswith("_pairs"):
        return f"pairs, {_title(quantity.removesuffix('_pairs'))}"
    if quantity not in _TITLES and quantity.startswith("grad_"):
        return f"\N{NABLA} {_title(quantity.removeprefix('grad_'))}"
    contrast = re.fullmatch(rf"(?:(group|patch)_)?({'|'.join(_CONTRASTS)})", quantity)
    if contrast:
        return f"{_CONTRASTS[contrast[2]]}{_PARTS[contrast[1]]}"
    stage = re.fullmatch(r"i_npr_(\d+)", quantity)
    if stage:
        return f"I-NPR, stage {stage[1]}"
    return _TITLES.get(quantity, quantity.replace("_", " "))


def _draw_quantity(axes: Axes, quantity: str, runs: Sequence[tuple[str, Log]]) -> None:
    for index, (_, log) in enumerate(runs):
        lines = [line for line in log if isinstance(line.get(quantity), int | float)]
        epochs = np.array([line.get("epoch", line["step"]) for line in lines], dtype=np.float64)
        values = np.array([line[quantity] for line in lines], dtype=np.float64)
        if not len(values):
            continue
        colour = unit(palette()[index % len(palette())])
        dashes = _DASHES[index % len(_DASHES)]
        if quantity != "lr":
            axes.add_line(Line2D(epochs, values, color=colour, linewidth=0.5, alpha=0.35))
            values = _running_mean(values)
        marker = "o" if len(values) == 1 else None
        line = Line2D(epochs, values, color=colour, linewidth=1.0, linestyle=dashes, marker=marker)
        line.set_markersize(2)
        axes.add_line(line)
    axes.autoscale_view()
    if quantity in _LOGARITHMIC:
        axes.set_yscale("log")
        for axis_format in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis_format(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.4)))
    style_axes(axes)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    if quantity not in _LOGARITHMIC:
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4), useOffset=False)
        axes.yaxis.get_offset_text().set(size=SMALL, color=QUIET, family="DejaVu Sans")
    title = _title(quantity)
    axes.set_title(title, loc="right", pad=2, size=HEADING, color=INK, family="DejaVu Sans")
    axes.locator_params(axis="x", nbins=5)
    if quantity not in _LOGARITHMIC:
        axes.locator_params(axis="y", nbins=5)


def _running_mean(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Average over a centred window of a twentieth of the run, shorter at its ends."""
    reach = len(values) // 40
    padded = np.concatenate([[0.0], np.nancumsum(values)])
    places = np.arange(len(values))
    below = np.maximum(places - reach, 0)
    above = np.minimum(places + reach + 1, len(values))
    mean: np.ndarray = (padded[above] - padded[below]) / (above - below)
    return mean
