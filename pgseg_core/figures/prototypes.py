"""What the groups and prototypes of each stage saw in one photo, as one figure.

Left the photo; then, stage by stage, which group took which patches, and for the largest groups
the group beside the prototype it was matched to: where that prototype is responsible, how similar
the two are, and whether hard rejection kept the pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pgseg_core.figures.grid import draw_heat_scale
from pgseg_core.figures.stages import StageView
from pgseg_core.figures.tiles import (
    group_colours,
    group_picture,
    heat_tile,
    mask_tile,
    photo_pixels,
)
from pgseg_core.viz.legend import percentage
from pgseg_core.viz.palette import RGB, text_colour
from pgseg_core.viz.regions import place_box, resize_labels
from pgseg_core.viz.sheet import (
    HEADING,
    MARGIN,
    QUIET,
    SMALL,
    TEXT,
    TWO_COLUMNS,
    Sheet,
    text_width,
    unit,
)

_LARGE, _CELL = 1.12, 0.95  # inches: the least width of a map, and of a group beside its prototype
_INSIDE, _GAP, _SPACE = 0.03, 0.1, 0.16  # inside a pair, between pairs, between stages
_HEADING, _CAPTION = 0.17, 0.25  # inches of words above a stage and above a pair


def draw_prototypes(
    photo: Image.Image,
    stages: Sequence[StageView],
    *,
    width: float = TWO_COLUMNS,
    most_groups: int = 8,
) -> Figure:
    """Draw the groups of each stage and the prototypes they were matched to.

    Each group's tile shows the photo where the group is; beside it, framed in the same colour, the
    heat of its prototype, on one scale per stage. The frame of a rejected pair is dashed. A model
    without prototypes (GroupViT) gets its groups alone, and a line that says so.

    Args:
        photo: The image as the model saw it.
        stages: The grouping stages, first to last; at least one.
        width: Of the figure, in inches. Below five, the groups stand under the maps.
        most_groups: How many groups a stage shows one by one, largest first. The others are grey.
    """
    pixels = photo_pixels(photo)
    colours = [
        group_colours(stage.group_map, stage.num_groups, most=most_groups) for stage in stages
    ]
    shown = tuple(len(some) for some in colours)
    paired = any(stage.has_prototypes for stage in stages)
    layout = _Layout(width, pixels.shape[0] / pixels.shape[1], shown, paired)
    page = _Page(Sheet(width, layout.height), layout, pixels)
    page.sheet.words("Photo", (MARGIN, layout.top(0) - 0.055), HEADING, weight="bold")
    page.sheet.picture(pixels, (MARGIN, layout.top(0)), layout.large)
    for number, (stage, some) in enumerate(zip(stages, colours, strict=True)):
        _draw_stage(page, stage, some, number)
    _explain(page)
    return page.sheet.figure


@dataclass(frozen=True)
class _Layout:
    """Sizes and places, in inches."""

    width: float
    ratio: float
    """Height of the photo over its width."""
    shown: tuple[int, ...]
    """How many groups each stage shows."""
    paired: bool

    @property
    def beside(self) -> bool:
        """Whether groups stand beside the map, and not below it."""
        return self.width >= 5

    @property
    def large(self) -> tuple[float, float]:
        side = _LARGE if self.beside else (self.width - 2 * MARGIN - _GAP) / 2
        height = min(side * self.ratio, 1.5 * side)
        return height / self.ratio, height

    def map_left(self, number: int) -> float:
        """Left of a stage's map: right of the photo, where there is one or would be room for it."""
        if not self.beside and number > 0:
            return MARGIN
        return MARGIN + (_LARGE if self.beside else self.large[0]) + _GAP

    @property
    def cells_left(self) -> float:
        return self.map_left(0) + _LARGE + 1.5 * _GAP if self.beside else MARGIN

    @property
    def columns(self) -> int:
        least = _CELL if self.paired else 0.85
        return int((self.width - MARGIN - self.cells_left + _GAP) / (least + _GAP))

    @property
    def cell(self) -> float:
        room = self.width - MARGIN - self.cells_left - _GAP * (self.columns - 1)
        return room / self.columns

    @property
    def tile(self) -> tuple[float, float]:
        side = (self.cell - _INSIDE) / 2 if self.paired else self.cell
        height = min(side * self.ratio, 1.5 * side)
        return height / self.ratio, height

    def stage_height(self, number: int) -> float:
        rows = max(1, -(-self.shown[number] // self.columns))
        cells = rows * (_CAPTION + self.tile[1] + 0.04)
        maps = self.large[1] + 0.04
        lines = 0.24  # below the map: what is shown
        return _HEADING + (max(cells, maps + lines) if self.beside else maps + lines + cells)

    @property
    def height(self) -> float:
        return self.top(len(self.shown)) - _HEADING - _SPACE + MARGIN + 0.24

    def top(self, number: int) -> float:
        """Top of a stage's pictures."""
        before = sum(self.stage_height(earlier) + _SPACE for earlier in range(number))
        return MARGIN + before + _HEADING

    def corner(self, number: int, place: int) -> tuple[float, float]:
        """Left and top of a stage's group in a place counted by rows."""
        row, column = divmod(place, self.columns)
        first = self.top(number) - (_HEADING if self.beside else -self.large[1] - 0.28)
        return (
            self.cells_left + column * (self.cell + _GAP),
            first + _CAPTION + row * (self.tile[1] + _CAPTION + 0.04),
        )


@dataclass(frozen=True)
class _Page:
    """What is drawn on, where things go, and the photo in all of them."""

    sheet: Sheet
    layout: _Layout
    photo: UInt8[np.ndarray, "H W 3"]


def _draw_stage(page: _Page, stage: StageView, colours: Mapping[int, RGB], number: int) -> None:
    sheet, layout = page.sheet, page.layout
    top = layout.top(number)
    rows, columns = stage.group_map.shape
    sheet.words(
        f"Stage {number + 1}", (layout.map_left(number), top - 0.055), HEADING, weight="bold"
    )
    picture = group_picture(page.photo, stage.group_map, colours)
    axes = sheet.picture(picture, (layout.map_left(number), top), layout.large)
    _number_groups(axes, stage, colours, page.photo.shape[:2])
    lines = (f"{stage.num_groups} groups, {rows} x {columns} patches", _summary(stage, colours))
    for place, line in enumerate(lines):
        baseline = top + layout.large[1] + 0.11 * (place + 1)
        room = _LARGE if layout.beside else layout.large[0]
        sheet.words(line, (layout.map_left(number), baseline), SMALL, room=room + 0.05, color=QUIET)
    most = _most(stage, colours)
    for place, (group, colour) in enumerate(colours.items()):
        corner = layout.corner(number, place)
        _draw_group(page, stage, group, corner=corner, colour=colour, most=most)


def _draw_group(
    page: _Page,
    stage: StageView,
    group: int,
    *,
    corner: tuple[float, float],
    colour: RGB,
    most: float,
) -> None:
    (left, top), tile, room = corner, page.layout.tile, page.layout.cell + 0.04
    headline, details = _captions(stage, group)
    share = percentage(float((stage.group_map == group).mean()))
    right = (left + room - 0.04, top - 0.145)
    for_name = room - text_width(share, SMALL) - 0.08
    page.sheet.words(headline, (left, top - 0.145), TEXT, room=for_name, weight="bold")
    page.sheet.words(share, right, SMALL, color=QUIET, ha="right")
    if details:
        page.sheet.words(details, (left, top - 0.045), SMALL, room=room, color=QUIET)
    mask = stage.group_map == group
    page.sheet.picture(mask_tile(page.photo, mask, colour), corner, tile, frame=colour)
    prototype = stage.prototype(group)
    if stage.responsibility is not None and prototype is not None:
        heat = heat_tile(page.photo, stage.responsibility[prototype], most=most)
        rejected = stage.kept is not None and not stage.kept[group]
        beside = (left + tile[0] + _INSIDE, top)
        page.sheet.picture(heat, beside, tile, frame=colour, dashed=rejected)


def _explain(page: _Page) -> None:
    """Write at the foot what the pairs of tiles are, or that there are no prototypes."""
    layout = page.layout
    baseline = layout.height - MARGIN - 0.02
    if not layout.paired:
        page.sheet.words("no prototypes: groups alone", (MARGIN, baseline), SMALL, color=QUIET)
        return
    what = "G: a group's patches, P: share of each patch that its prototype explains"
    if not layout.beside:
        what = "P: share that prototype explains"
    room = layout.width - 2 * MARGIN
    scale = (what, "0", "most")
    draw_heat_scale(page.sheet, scale, (MARGIN, baseline), room)
    dashed = "dashed: rejected"
    if layout.beside and text_width(what, TEXT) + text_width(dashed, TEXT) + 1.5 < room:
        place = (layout.width - MARGIN, baseline)
        page.sheet.words(dashed, place, TEXT, color=QUIET, ha="right")


def _number_groups(
    axes: Axes, stage: StageView, colours: Mapping[int, RGB], size: tuple[int, int]
) -> None:
    """Write each coloured group's number into its largest part."""
    for group, colour in colours.items():
        mask = resize_labels((stage.group_map == group).astype(np.uint8), size) > 0
        place = place_box(mask, (1, 1))
        assert place is not None, "a shown group has patches"
        axes.text(
            place[1],
            place[0],
            str(group),
            size=SMALL,
            weight="bold",
            family="DejaVu Sans",
            color=unit(text_colour(colour)),
            ha="center",
            va="center_baseline",
            clip_on=True,
            bbox={
                "boxstyle": "round,pad=0.2",
                "facecolor": unit(colour),
                "edgecolor": "white",
                "linewidth": 0.5,
            },
        )


def _most(stage: StageView, groups: Mapping[int, RGB]) -> float:
    """Return the largest share in the maps that are shown: the stage's common scale."""
    prototypes = [stage.prototype(group) for group in groups]
    if stage.responsibility is None:
        return 0.0
    return max(
        (float(stage.responsibility[index].max()) for index in prototypes if index is not None),
        default=0.0,
    )


def _summary(stage: StageView, shown: Mapping[int, RGB]) -> str:
    """Say which groups are shown and what is left out."""
    counts = np.bincount(stage.group_map.ravel(), minlength=stage.num_groups)
    rest = int((counts > 0).sum()) - len(shown)
    empty = int((counts == 0).sum())
    parts = []
    if rest:
        share = float(1 - counts[list(shown)].sum() / counts.sum())
        parts.append(f"grey: {rest}, {percentage(share)}")
    if empty:
        parts.append(f"{empty} empty")
    return ", ".join(parts) or "none empty"


def _captions(stage: StageView, group: int) -> tuple[str, str]:
    """Name a group and its prototype, then say how well they fit."""
    if not stage.has_prototypes:
        return f"G {group}", ""
    prototype = stage.prototype(group)
    if prototype is None:
        return f"G {group}", "no prototype"
    details = [] if stage.similarity is None else [f"cos {stage.similarity[group]:.2f}"]
    if stage.kept is not None:
        details.append("kept" if stage.kept[group] else "rejected")
    return f"G {group} ↔ P {prototype}", ", ".join(details)
