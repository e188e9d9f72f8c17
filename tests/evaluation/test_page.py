"""The report page: everything in it, nothing from elsewhere, and the right pictures."""

import base64
import html.parser
import io
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgseg_core.comm import LocalCollectives
from pgseg_core.evaluation.baselines import trivial_baseline
from pgseg_core.evaluation.evaluate import evaluate_baseline
from pgseg_core.evaluation.metrics.threshold_curve import Sweep
from pgseg_core.evaluation.report.examples import SIDE, Gallery
from pgseg_core.evaluation.report.html_page import draw_curve, draw_matrix, render_page, write_page
from pgseg_core.evaluation.report.report import Report
from tests.evaluation.sets import MemorySet, random_set
from tests.evaluation.test_runner import RecordingRank

SWEEP = Sweep((0.0, 0.5, 0.99), (0.1, 0.3, 0.2), 0.5, 0.3, "mine, 3 images")


def measured(dataset: MemorySet) -> tuple[Report, Gallery]:
    gallery = Gallery()
    report = evaluate_baseline("random-groups", dataset, LocalCollectives(), on_answer=gallery.keep)
    return report, gallery


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in {"src", "href"}]
        if tag not in {"meta", "img", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in {"src", "href"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_is_well_formed(tmp_path) -> None:
    report, gallery = measured(random_set())
    report = replace(
        report, sweep=SWEEP, threshold=0.95, class_names=("background", "<b>cat</b>", "dog & co")
    )
    path = write_page(report, gallery.examples(report, LocalCollectives()), tmp_path / "new")
    page = path.read_text("utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in tags.addresses)
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)
    assert "<b>cat" not in page
    assert "&lt;b&gt;cat" in page
    assert "tuned on mine, 3 images" in page
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_best_and_worst_are_by_the_classs_iou_in_the_image() -> None:
    half = np.array([[1] * 20 + [0] * 20])
    dataset = MemorySet((half, np.where(half == 1, 1, 2), np.full((1, 40), 2)))
    gallery = Gallery()
    answers = torch.zeros(3, 1, 40, dtype=torch.int64)
    answers[0, 0, :10] = 1  # half of the cat
    answers[1, 0, :20] = 1  # all of it
    report = evaluate_baseline("background", dataset, LocalCollectives(), on_answer=gallery.keep)
    from pgseg_core.evaluation.report.report import sparse_counts
    from pgseg_core.evaluation.runner import evaluate_segmentation

    gallery = Gallery()
    result = evaluate_segmentation(
        dataset,
        lambda sample: answers[int(sample.name[0])][None],
        LocalCollectives(),
        on_answer=gallery.keep,
    )
    report = replace(report, images=sparse_counts(result.image_names, result.image_counts))
    found = {entry.name: entry for entry in gallery.examples(report, LocalCollectives())}
    cat = found["cat"]
    assert [(example.image, example.iou) for example in cat.best] == [("1.jpg", 1.0)]
    assert [(example.image, example.iou) for example in cat.worst] == [("0.jpg", 0.5)]
    assert found["background"].worst == ()  # in one image only: shown once
    assert [name for _, name in cat.worst[0].legend] == ["background", "cat"]
    picture = base64.b64decode(cat.best[0].pictures[2].partition(",")[2])
    with Image.open(io.BytesIO(picture)) as target:
        assert target.size == (40, 1)


def test_ranks_show_each_others_images() -> None:
    """Two ranks, run in turn: what one lacks the other's sum brings."""
    dataset = random_set()
    report, whole = measured(dataset)
    galleries = Gallery(), Gallery()
    ranks = [RecordingRank(rank=rank, world_size=2) for rank in range(2)]
    for rank, gallery in zip(ranks, galleries, strict=True):
        evaluate_baseline("random-groups", dataset, rank, on_answer=gallery.keep)
    expected = whole.examples(report, LocalCollectives())

    @dataclass
    class Pair(LocalCollectives):
        """Sums with what the other rank would give."""

        other: Gallery
        calls: int = 0

        def sum(self, tensor: Tensor) -> Tensor:
            self.calls += 1
            wanted = sorted(
                {int(e.image[0]) for c in expected for part in (c.best, c.worst) for e in part}
            )
            own = [self.other._thumbnails.get(place) for place in wanted]
            extra = torch.zeros_like(tensor)
            for row, small in enumerate(own):
                if small is not None and self.calls == 1:
                    extra[row] = torch.tensor(small.lengths)
                elif small is not None:
                    packed = torch.frombuffer(small.packed, dtype=torch.uint8)
                    extra[row, : len(packed)] = packed
            return tensor + extra

    assert galleries[0].examples(report, Pair(galleries[1])) == expected


def test_large_images_are_kept_small_and_odd_ones_whole() -> None:
    dataset = MemorySet((np.zeros((900, 3), dtype=int), np.zeros((1, 1), dtype=int)))
    report, gallery = measured(dataset)
    shown = gallery.examples(report, LocalCollectives())[0]
    for example in (*shown.best, *shown.worst):
        picture = base64.b64decode(example.pictures[0].partition(",")[2])
        with Image.open(io.BytesIO(picture)) as photo:
            assert max(photo.size) <= SIDE


def test_the_matrix_shows_shares_of_each_row() -> None:
    report, _ = measured(random_set())
    drawing = draw_matrix(replace(report, confusion=((1, 3, 0), (0, 0, 0), (0, 0, 1000))))
    shares = {
        (cell.y // drawing.side, cell.x // drawing.side): cell.share for cell in drawing.cells
    }
    assert shares == {(0, 0): 0.25, (0, 1): 0.75, (2, 2): 1.0}
    assert drawing.cells[1].title == "background: 75.0 % called cat"


def test_the_curve_rises_where_miou_does() -> None:
    curve = draw_curve(SWEEP, 0.95)
    (_, first), (_, middle), (_, last) = ((x, y) for x, y, _ in curve.dots)
    assert middle < last < first  # y grows downwards
    assert curve.best[1] == middle
    assert curve.used == pytest.approx(44 + 500 * 0.95)
    assert draw_curve(SWEEP, None).used is None


def test_many_classes_make_a_page_too() -> None:
    names = tuple(f"class {index}" for index in range(171))
    generator = np.random.default_rng(0)
    masks = tuple(generator.integers(0, 171, (20, 30)) for _ in range(2))
    dataset = MemorySet(masks, class_names=names, has_background=False)
    assert trivial_baseline("random-groups", dataset).name == "random-groups"
    report, gallery = measured(dataset)
    page = render_page(report, gallery.examples(report, LocalCollectives()))
    assert page.count("<h3>") == sum(pixels > 0 for pixels in report.scores.pixels)
