"""Class-free segment quality on images small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from pgseg_core.evaluation.metrics.quality import (
    adjusted_rand,
    best_masks,
    compactness,
    find_objects,
    groups_used,
)

TARGET = np.array(
    [
        [1, 1, 0, 0, 2, 2],
        [1, 1, 0, 0, 2, 2],
        [0, 0, 0, 0, 255, 255],
        [1, 0, 0, 0, 2, 2],
    ]
)
COUNTED = TARGET != 255


def best(groups: np.ndarray):
    objects = find_objects(TARGET, background=True)
    return best_masks(objects, [groups == value for value in np.unique(groups)], COUNTED)


def test_objects_are_connected_pieces_of_a_class():
    objects = find_objects(TARGET, background=True)
    assert objects.max() == 4
    assert objects[0].tolist() == [1, 1, 0, 0, 3, 3]
    assert objects[3].tolist() == [2, 0, 0, 0, 4, 4]
    assert (objects[TARGET == 255] == 0).all()


def test_without_background_class_0_has_objects_and_corners_connect():
    diagonal = np.array([[0, 1], [1, 0]])
    assert find_objects(diagonal, background=False).tolist() == [[1, 2], [2, 1]]


def test_splinters_are_no_objects():
    target = np.zeros((100, 100), dtype=int)
    target[0, :9] = 1  # 0.09 % of the image
    target[50, :10] = 1
    objects = find_objects(target, background=True)
    assert objects.max() == 1
    assert objects[50, 0] == 1


def test_masks_equal_to_the_objects_are_perfect():
    found = best(np.where(TARGET == 255, 0, TARGET))
    assert found.iou.tolist() == [1, 1, 1, 1]
    assert found.richness.tolist() == [1, 1, 1, 1]
    assert not found.over_segmented.any()
    assert not found.under_segmented.any()


def test_one_mask_over_everything_covers_all_and_merges_all():
    found = best(np.zeros_like(TARGET))
    assert found.richness.tolist() == [1, 1, 1, 1]
    assert found.under_segmented.all()
    assert not found.over_segmented.any()
    assert found.iou.tolist() == pytest.approx([4 / 22, 1 / 22, 4 / 22, 2 / 22])
    assert not found.found.any()


def test_a_mask_for_every_pixel_tears_what_is_larger():
    found = best(np.arange(TARGET.size).reshape(TARGET.shape))
    assert found.richness.tolist() == [1 / 4, 1, 1 / 4, 1 / 2]
    assert found.over_segmented.tolist() == [True, False, True, False]
    assert not found.under_segmented.any()
    assert found.found.tolist() == [False, True, False, True]


def test_the_pieces_of_a_mask_are_masks_too():
    """One group holds both cats and nothing else: each piece of it is one of them."""
    found = best((TARGET == 1).astype(int))
    assert found.iou[:2].tolist() == [1, 1]
    assert found.masks[:2].tolist() == [4, 1]


def test_pixels_without_ground_truth_count_for_nobody():
    groups = np.where((TARGET == 2) | (TARGET == 255), 1, 0)
    found = best(groups)
    assert found.masks[2:].tolist() == [6, 6]  # one piece, through the uncounted row
    assert found.iou[2:].tolist() == [4 / 6, 2 / 6]
    assert found.under_segmented.tolist()[2:] == [False, True]


def test_overlapping_masks_do_not_hide_each_other():
    objects = find_objects(TARGET, background=True)
    everything, cat = np.ones_like(COUNTED), objects == 1
    found = best_masks(objects, [everything, cat, everything], COUNTED)
    assert found.iou[0] == 1
    assert best_masks(objects, [], COUNTED).richness.tolist() == [0, 0, 0, 0]


def test_an_image_without_objects():
    empty = np.zeros((3, 3), dtype=int)
    found = best_masks(empty, [np.ones((3, 3), bool)], np.ones((3, 3), bool))
    assert found.iou.shape == (0,)


def test_compactness_counted_by_hand():
    features = np.array([[0.0], [2.0], [10.0], [12.0]])
    groups = np.array([5, 5, 9, 9])
    within, total = 4.0, 104.0  # distances to the means 1 and 11, and to 6
    assert compactness(features, groups) == pytest.approx(1 - (within / 2) / (total / 3))
    assert compactness(features, np.zeros(4, int)) == pytest.approx(0)
    assert compactness(np.array([[1.0], [1.0], [3.0]]), np.array([0, 0, 1])) == 1


def test_compactness_of_random_groups_is_nothing_however_many():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 16)) + 100
    for num_groups in (2, 8, 64):
        drawn = [compactness(features, generator.integers(0, num_groups, 400)) for _ in range(20)]
        assert abs(np.mean(drawn)) < 0.003


def test_compactness_does_not_depend_on_unit_or_origin():
    generator = np.random.default_rng(1)
    features, groups = generator.normal(size=(30, 4)), generator.integers(0, 3, 30)
    value = compactness(features, groups)
    assert compactness(7 * features - 3, groups) == pytest.approx(value)


def test_compactness_without_a_meaning_is_nan():
    assert np.isnan(compactness(np.full((5, 3), 0.1), np.array([0, 0, 1, 1, 2])))
    assert np.isnan(compactness(np.eye(3), np.arange(3)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=40))
def test_adjusted_rand_is_scikit_learns(pairs):
    a, b = np.array(pairs).T
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_a_group_is_used_from_one_percent():
    groups = np.zeros((20, 20), dtype=int)
    groups[0, :4] = 3
    groups[1, :3] = 7
    assert groups_used(groups) == 2
