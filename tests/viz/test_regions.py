import numpy as np
import pytest

from pgseg_core.viz.regions import label_counts, place_box, region_edges, resize_labels


def test_edges_lie_where_labels_change() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    expected = [[False, False, True], [False, False, True], [True, True, True]]
    assert region_edges(labels).tolist() == expected
    assert not region_edges(np.zeros((4, 5), int)).any()


def test_wider_edges_contain_narrow_ones() -> None:
    labels = np.kron(np.arange(6).reshape(2, 3), np.ones((9, 9), int))
    narrow, wide = region_edges(labels), region_edges(labels, width=3)
    assert (wide & narrow).sum() == narrow.sum() < wide.sum()


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 50)])
def test_resized_labels_are_labels_of_their_places(size: tuple[int, int]) -> None:
    labels = np.arange(20).reshape(4, 5)
    resized = resize_labels(labels, size)
    assert resized.shape == size
    for row in range(size[0]):
        for column in range(size[1]):
            there = (int((row + 0.5) * 4 / size[0]), int((column + 0.5) * 5 / size[1]))
            assert resized[row, column] == labels[there]


def test_counts_leave_out_other_labels() -> None:
    labels = np.array([[0, 1, 1, 255, -1, 7]])
    assert label_counts(labels, 3).tolist() == [1, 2, 0]
    assert label_counts(labels, 0).tolist() == []
    large = np.tile(np.array([[0, 1, 255]], dtype=np.uint8), (3000, 1000))
    assert label_counts(large, 2).tolist() == [3_000_000, 3_000_000]


def test_a_box_lies_inside_the_largest_part() -> None:
    mask = np.zeros((300, 800), dtype=bool)
    mask[10:60, 10:90] = True
    mask[100:280, 300:780] = True
    place = place_box(mask, (40, 200))
    assert place is not None
    row, column = place
    assert mask[row - 18 : row + 18, column - 98 : column + 98].all()
    assert (row, column) == pytest.approx((190, 540), abs=12)


def test_no_place_for_a_box_that_is_too_large() -> None:
    mask = np.zeros((50, 60), dtype=bool)
    assert place_box(mask, (1, 1)) is None
    mask[:, 20:25] = True
    assert place_box(mask, (10, 20)) is None
    assert place_box(mask, (20, 4)) is not None
