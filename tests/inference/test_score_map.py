"""Sliding windows against naive loops, and banded scores against the whole map."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.inference import score_map
from pgseg_core.inference.score_map import (
    GroupField,
    OwnedPixels,
    PatchPixels,
    ScoreField,
    average,
    pixel_groups,
)
from pgseg_core.inference.sliding_window import window_boxes, window_weights

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
    owners = pixel_groups(maps, patch=4, size=(13, 17))
    large = F.interpolate(maps, size=(16, 20), mode="bilinear", align_corners=False)
    assert owners.long().equal(large.argmax(1)[:, :13, :17])


def draw_field(height: int = 20, width: int = 30) -> GroupField:
    boxes = window_boxes(height, width, window=12, stride=7)
    size = (len(boxes), min(12, height), min(12, width))
    owners = torch.randint(0, 3, size, dtype=torch.uint8)
    return GroupField(
        (height, width),
        tuple(boxes),
        OwnedPixels(owners),
        torch.rand(len(boxes), 3, 4),
        torch.rand(len(boxes), 4),
    )


@pytest.mark.parametrize("fade", [False, True])
@pytest.mark.parametrize("num_classes", [2, 500])
def test_scores_are_means_over_windows_in_either_form(num_classes, fade):
    """A faded window weighs by how far a pixel is from its borders, in rows times in columns."""
    field = replace(draw_field(), fade=fade)
    table = torch.rand(len(field.boxes), 3, num_classes)
    expected, count = torch.zeros(num_classes, 20, 30), torch.zeros(20, 30)
    for number, box in enumerate(field.boxes):
        for row in range(box.top, box.bottom):
            for column in range(box.left, box.right):
                group = field.pixels.owners[number, row - box.top, column - box.left].long()
                down = min(row + 0.5 - box.top, box.bottom - row - 0.5)
                across = min(column + 0.5 - box.left, box.right - column - 0.5)
                weight = down * across if fade else 1.0
                expected[:, row, column] += weight * table[number, group]
                count[row, column] += weight
    scored = field.scored(table)
    assert (scored.table is None) == (num_classes == 2)
    torch.testing.assert_close(scored.scores(size=(20, 30)), expected / count)
    assert scored.num_classes == num_classes


@pytest.mark.parametrize("stand_ins", [0, 3])
def test_what_no_window_shows_is_neither_spread_nor_kept(stand_ins):
    field = draw_field()
    table = torch.zeros(len(field.boxes), 3, 9)
    for number in range(len(table)):  # each window has two of its own
        table[number, :, [1 + number % 4, 7]] = torch.rand(3, 2)
    whole = torch.einsum("mhw,mc->chw", field.maps, table.flatten(0, 1))
    found = field.scored(table, stand_ins=stand_ins)
    assert len(found.maps) == 6, "the first column and those that are shown"
    expected = ScoreField(whole, stand_ins=stand_ins)
    size = (20, 30)
    torch.testing.assert_close(found.scores(size=size), expected.scores(size=size))
    torch.testing.assert_close(found.class_maps(), expected.class_maps())
    assert torch.equal(found.labels(size=size).labels, expected.labels(size=size).labels)


def test_nothing_shown_is_the_first_class():
    field = draw_field()
    found = field.scored(torch.zeros(len(field.boxes), 3, 5)).labels(size=(20, 30))
    assert found.labels.eq(0).all()
    assert found.scores == (0.0,) * 5


def test_pixels_lie_among_their_patches():
    """Against one class map interpolated by hand: all windows at once, none at the borders cut."""
    pixels = PatchPixels(grid=(2, 3), patch=4, size=(7, 10))
    table = torch.rand(6, 2)
    spread = pixels.spread(0, table)
    assert spread.shape == (2, 7, 10)
    for row, column in ((0, 0), (3, 5), (6, 9)):
        down, right = ((place + 0.5) / 4 - 0.5 for place in (row, column))
        expected = torch.zeros(2)
        for y in range(2):
            for x in range(3):
                near_y = max(0.0, 1 - abs(min(max(down, 0), 1) - y))
                near_x = max(0.0, 1 - abs(min(max(right, 0), 2) - x))
                expected += near_y * near_x * table[3 * y + x]
        torch.testing.assert_close(spread[:, row, column], expected)
    torch.testing.assert_close(pixels.mirrored().spread(0, table), spread.flip(-1))
    assert pixels.mirrored().mirrored() == pixels


def test_maps_of_patches_sum_to_one_and_give_the_same_scores():
    boxes = window_boxes(20, 30, window=12, stride=7)
    field = GroupField(
        (20, 30),
        tuple(boxes),
        PatchPixels(grid=(3, 3), patch=4, size=(12, 12)),
        torch.rand(len(boxes), 9, 4),
        torch.rand(len(boxes), 4),
    )
    torch.testing.assert_close(field.maps.sum(dim=0), torch.ones(20, 30))
    table = torch.rand(len(boxes), 9, 5)
    by_maps = torch.einsum("mhw,mc->chw", field.maps, table.flatten(0, 1))
    maps = torch.as_tensor(field.scored(table).class_maps())
    torch.testing.assert_close(maps, by_maps)


def test_a_mirrored_field_is_the_field_of_the_mirror_image():
    field = draw_field()
    torch.testing.assert_close(_grouped(field.mirrored()), _grouped(field).flip(-1))


def _grouped(field: GroupField) -> torch.Tensor:
    return torch.einsum("mhw,me->ehw", field.maps, field.groups.flatten(0, 1))


def test_the_average_of_readings_has_one_size():
    one, other = (
        ScoreField(torch.rand(3, 6, 8)),
        ScoreField(torch.rand(4, 12, 16), torch.rand(4, 3)),
    )
    both = average([one, other], size=(6, 8))
    small = F.interpolate(other.folded().maps[None], (6, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(both.maps, (one.maps + small[0]) / 2)


@pytest.mark.parametrize("size", [(60, 50), (9, 11), (17, 23), (1, 1), (90, 4)])
def test_bands_equal_the_whole_map(size, monkeypatch):
    monkeypatch.setattr(score_map, "BAND_BYTES", 9000)
    field = ScoreField(maps=torch.rand(6, 17, 23), table=torch.rand(6, 5))
    whole = torch.einsum("mhw,mc->chw", field.maps, field.table)[None]
    whole = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(field.scores(size=size), whole, rtol=1e-5, atol=1e-5)
    found = field.labels(size=size)
    picked = whole.gather(0, found.labels[None].long())[0]
    torch.testing.assert_close(picked, whole.amax(0), rtol=1e-5, atol=1e-5)
    for label in range(5):
        own = picked[found.labels == label]
        assert found.pixels[label] == len(own)
        assert found.scores[label] == pytest.approx(float(own.mean()) if len(own) else 0, abs=1e-5)


def test_many_bands_are_used(monkeypatch):
    monkeypatch.setattr(score_map, "BAND_BYTES", 9000)
    field = ScoreField(maps=torch.rand(6, 17, 23), table=torch.rand(6, 5))
    assert len(list(field.bands(size=(60, 50)))) > 10


def test_classes_that_no_window_shows_win_nowhere():
    table = torch.rand(6, 40).masked_fill_(torch.rand(6, 40) < 0.9, 0.0)
    maps = torch.rand(6, 9, 11)
    maps[:, :3] = 0  # nothing scores here: the first class wins
    field = ScoreField(maps, table)
    scores = field.scores(size=(9, 11))
    found = field.labels(size=(9, 11))
    assert torch.equal(found.labels.long(), scores.argmax(dim=0))
    assert found.labels[:3].eq(0).all()
    assert found.pixels == tuple(torch.bincount(found.labels.flatten().int(), minlength=40))
