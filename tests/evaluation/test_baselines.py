from dataclasses import replace

import numpy as np
import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.errors import ConfigError
from pgseg_core.evaluation.baselines import RANDOM_GROUPS, random_groups, trivial_baseline
from pgseg_core.evaluation.evaluate import evaluate_baseline
from pgseg_core.evaluation.runner import evaluate_segmentation
from tests.evaluation.sets import MemorySet, random_set

MASKS = (
    np.array([[0, 0, 0, 1]]),
    np.array([[2, 2, 2, 2]]),
    np.array([[2, 1, 255, 255]]),
)


def test_constant_answers_counted_by_hand() -> None:
    dataset = MemorySet(MASKS)
    found = {
        name: evaluate_baseline(name, dataset, LocalCollectives())
        for name in ("background", "frequent")
    }
    assert found["background"].scores.iou == (0.3, 0.0, 0.0)
    assert found["background"].weights == "baseline background: background everywhere"
    assert found["frequent"].scores.iou == (0.0, 0.0, 0.5)
    assert found["frequent"].weights == "baseline frequent: 'dog' everywhere"
    assert found["frequent"].interval is not None
    first = evaluate_baseline("frequent", dataset, LocalCollectives(), limit=1)
    assert first.scores.aacc == 0.75


def test_random_cells_get_the_class_that_most_of_their_pixels_have() -> None:
    dataset = random_set(3)
    baseline = trivial_baseline("random-groups", dataset)
    for index in range(3):
        sample = dataset[index]
        cells = random_groups(sample.name, *sample.mask.shape)
        labels = baseline.predict(sample)[0].numpy()
        for cell in np.unique(cells):
            given = np.unique(labels[cells == cell])
            assert len(given) == 1
            inside = sample.mask[cells == cell]
            counts = [int((inside == label).sum()) for label in range(3)]
            assert counts[int(given[0])] == max(counts)


def test_random_cells_are_the_same_for_the_same_name() -> None:
    first, again = random_groups("a", 20, 30), random_groups("a", 20, 30)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, random_groups("b", 20, 30))
    assert first.max() < RANDOM_GROUPS


def test_one_cell_per_image_would_be_the_most_frequent_class_of_each() -> None:
    """More cells can only help: all pixels right once every cell is one pixel."""
    dataset = random_set(4)
    few = evaluate_segmentation(
        dataset, trivial_baseline("random-groups", dataset).predict, LocalCollectives()
    ).confusions[0]
    modes = sum(
        int(torch.bincount(torch.from_numpy(mask[mask < 255])).max()) for mask in dataset.masks
    )
    assert modes <= int(few.diagonal().sum()) <= int(few.sum())


def test_answers_that_a_set_has_not_are_refused() -> None:
    dataset = MemorySet(MASKS, class_names=("bird", "cat", "dog"), has_background=False)
    with pytest.raises(ConfigError, match="memory has no background class"):
        trivial_baseline("background", dataset)
    with pytest.raises(ConfigError, match="no baseline called 'best'"):
        trivial_baseline("best", dataset)


def test_random_classes_do_not_look_at_the_mask_and_best_class_does() -> None:
    dataset = random_set(4)
    blind = trivial_baseline("random-classes", dataset)
    sample = dataset[3]
    answer = blind.predict(sample)
    assert answer.equal(blind.predict(replace(sample, mask=np.zeros_like(sample.mask))))
    cells = random_groups(sample.name, *sample.mask.shape)
    assert all(len(np.unique(answer[0].numpy()[cells == cell])) == 1 for cell in np.unique(cells))
    seen = set()
    for name in "abcdefgh":
        seen |= set(blind.predict(replace(sample, name=name)).unique().tolist())
    assert seen == {0, 1, 2}
    best = trivial_baseline("best-class", dataset)
    for mask, index in zip(dataset.masks, range(4), strict=True):
        mode = np.bincount(mask[mask < 255], minlength=3).argmax()
        assert best.predict(dataset[index]).unique().tolist() == [mode]
