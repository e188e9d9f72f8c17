"""What makes the set worth learning from: variety, and colours that give nothing away."""

import numpy as np
from numpy.typing import NDArray

from pgseg_core.data.scenes import CLASS_NAMES, Scene

NUM_CLASSES = len(CLASS_NAMES)


def shares_of(scenes: list[Scene]) -> NDArray[np.float64]:
    """Share of each picture each class covers: (scenes, classes)."""
    counts = [np.bincount(scene.mask.ravel(), minlength=NUM_CLASSES) for scene in scenes]
    return np.stack(counts) / scenes[0].mask.size


def test_every_class_is_often_there_and_often_not(scenes: list[Scene]) -> None:
    there = (shares_of(scenes) > 0.005).mean(axis=0)
    for name, often in zip(CLASS_NAMES, there, strict=True):
        assert 0.05 < often < 0.85, name


def test_every_class_is_sometimes_large(scenes: list[Scene]) -> None:
    largest = np.sort(shares_of(scenes), axis=0)[-4:].min(axis=0)
    for name, share in zip(CLASS_NAMES, largest, strict=True):
        assert share > 0.06, name


def test_scenes_are_simple_and_rich(scenes: list[Scene]) -> None:
    classes = (shares_of(scenes) > 0.005).sum(axis=1)
    assert (classes <= 3).mean() > 0.05
    assert (classes >= 7).mean() > 0.08


def test_no_two_classes_always_come_together(scenes: list[Scene]) -> None:
    there = shares_of(scenes) > 0.005
    for first in range(NUM_CLASSES):
        for second in range(NUM_CLASSES):
            if first != second:
                alone = there[:, first] & ~there[:, second]
                assert alone.sum() >= 0.03 * there[:, first].sum()


def test_the_mask_shows_no_more_than_the_picture(scenes: list[Scene]) -> None:
    """Where the mask changes, the picture changes more than elsewhere."""
    at_edges, elsewhere = [], []
    for scene in scenes[:60]:
        step = np.abs(np.diff(np.asarray(scene.image, dtype=np.float64), axis=1)).mean(axis=2)
        edge = np.diff(scene.mask.astype(int), axis=1) != 0
        at_edges.append(step[edge])
        elsewhere.append(step[~edge])
    assert np.concatenate(at_edges).mean() > 2 * np.concatenate(elsewhere).mean()


def test_colour_alone_does_not_tell_classes_apart(scenes: list[Scene]) -> None:
    """The most frequent class of each of 16^3 colours stays under 35 % mIoU on other scenes."""

    def colours(scene: Scene) -> NDArray[np.int64]:
        bins = np.asarray(scene.image).astype(np.int64).reshape(-1, 3) // 16
        return bins @ np.array([256, 16, 1])

    votes = np.zeros((16**3, NUM_CLASSES))
    for scene in scenes[:180]:
        np.add.at(votes, (colours(scene), scene.mask.ravel()), 1)
    guess = votes.argmax(axis=1)
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES))
    for scene in scenes[180:]:
        np.add.at(confusion, (guess[colours(scene)], scene.mask.ravel()), 1)
    hits = np.diag(confusion)
    iou = hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1) - hits, 1)
    assert iou.mean() < 0.35
