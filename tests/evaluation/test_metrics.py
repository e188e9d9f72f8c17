import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score, recall_score

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.segmentation import class_pixels, confusion, scores

TARGET = np.array([[0, 0, 1, 1], [0, 2, 2, 255]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1, 1], [0, 2, 0, 1]])


def test_counted_by_hand() -> None:
    counts = confusion(PREDICTION, TARGET, 4)
    assert counts.dtype == torch.int64
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    result = scores(counts, background=True)
    assert result.iou[:3] == pytest.approx((2 / 4, 2 / 3, 1 / 2))
    assert math.isnan(result.iou[3])
    assert result.accuracy[:3] == pytest.approx((2 / 3, 1, 1 / 2))
    assert math.isnan(result.accuracy[3])
    assert result.pixels == (3, 2, 2, 0)
    assert result.miou == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert result.foreground_miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert result.aacc == pytest.approx(5 / 7)
    assert result.macc == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)


def test_a_class_only_predicted_has_iou_0_and_no_accuracy() -> None:
    result = scores(confusion(np.array([[1, 0]]), np.array([[0, 0]]), 2))
    assert result.iou == (0.5, 0.0)
    assert result.accuracy[0] == 0.5
    assert math.isnan(result.accuracy[1])
    assert result.macc == 0.5
    assert result.foreground_miou is None


def test_nothing_counted_is_nan_not_zero() -> None:
    result = scores(confusion(np.zeros((2, 2), int), np.full((2, 2), 255), 2), background=True)
    for value in (result.miou, result.foreground_miou, result.aacc, result.macc):
        assert value is not None
        assert math.isnan(value)
    assert result.pixels == (0, 0)


def test_tensors_arrays_and_narrow_types_agree() -> None:
    expected = confusion(PREDICTION, TARGET, 3)
    assert confusion(torch.tensor(PREDICTION), torch.tensor(TARGET), 3).equal(expected)
    assert confusion(PREDICTION.astype(np.int16), torch.tensor(TARGET), 3).equal(expected)
    read_only = TARGET.copy()
    read_only.flags.writeable = False
    assert confusion(PREDICTION, read_only, 3).equal(expected)


def test_every_pixel_counts_when_nothing_is_ignored() -> None:
    assert confusion(np.array([[0, 1]]), np.array([[0, 0]]), 2, ignore=None).sum() == 2
    with pytest.raises(DataError, match="label 255, but the set's classes are 0 to 2"):
        confusion(PREDICTION, TARGET, 3, ignore=None)


@pytest.mark.parametrize("label", [-1, 3, 37])
def test_labels_without_a_class_are_the_users_error(label: int) -> None:
    mask = np.array([[0, label]])
    with pytest.raises(DataError, match=f"label {label}, .* and 255 is ignored"):
        confusion(np.array([[0, 0]]), mask, 3)
    with pytest.raises(DataError, match=f"label {label}"):
        class_pixels(mask, 3)


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_predictions_without_a_class_are_our_error(label: int) -> None:
    with pytest.raises(AssertionError, match=r"outside 0\.\.2"):
        confusion(np.array([[0, label]]), np.array([[0, 255]]), 3)


def test_sizes_must_agree() -> None:
    with pytest.raises((AssertionError, TypeError)):  # a TypeError where shapes are checked
        confusion(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)


def maps(num_classes: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    shape = st.tuples(st.integers(1, 7), st.integers(1, 7))
    label = st.integers(0, num_classes - 1)
    return shape.flatmap(
        lambda size: st.tuples(
            arrays(np.int64, size, elements=label),
            arrays(np.uint8, size, elements=label | st.just(255)),
        )
    )


@given(pair=maps(5))
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, target = pair
    counts = confusion(prediction, target, 5)
    kept = target != 255
    truth, guess = target[kept], prediction[kept]
    result = scores(counts)
    if not kept.any():
        assert math.isnan(result.miou)
        return
    assert counts.tolist() == confusion_matrix(truth, guess, labels=range(5)).tolist()
    for label in range(5):
        in_either = (truth == label).any() or (guess == label).any()
        if in_either:
            expected = jaccard_score(truth == label, guess == label, zero_division=0)
            assert result.iou[label] == pytest.approx(expected)
        else:
            assert math.isnan(result.iou[label])
        if (truth == label).any():
            expected = recall_score(truth == label, guess == label, zero_division=0)
            assert result.accuracy[label] == pytest.approx(expected)
    assert result.aacc == pytest.approx((truth == guess).mean())
    assert result.miou == pytest.approx(np.nanmean(result.iou))
    assert result.macc == pytest.approx(np.nanmean(result.accuracy))


@given(pair=maps(4))
@settings(max_examples=30, deadline=None)
def test_the_confusion_of_a_whole_is_the_sum_over_its_parts(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, target = pair
    rows = [confusion(prediction[i : i + 1], target[i : i + 1], 4) for i in range(len(target))]
    assert torch.stack(rows).sum(0).equal(confusion(prediction, target, 4))
    assert class_pixels(target, 4).equal(confusion(prediction, target, 4).sum(1))


def test_a_perfect_prediction_scores_one() -> None:
    labels = np.arange(6).reshape(2, 3)
    result = scores(confusion(labels, labels, 6), background=True)
    assert result.iou == result.accuracy == (1.0,) * 6
    assert (result.miou, result.foreground_miou, result.aacc, result.macc) == (1, 1, 1, 1)


def mmsegmentation(
    predictions: list[np.ndarray], targets: list[np.ndarray], num_classes: int, ignore: int
) -> tuple[float, float, float]:
    """mIoU, mAcc and aAcc as mmsegmentation defines them: histograms over each image, then sums."""
    areas = np.zeros((4, num_classes))
    for prediction, target in zip(predictions, targets, strict=True):
        counted = target != ignore
        guess, truth = prediction[counted], target[counted]
        bins, limits = num_classes, (0, num_classes)
        intersect = np.histogram(guess[guess == truth], bins, limits)[0]
        in_guess = np.histogram(guess, bins, limits)[0]
        in_truth = np.histogram(truth, bins, limits)[0]
        areas += np.stack([intersect, in_guess + in_truth - intersect, in_guess, in_truth])
    intersect, union, _, in_truth = areas
    with np.errstate(invalid="ignore"):
        iou, accuracy = intersect / union, intersect / in_truth
    return np.nanmean(iou), np.nanmean(accuracy), intersect.sum() / in_truth.sum()


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_mmsegmentations_definition(seed: int) -> None:
    """Ignored pixels, classes that only one side has, and classes that neither has."""
    generator = np.random.default_rng(seed)
    known = generator.permutation(9)
    predictions = [known[generator.integers(0, 6, (7, 5 + i))] for i in range(4)]
    targets = [np.append(known[2:8], 255)[generator.integers(0, 7, (7, 5 + i))] for i in range(4)]
    total = sum(
        confusion(guess, truth, 9) for guess, truth in zip(predictions, targets, strict=True)
    )
    found = scores(total)
    expected = mmsegmentation(predictions, targets, 9, 255)
    assert (found.miou, found.macc, found.aacc) == pytest.approx(expected, abs=1e-12)
