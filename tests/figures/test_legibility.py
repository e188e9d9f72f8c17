"""Every figure at the widths of a paper: letters of six points or more, on the page, apart."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pgseg_core.evaluation.regions import overlapping_regions
from pgseg_core.figures.attention import draw_group_attention, draw_patch_attention
from pgseg_core.figures.compare import Column, MaskColumn, draw_comparison
from pgseg_core.figures.embedding import Panel, draw_embedding, embed, take_patches
from pgseg_core.figures.groups import draw_groups
from pgseg_core.figures.iterations import draw_iterations
from pgseg_core.figures.pairs import draw_pairs
from pgseg_core.figures.probe import Probe
from pgseg_core.figures.prototypes import draw_prototypes
from pgseg_core.figures.richness import draw_richness, measure_richness
from pgseg_core.figures.stages import StageView, em_steps, view_stages
from pgseg_core.figures.training import draw_training
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.viz.sheet import ONE_COLUMN, TWO_COLUMNS
from tests.figures.conftest import make_photo

NAMES = ("background", "a class with a rather long name", "grass", "person", "سماء", "sky")


def prototypes(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    return draw_prototypes(
        seen.photo, view_stages(seen, segmenter.method.network.config.npr), width=width
    )


def no_prototypes(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    group_map = np.arange(6 * 9).reshape(6, 9) % 7
    return draw_prototypes(seen.photo, [StageView(group_map, 8)] * 2, width=width)


def pairs(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    views = view_stages(seen, segmenter.method.network.config.npr)
    return draw_pairs([views, views], threshold=0.1, width=width)


def iterations(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    steps = [(number, list(em_steps(seen, number, 10))) for number in range(2)]
    return draw_iterations(seen.photo, steps, width=width)


def groups(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    group_map = np.arange(12).reshape(3, 4)
    return draw_groups(seen.photo, group_map, 64, stage=0, width=width)


def richness(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    own = [measure_richness(seen, 1)] * 3
    models = [("PGSeg", own), ("a very long name of a model", own)]
    return draw_richness([seen.photo] * 3, models, width=width)


def embedding(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    truth = np.arange(seen.grid[0] * seen.grid[1]).reshape(seen.grid) % len(NAMES) - 1
    patches = take_patches([seen], 1, [truth])
    panel = Panel("a very long name of a model", embed(patches.features, method="pca"), patches)
    return draw_embedding([panel, panel], NAMES, width=width)


def compare(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    photos = [make_photo(90, 60), make_photo(50, 90)]
    labels = [np.arange(6).repeat(900).reshape(60, 90), np.full((90, 50), -1)]
    masks = [np.stack([one > 2, one > 0]) for one in labels]
    columns = [
        Column("PGSeg", labels),
        MaskColumn("class-free masks", [overlapping_regions(mask) for mask in masks]),
        Column("Ground truth", labels),
    ]
    return draw_comparison(photos, columns, NAMES, background=True, width=width)


def training(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    log = [
        {"step": 10 * i, "epoch": i / 7, "loss": 14 - i, "i_npr_1_kept": 0.9, "lr": 1e-4 * i,
         "grad_norm": 10.0 * i, "images_per_second": 1200.0, "images_per_second_per_device": 600.0,
         "grad_group_multi_label": 0.1, "drift_image.0": 0.1, "memory_gib": 1.0,
         "i_npr_1_pairs": 9.0, "patch_shared_nouns": 3.0, "a_term_nobody_knew": 1e-7}
        for i in range(1, 9)
    ]  # fmt: skip
    runs = [("runs/a", log), ("one point", log[:1])]
    short = [axes.get_title(loc="right") for axes in draw_training(runs, width=width).axes]
    assert "shared nouns, patches" in short
    figure = draw_training(runs, width=width, everything=True)
    told = [axes.get_title(loc="right") for axes in figure.axes]
    more = {
        "\N{NABLA} multi-label, groups",
        "drift image.0",
        "memory, GiB",
        "pairs, I-NPR, stage 1",
    }
    assert set(told) - set(short) == more | {"images / s, device"}
    return figure


def attention(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    return draw_group_attention(seen, 1, width=width)


def patch_attention(segmenter: Segmenter, seen: Probe, width: float) -> Figure:
    return draw_patch_attention(seen, (1.0, 0.0), width=width)


FIGURES = (
    prototypes, no_prototypes, pairs, iterations, groups, richness, embedding, compare, training,
    attention, patch_attention,
)  # fmt: skip


@pytest.mark.parametrize("width", [ONE_COLUMN, TWO_COLUMNS])
@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_words_can_be_read(
    draw: Callable[[Segmenter, Probe, float], Figure],
    width: float,
    segmenter: Segmenter,
    seen: Probe,
) -> None:
    figure = draw(segmenter, seen, width)
    figure.set_dpi(100)
    figure.canvas.draw()
    across, down = figure.get_size_inches()
    assert across == pytest.approx(width)
    boxes = []
    for text in figure.findobj(Text):
        if not text.get_text() or not text.get_visible():
            continue
        assert text.get_fontsize() >= 6
        if text in figure.texts:
            boxes.append((text.get_text(), text.get_window_extent()))
    drawn = figure.get_tightbbox()  # inches; all that is on the page
    assert drawn.x0 >= -0.02
    assert drawn.y0 >= -0.02
    assert drawn.x1 <= across + 0.02
    assert drawn.y1 <= down + 0.02
    for (first, a), (second, b) in combinations(boxes, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap) <= 2.5, (first, second)


def test_photos_of_any_shape_keep_their_ratio() -> None:
    photos = [Image.new("RGB", (400, 20)), Image.new("RGB", (20, 400)), Image.new("RGB", (1, 1))]
    labels = [np.zeros(photo.size[::-1], dtype=np.int64) for photo in photos]
    figure = draw_comparison(photos, [Column("A", labels)], ["sky"], background=False)
    across, down = figure.get_size_inches()
    assert down < 12
    for axes, photo in zip(figure.axes[::2], photos, strict=True):
        box = axes.get_position()
        ratio = box.width * across / (box.height * down)
        assert ratio == pytest.approx(photo.width / photo.height, rel=0.06)
