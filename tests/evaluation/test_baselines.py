import numpy as np
import pytest

from pgseg_core.errors import DataError
from pgseg_core.evaluation.baselines import mask_baselines
from pgseg_core.evaluation.metrics import confusion, scores

NAMES = ("background", "cat", "dog")
MASKS = (
    np.array([[0, 0, 0, 1]]),
    np.array([[2, 2, 2, 0]]),
    np.array([[1, 1, 255, 255]], dtype=np.uint8),
)


def test_counted_by_hand() -> None:
    found = {base.name: base for base in mask_baselines(MASKS, NAMES, background=True)}
    assert list(found) == ["background", "most frequent", "random", "oracle per image"]
    background = found["background"].scores
    assert background.iou == (0.4, 0.0, 0.0)
    assert background.aacc == 0.4
    assert background.pixels == (4, 3, 3)
    assert found["most frequent"].answer == "'background' everywhere"
    assert found["most frequent"].scores == background
    random = found["random"].scores
    assert random.accuracy == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert random.aacc == pytest.approx(1 / 3)
    assert random.iou[0] == pytest.approx((4 / 3) / (4 + 10 / 3 - 4 / 3))
    oracle = found["oracle per image"].scores
    assert oracle.iou == pytest.approx((3 / 5, 2 / 3, 3 / 4))
    assert oracle.aacc == 0.8
    assert all(base.scores.foreground_miou is not None for base in found.values())


def test_constant_answers_agree_with_predictions_of_them() -> None:
    found = {base.name: base for base in mask_baselines(MASKS, NAMES, background=True)}
    counts = sum(confusion(np.zeros_like(mask, dtype=int), mask, 3) for mask in MASKS)
    assert found["background"].scores == scores(counts, background=True)


def test_random_is_what_many_draws_approach() -> None:
    generator = np.random.default_rng(0)
    draws = [
        confusion(np.full(mask.shape, generator.integers(3)), mask, 3)
        for _ in range(3000)
        for mask in MASKS
    ]
    drawn = scores(sum(draws))
    random = {base.name: base for base in mask_baselines(MASKS, NAMES, background=False)}["random"]
    assert drawn.iou == pytest.approx(random.scores.iou, abs=0.02)


def test_without_background_there_is_no_such_answer() -> None:
    found = mask_baselines(MASKS, NAMES, background=False)
    assert [base.name for base in found] == ["most frequent", "random", "oracle per image"]
    assert all(base.scores.foreground_miou is None for base in found)


def test_no_masks_and_unknown_labels_are_refused() -> None:
    with pytest.raises(DataError, match="no masks"):
        mask_baselines([], NAMES, background=True)
    with pytest.raises(DataError, match="label 2"):
        mask_baselines(MASKS, NAMES[:2], background=True)
