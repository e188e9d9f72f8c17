"""What the groups and prototypes of each stage saw in one photo, as one figure.

Left the photo; then, stage by stage, which group took which patches, and for the largest groups
the group beside the prototype it was matched to: where that prototype is responsible, how similar
the two are, and whether hard rejection kept the pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from pgseg_core.viz.legend import percentage
from pgseg_core.viz.palette import RGB, palette, text_colour
from pgseg_core.viz.regions import label_counts, place_box, resize_labels
from pgseg_core.viz.sheet import QUIET, Sheet
from pgseg_core.viz.tiles import group_picture, heat_colours, heat_tile, mask_tile

_PHOTO_SIDE = 512  # pixels of the photo's longer side, in every picture
_COLUMNS = 4  # groups beside each other
# Inches: a tile's longer side; around everything; inside a pair of tiles and between groups.
_TILE, _MARGIN, _GAP, _SPACE = 1.4, 0.4, 0.06, 0.32
# Inches of height above a figure, a stage and a tile.
_TITLE, _HEADING, _CAPTION = 0.4, 0.42, 0.5


@dataclass(frozen=True)
class StageView:
    """One grouping stage of one image, on the patch grid."""

    group_map: Integer[np.ndarray, "h w"]
    """The group that each patch belongs to."""
    num_groups: int
    """Groups of the stage (g), empty ones included."""
    responsibility: Float[np.ndarray, "k h w"] | None = None
    """Share of each patch that each prototype explains; sums to 1 over k. None: no prototypes."""
    matched: Integer[np.ndarray, " g"] | None = None
    """The prototype paired with each group; -1 for a group without one."""
    similarity: Float[np.ndarray, " g"] | None = None
    """Cosine between each group and its prototype."""
    kept: Bool[np.ndarray, " g"] | None = None
    """Whether hard rejection kept the pair."""

    @property
    def has_prototypes(self) -> bool:
        """Whether there is a prototype to show beside a group."""
        return self.responsibility is not None and self.matched is not None


def draw_prototypes(
    photo: Image.Image, stages: Sequence[StageView], *, title: str = "", most_groups: int = 8
) -> Figure:
    """Draw the groups of each stage and the prototypes they were matched to.

    Each group's tile shows the photo where the group is; beside it, framed in the same colour, the
    heat of its prototype, on one scale per stage. The frame of a rejected pair is dashed. A model
    without prototypes (GroupViT) gets its groups alone, and a line that says so.

    Args:
        photo: The image as the model saw it.
        stages: The grouping stages, first to last; at least one.
        title: A heading for the whole figure, such as the file's name.
        most_groups: How many groups a stage shows one by one, largest first. The others are grey.

    Returns:
        A figure for `save_figure`, about 20 inches wide and 4 high for each stage.
    """
    pixels = _photo_pixels(photo)
    shown = [_largest(stage, most_groups) for stage in stages]
    layout = _Layout.of(pixels, stages, max(len(groups) for groups in shown), titled=bool(title))
    page = _Page(Sheet(layout.width, layout.height), layout, pixels)
    if title:
        page.sheet.words(title, (_MARGIN, _MARGIN + 0.1), 17, weight="bold")
    top = (layout.map_top(0) + layout.map_top(len(stages) - 1)) / 2
    page.sheet.words("Photo", (_MARGIN, top - 0.12), 14, weight="bold")
    page.sheet.picture(pixels, (_MARGIN, top), layout.large)
    for number, (stage, groups) in enumerate(zip(stages, shown, strict=True)):
        _draw_stage(page, stage, groups, number)
    return page.sheet.figure


@dataclass(frozen=True)
class _Layout:
    """Sizes and places, in inches."""

    tile: tuple[float, float]
    large: tuple[float, float]
    cell: float
    band: float
    first_band: float
    num_stages: int

    @classmethod
    def of(
        cls, photo: np.ndarray, stages: Sequence[StageView], most_shown: int, *, titled: bool
    ) -> "_Layout":
        height, width = photo.shape[:2]
        tile = (_TILE * width / max(height, width), _TILE * height / max(height, width))
        large_height = 2 * tile[1] + _CAPTION  # as high as two rows of groups
        pair = any(stage.has_prototypes for stage in stages)
        rows = max(2, -(-most_shown // _COLUMNS))
        return cls(
            tile=tile,
            large=(large_height * width / height, large_height),
            cell=max(2 * tile[0] + _GAP, 2.4) if pair else max(tile[0], 1.3),  # room for captions
            band=_HEADING + rows * (_CAPTION + tile[1]) + _SPACE,
            first_band=_MARGIN + (_TITLE if titled else 0),
            num_stages=len(stages),
        )

    @property
    def map_left(self) -> float:
        return _MARGIN + max(self.large[0], 0.8) + _SPACE

    @property
    def tiles_left(self) -> float:
        return self.map_left + max(self.large[0], 3.4) + _SPACE  # a narrow map, yet its heading

    @property
    def width(self) -> float:
        return self.tiles_left + _COLUMNS * (self.cell + _SPACE) - _SPACE + _MARGIN

    @property
    def height(self) -> float:
        return self.first_band + self.num_stages * self.band + _MARGIN - _SPACE

    def map_top(self, number: int) -> float:
        """Top of a stage's pictures."""
        return self.first_band + number * self.band + _HEADING + _CAPTION

    def corner(self, number: int, place: int) -> tuple[float, float]:
        """Left and top of a stage's group in a place counted by rows."""
        row, column = divmod(place, _COLUMNS)
        return (
            self.tiles_left + column * (self.cell + _SPACE),
            self.map_top(number) + row * (self.tile[1] + _CAPTION),
        )


@dataclass(frozen=True)
class _Page:
    """What is drawn on, where things go, and the photo in all of them."""

    sheet: Sheet
    layout: _Layout
    photo: UInt8[np.ndarray, "H W 3"]


def _draw_stage(page: _Page, stage: StageView, groups: Sequence[int], number: int) -> None:
    sheet, layout = page.sheet, page.layout
    colours = dict(zip(groups, palette(), strict=False))
    top = layout.map_top(number)
    heading = top - _CAPTION - 0.08
    rows, columns = stage.group_map.shape
    about = f"{stage.num_groups} groups on {rows} x {columns} patches"
    sheet.words(f"Stage {number + 1}", (layout.map_left, heading), 14, weight="bold")
    sheet.words(about, (layout.map_left + 0.95, heading), 10.5, color=QUIET)
    sheet.words(_summary(stage, groups), (layout.tiles_left, heading), 10.5, color=QUIET)
    picture = group_picture(page.photo, stage.group_map, colours)
    axes = sheet.picture(picture, (layout.map_left, top), layout.large)
    _number_groups(axes, stage, colours, page.photo.shape[:2])
    most = _most(stage, groups)
    _explain_heat(page, heading, most if stage.has_prototypes else None)
    for place, group in enumerate(groups):
        corner = layout.corner(number, place)
        _draw_group(page, stage, group, corner=corner, colour=colours[group], most=most)


def _draw_group(
    page: _Page,
    stage: StageView,
    group: int,
    *,
    corner: tuple[float, float],
    colour: RGB,
    most: float,
) -> None:
    (left, top), tile = corner, page.layout.tile
    headline, details = _captions(stage, group)
    page.sheet.words(headline, (left, top - 0.26), 11, weight="bold")
    page.sheet.words(details, (left, top - 0.08), 9.5, color=QUIET)
    frame = to_hex(_unit(colour))
    mask = stage.group_map == group
    page.sheet.picture(mask_tile(page.photo, mask, colour), corner, tile, frame=frame)
    prototype = _prototype(stage, group)
    if stage.responsibility is not None and prototype is not None:
        heat = heat_tile(page.photo, stage.responsibility[prototype], most=most)
        rejected = stage.kept is not None and not stage.kept[group]
        beside = (left + tile[0] + _GAP, top)
        page.sheet.picture(heat, beside, tile, frame=frame, dashed=rejected)


def _explain_heat(page: _Page, baseline: float, most: float | None) -> None:
    """Write at the right end of a heading what heat means, or that there is none."""
    right, style = page.layout.width - _MARGIN, {"color": QUIET, "ha": "right"}
    if most is None:
        page.sheet.words("no prototypes: groups alone", (right, baseline), 10.5, **style)
        return
    bar = (1.2, 0.12)
    left = right - 0.42 - bar[0]
    page.sheet.picture(heat_colours(np.linspace(0, 1, 256)[None]), (left, baseline - bar[1]), bar)
    page.sheet.words(f"{most:.2f}", (right, baseline), 10.5, **style)
    page.sheet.words("0", (left - 0.07, baseline), 10.5, **style)
    words = "share of each patch that the prototype explains"
    page.sheet.words(words, (left - 0.3, baseline), 10.5, **style)


def _number_groups(
    axes: Axes, stage: StageView, colours: dict[int, RGB], size: tuple[int, int]
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
            size=10,
            weight="bold",
            family="DejaVu Sans",
            color=_unit(text_colour(colour)),
            ha="center",
            va="center_baseline",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": _unit(colour), "edgecolor": "white"},
        )


def _unit(colour: RGB) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _photo_pixels(photo: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    factor = _PHOTO_SIDE / max(photo.size)
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    return np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def _largest(stage: StageView, most_groups: int) -> list[int]:
    """Return the groups with the most patches, largest first, empty ones left out."""
    counts = label_counts(stage.group_map, stage.num_groups)
    order = np.argsort(-counts, kind="stable")[:most_groups]
    return [int(group) for group in order if counts[group] > 0]


def _most(stage: StageView, groups: Sequence[int]) -> float:
    """Return the largest share in the maps that are shown: the stage's common scale."""
    prototypes = [_prototype(stage, group) for group in groups]
    if stage.responsibility is None:
        return 0.0
    return max(
        (float(stage.responsibility[index].max()) for index in prototypes if index is not None),
        default=0.0,
    )


def _prototype(stage: StageView, group: int) -> int | None:
    if stage.matched is None or stage.matched[group] < 0:
        return None
    return int(stage.matched[group])


def _summary(stage: StageView, shown: Sequence[int]) -> str:
    """Say which groups are shown and what is left out."""
    counts = label_counts(stage.group_map, stage.num_groups)
    rest = int((counts > 0).sum()) - len(shown)
    empty = int((counts == 0).sum())
    parts = [f"{len(shown)} largest groups" if rest else "all groups with patches"]
    if rest:
        share = float(1 - counts[list(shown)].sum() / counts.sum())
        parts.append(f"{rest} more (grey) hold {percentage(share)}")
    if empty:
        parts.append(f"{empty} empty")
    return ", ".join(parts)


def _captions(stage: StageView, group: int) -> tuple[str, str]:
    """Name a group and its prototype, then say how well they fit."""
    share = f"{percentage(float((stage.group_map == group).mean()))} of patches"
    if not stage.has_prototypes:
        return f"Group {group}", share
    prototype = _prototype(stage, group)
    if prototype is None:
        return f"Group {group}, no prototype", share
    details = [] if stage.similarity is None else [f"cos {stage.similarity[group]:.2f}"]
    if stage.kept is not None:
        details.append("kept" if stage.kept[group] else "rejected")
    return f"Group {group} ↔ prototype {prototype}", ", ".join([*details, share])
