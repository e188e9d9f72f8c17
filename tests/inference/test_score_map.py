"""Sliding windows against naive loops, and banded scores against the whole map."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.arrays import NUMPY, arrays_of
from pgseg_core.inference.score_map import RegionField, ScoreMap, average
from pgseg_core.inference.scoring import Decision
from pgseg_core.inference.sliding_window import window_boxes, window_weights
from pgseg_core.methods.method import Owners, PatchGrid

SIZES = st.integers(1, 90)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(1, 32), st.integers(1, 32))
def test_windows_stay_inside_and_weigh_one_everywhere(height, width, window, stride):
    stride = min(stride, window)
    boxes = window_boxes(height, width, window=window, stride=stride)
    for box in boxes:
        assert 0 <= box.top < box.bottom <= height
        assert 0 <= box.left < box.right <= width
        assert box.bottom - box.top == min(window, height)
        assert box.right - box.left == min(window, width)
    assert len(set(boxes)) == len(boxes)
    for fade in (False, True):
        total = np.zeros((height, width))
        for box, weight in zip(
            boxes, window_weights((height, width), boxes, fade=fade), strict=True
        ):
            total[box.top : box.bottom, box.left : box.right] += weight
        np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_last_window_is_shifted_back_inside():
    boxes = window_boxes(448, 597, window=448, stride=224)
    assert [(box.left, box.right) for box in boxes] == [(0, 448), (149, 597)]


def test_a_pixel_belongs_to_its_largest_enlarged_group():
    maps = torch.rand(2, 3, 4, 5).softmax(1)
    owners = arrays_of(maps).owners(maps, (16, 20), (13, 17))
    large = F.interpolate(maps, size=(16, 20), mode="bilinear", align_corners=False)
    assert owners.long().equal(large.argmax(1)[:, :13, :17])


def plain(classes: int, *, words: int = 0) -> Decision:
    """Every column a class of its own, but for the first, which are words of class 0."""
    return Decision((0,) * words + tuple(range(classes - words)), classes - words, "none")


def score_map(maps: torch.Tensor, table: torch.Tensor | None = None) -> ScoreMap:
    columns = len(maps) if table is None else table.shape[1]
    return ScoreMap(maps, plain(columns), np.arange(columns), table)


def draw_field(height: int = 20, width: int = 30) -> RegionField:
    boxes = window_boxes(height, width, window=12, stride=7)
    size = (len(boxes), min(12, height), min(12, width))
    owners = torch.randint(0, 3, size, dtype=torch.uint8)
    return RegionField(
        (height, width),
        tuple(boxes),
        Owners(owners),
        torch.rand(len(boxes), 3, 4),
        torch.rand(len(boxes), 4),
    )


@pytest.mark.parametrize("fade", [False, True])
@pytest.mark.parametrize("num_classes", [2, 500])
def test_scores_are_means_over_windows_in_either_form(num_classes, fade):
    """A faded window weighs by how far a pixel is from its borders, in rows times in columns."""
    field = replace(draw_field(), taper=fade)
    table = torch.rand(len(field.boxes), 3, num_classes)
    expected, count = torch.zeros(num_classes, 20, 30), torch.zeros(20, 30)
    for number, box in enumerate(field.boxes):
        for row in range(box.top, box.bottom):
            for column in range(box.left, box.right):
                group = field.place.index[number, row - box.top, column - box.left].long()
                down = min(row + 0.5 - box.top, box.bottom - row - 0.5)
                across = min(column + 0.5 - box.left, box.right - column - 0.5)
                weight = down * across if fade else 1.0
                expected[:, row, column] += weight * table[number, group]
                count[row, column] += weight
    scored = field.scored(table, plain(num_classes))
    assert (scored.table is None) == (num_classes == 2)
    torch.testing.assert_close(scored.scores(size=(20, 30)), expected / count)


@pytest.mark.parametrize("words", [0, 3])
def test_what_no_window_shows_is_neither_spread_nor_kept(words):
    field = draw_field()
    table = torch.zeros(len(field.boxes), 3, 9)
    for number in range(len(table)):  # each window has two of its own
        table[number, :, [1 + number % 4, 7]] = torch.rand(3, 2)
    whole = torch.einsum("mhw,mc->chw", field.maps, table.flatten(0, 1))
    decision = plain(9, words=words)
    found = field.scored(table, decision)
    assert len(found.maps) == 6, "the first column and those that are shown"
    expected = ScoreMap(whole, decision, np.arange(9))
    size = (20, 30)
    torch.testing.assert_close(found.scores(size=size), expected.scores(size=size))
    np.testing.assert_allclose(found.class_maps(), expected.class_maps(), atol=1e-6)
    assert np.array_equal(found.labels(size=size).labels, expected.labels(size=size).labels)


def test_nothing_shown_is_the_first_class():
    field = draw_field()
    table = torch.zeros(len(field.boxes), 3, 5)
    found = field.scored(table, plain(5)).labels(size=(20, 30))
    assert (found.labels == 0).all()
    assert found.scores == (0.0,) * 5


def test_both_kinds_of_arrays_score_alike():
    field = draw_field()
    table = torch.rand(len(field.boxes), 3, 40).masked_fill_(torch.rand(40) < 0.5, 0.0)
    same = replace(
        field, place=Owners(field.place.index.numpy()), vectors=field.vectors.numpy(),
        windows=field.windows.numpy(),
    )  # fmt: skip
    decision = Decision(tuple(range(1, 40)), 40, "capped_threshold", (0.4,))
    ours = field.scored(table, decision).labels(size=(33, 41))
    theirs = same.scored(table.numpy(), decision).labels(size=(33, 41))
    assert (ours.labels != theirs.labels).mean() < 0.01
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-2)
    np.testing.assert_allclose(same.maps, field.maps.numpy(), atol=1e-6)


def patches(grid: PatchGrid, height: int, width: int) -> RegionField:
    """One window, each cell of a grid a region."""
    boxes = window_boxes(height, width, window=99, stride=99)
    return RegionField(
        (height, width), tuple(boxes), grid, torch.eye(grid.rows * grid.columns)[None]
    )


@pytest.mark.parametrize(
    "box", [(0, 0, 8, 12), (0, 0, 7, 10), (-1, -1, 8, 12), (0, 0, 14, 20)], ids=str
)
def test_pixels_lie_among_the_cells_around_them(box):
    """Filled up right and below, stretched, filled up all around, cells that divide nothing."""
    field = patches(PatchGrid(2, 3, box), 7, 10)
    table = torch.rand(6, 2)
    spread = field.scored(table[None], plain(2)).maps
    assert spread.shape == (2, 7, 10)
    high, wide = (box[2] - box[0]) / 2, (box[3] - box[1]) / 3
    for row, column in ((0, 0), (3, 5), (6, 9)):
        down, right = (row - box[0] + 0.5) / high - 0.5, (column - box[1] + 0.5) / wide - 0.5
        expected = torch.zeros(2)
        for y in range(2):
            for x in range(3):
                near_y = max(0.0, 1 - abs(min(max(down, 0), 1) - y))
                near_x = max(0.0, 1 - abs(min(max(right, 0), 2) - x))
                expected += near_y * near_x * table[3 * y + x]
        torch.testing.assert_close(spread[:, row, column], expected)
    mirrored = field.mirrored()
    torch.testing.assert_close(mirrored.scored(table[None], plain(2)).maps, spread.flip(-1))
    assert mirrored.mirrored().flipped == field.flipped


def test_maps_of_patches_sum_to_one_and_give_the_same_scores():
    boxes = window_boxes(20, 30, window=12, stride=7)
    field = RegionField(
        (20, 30), tuple(boxes), PatchGrid(3, 3, (0, 0, 12, 12)), torch.rand(len(boxes), 9, 4)
    )
    torch.testing.assert_close(field.maps.sum(dim=0), torch.ones(20, 30))
    table = torch.rand(len(boxes), 9, 5)
    by_maps = torch.einsum("mhw,mc->chw", field.maps, table.flatten(0, 1))
    maps = torch.as_tensor(field.scored(table, plain(5)).class_maps())
    torch.testing.assert_close(maps, by_maps)


def test_a_mirrored_field_is_the_field_of_the_mirror_image():
    field = draw_field()
    torch.testing.assert_close(_grouped(field.mirrored()), _grouped(field).flip(-1))


def _grouped(field: RegionField) -> torch.Tensor:
    return torch.einsum("mhw,me->ehw", field.maps, field.vectors.flatten(0, 1))


def test_the_average_of_readings_has_one_size():
    one, other = (
        score_map(torch.rand(3, 6, 8)),
        score_map(torch.rand(4, 12, 16), torch.rand(4, 3)),
    )
    both = average([one, other], size=(6, 8))
    small = F.interpolate(other.folded().maps[None], (6, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(both.maps, (one.maps + small[0]) / 2)


@pytest.mark.parametrize("size", [(60, 50), (9, 11), (17, 23), (1, 1), (90, 4)])
def test_bands_equal_the_whole_map(size, monkeypatch):
    field = score_map(torch.rand(6, 17, 23), torch.rand(6, 5))
    monkeypatch.setattr(arrays_of(field.maps), "band_bytes", 9000)
    whole = torch.einsum("mhw,mc->chw", field.maps, field.table)[None]
    whole = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(field.scores(size=size), whole, rtol=1e-5, atol=1e-5)
    found = field.labels(size=size)
    picked = whole.gather(0, torch.from_numpy(found.labels)[None].long())[0]
    torch.testing.assert_close(picked, whole.amax(0), rtol=1e-5, atol=1e-5)
    for label in range(5):
        own = picked[torch.from_numpy(found.labels == label)]
        assert found.pixels[label] == len(own)
        assert found.scores[label] == pytest.approx(float(own.mean()) if len(own) else 0, abs=1e-5)


def test_many_bands_are_used(monkeypatch):
    field = score_map(torch.rand(6, 17, 23), torch.rand(6, 5))
    monkeypatch.setattr(arrays_of(field.maps), "band_bytes", 9000)
    assert len(list(field.bands(size=(60, 50)))) > 10


def test_classes_that_no_window_shows_win_nowhere():
    table = torch.rand(6, 40).masked_fill_(torch.rand(6, 40) < 0.9, 0.0)
    field = draw_field()
    tables = torch.zeros(len(field.boxes), 3, 40)
    tables[:2] = table.reshape(2, 3, 40)
    found = field.scored(tables, plain(40)).labels(size=(20, 30))
    whole = torch.einsum("mhw,mc->chw", field.maps, tables.flatten(0, 1))
    assert np.array_equal(found.labels, whole.argmax(dim=0).numpy())
    assert found.pixels == tuple(np.bincount(found.labels.ravel(), minlength=40))


@pytest.mark.parametrize("size", [(5, 9), (40, 31), (12, 17)])
def test_resizing_and_bands_are_those_of_torch_in_numpy_too(size):
    maps = torch.rand(3, 12, 17)
    wanted = F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
    bands = [band for _, band in NUMPY.bands(maps.numpy(), size, 4)]
    for found in (NUMPY.resize(maps.numpy(), size), np.concatenate(bands, axis=1)):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)
    bands = [band for _, band in arrays_of(maps).bands(maps, size, 4)]
    torch.testing.assert_close(torch.cat(bands, dim=1), wanted)
