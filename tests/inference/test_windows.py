"""Sliding windows against naive loops, and banded scores against the whole map."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.inference import windows
from pgseg_core.inference.windows import ScoreField, coverage, one_hot_groups, window_boxes

SIZES = st.integers(1, 90)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(1, 32), st.integers(1, 32))
def test_windows_cover_everything_and_stay_inside(height, width, window, stride):
    stride = min(stride, window)
    boxes = window_boxes(height, width, window=window, stride=stride)
    assert coverage(height, width, boxes).min() >= 1
    for box in boxes:
        assert 0 <= box.top < box.bottom <= height
        assert 0 <= box.left < box.right <= width
        assert box.bottom - box.top == min(window, height)
        assert box.right - box.left == min(window, width)
    assert len(set(boxes)) == len(boxes)


def test_last_window_is_shifted_back_inside():
    boxes = window_boxes(448, 597, window=448, stride=224)
    assert [(box.left, box.right) for box in boxes] == [(0, 448), (149, 597)]


def test_one_hot_takes_the_largest_enlarged_group():
    maps = torch.rand(2, 3, 4, 5).softmax(1)
    hot = one_hot_groups(maps, size=(13, 17))
    large = F.interpolate(maps, size=(13, 17), mode="bilinear", align_corners=False)
    assert hot.sum(1).eq(1).all()
    assert hot.argmax(1).equal(large.argmax(1))


@pytest.mark.parametrize("size", [(60, 50), (9, 11), (17, 23), (1, 1), (90, 4)])
def test_bands_equal_the_whole_map(size, monkeypatch):
    monkeypatch.setattr(windows, "BAND_BYTES", 9000)
    field = ScoreField(maps=torch.rand(6, 17, 23), table=torch.rand(6, 5))
    whole = torch.einsum("mhw,mc->chw", field.maps, field.table)[None]
    whole = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(field.scores(size=size), whole, rtol=1e-5, atol=1e-5)
    labels, best = field.labels(size=size)
    torch.testing.assert_close(best, whole.amax(0), rtol=1e-5, atol=1e-5)
    picked = whole.gather(0, labels[None].long())[0]
    torch.testing.assert_close(picked, whole.amax(0), rtol=1e-5, atol=1e-5)


def test_many_bands_are_used(monkeypatch):
    monkeypatch.setattr(windows, "BAND_BYTES", 9000)
    field = ScoreField(maps=torch.rand(6, 17, 23), table=torch.rand(6, 5))
    assert len(list(field.bands(size=(60, 50)))) > 10
