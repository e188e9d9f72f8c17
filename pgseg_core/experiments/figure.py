"""A table as a picture: one panel a measure, one line a row, a dot a seed."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pgseg_core.experiments.results import Measure
from pgseg_core.experiments.table import Entry, SetTable, Table
from pgseg_core.viz.sheet import INK, QUIET

SHOWN = (
    "miou", "compactness", "richness", "over_segmented", "under_segmented", "groups_used",
    "same_as_others", "image_to_text", "text_to_image",
)  # fmt: skip
"""Measures that are drawn, where a set has them."""

_ACCENT = "#1f5fa8"
_COLUMNS, _PANEL, _LINE, _HEAD = 4, 2.6, 0.27, 0.85  # inches


def draw_table(table: Table) -> Figure:
    """Draw every set's measures: dots are seeds, bars the mean with its 95 % interval over seeds.

    The reference row's mean is a line through all rows. Where an interval over seeds is missing
    (one seed), the bar is the interval over images, dashed.
    """
    panels = [
        (part, measure) for part in table.sets for measure in part.measures if measure.key in SHOWN
    ]
    columns = min(_COLUMNS, max(1, len(panels)))
    lines = -(-len(panels) // columns)
    rows = max((len(part.rows) for part in table.sets), default=1)
    label = 0.4 + 0.085 * max((len(r.name) for p in table.sets for r in p.rows), default=4)
    height = _HEAD + _LINE * rows
    width = label + _PANEL * columns
    figure = Figure(figsize=(width, lines * height + 0.45), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.1 / width, 1 - 0.28 / (lines * height + 0.45), table.plan.title,
        size=11, weight="bold", color=INK, parse_math=False,
    )  # fmt: skip
    total = lines * height + 0.45
    for place, (part, measure) in enumerate(panels):
        line, column = divmod(place, columns)
        left = label + _PANEL * column
        top = 0.45 + line * height + 0.4
        axes = figure.add_axes(
            (
                left / width,
                1 - (top + _LINE * rows) / total,
                (_PANEL - 0.25) / width,
                _LINE * rows / total,
            )
        )
        _panel(axes, part, measure, table.plan.reference, named=column == 0)
    return figure


def _panel(axes: Axes, part: SetTable, measure: Measure, reference: str, *, named: bool) -> None:
    factor = 100 if measure.percent else 1
    for place, row in enumerate(part.rows):
        entry = row.entries.get(measure.key)
        if entry is None:
            continue
        if row.name == reference:
            axes.axvline(entry.over_seeds.mean * factor, color=QUIET, linewidth=0.8, zorder=0)
        _draw_entry(axes, entry, len(part.rows) - 1 - place, factor)
    axes.set_title(f"{part.measurement.dataset}: {measure.title}", size=8, color=INK, loc="left")
    axes.set_ylim(-0.6, len(part.rows) - 0.4)
    names = [row.name for row in reversed(part.rows)] if named else [""] * len(part.rows)
    axes.set_yticks(range(len(part.rows)), names, size=8, color=INK)
    axes.tick_params(axis="x", labelsize=7, colors=QUIET)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(QUIET)


def _draw_entry(axes: Axes, entry: Entry, height: int, factor: float) -> None:
    seeds = entry.over_seeds
    interval, style = seeds.interval, "solid"
    if interval is None:
        interval, style = entry.over_images, "dashed"
    if interval is not None:
        low, high = (end * factor for end in interval)
        axes.hlines(height, low, high, color=_ACCENT, linewidth=1.6, linestyle=style, alpha=0.55)
    values = [value * factor for value in seeds.values]
    axes.plot(values, [height] * len(values), "o", color=_ACCENT, markersize=3.2, alpha=0.6)
    axes.plot([seeds.mean * factor], [height], "|", color=INK, markersize=9, markeredgewidth=1.8)
