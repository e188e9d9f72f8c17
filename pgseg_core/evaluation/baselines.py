"""What one gets without a model: trivial answers, measured like any other.

A number means something beside these: a set that is mostly background rewards saying "background",
and groups drawn at random show what the choice of classes alone is worth.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int16, Integer
from torch import Tensor

from pgseg_core.data.segmentation import SegmentationSample, SegmentationSet
from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.evaluation.metrics.segmentation import class_pixels

BASELINES = ("background", "frequent", "random-classes", "best-class", "random-groups")
"""Trivial answers by name."""
RANDOM_GROUPS = 8
"""As many as the model has in its last stage."""


@dataclass(frozen=True)
class Baseline:
    """One trivial answer."""

    name: str
    answer: str
    """What it says, in words for a report."""
    predict: Callable[[SegmentationSample], Int16[Tensor, "1 h w"]]


def trivial_baseline(
    name: str,
    dataset: SegmentationSet,
    *,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Baseline:
    """Prepare a trivial answer for a set.

    Args:
        name: `background` everywhere; `frequent`: the class with most pixels, which reads every
            mask once; `random-classes`: eight cells around random points, each of a random class;
            `best-class`: for each image the class that most of its pixels have, everywhere; or
            `random-groups`: the same for each of eight cells.
        dataset: The set; masks are looked at by all but the first and third.
        limit: Only the first so many images.
        on_progress: Told after every mask that is read beforehand.

    Raises:
        ConfigError: No such answer, or background in a set without.
        DataError: A mask is damaged.
    """
    if name == "background":
        if not dataset.has_background:
            raise ConfigError(
                f"--baseline background: {dataset.name} has no background class",
                hint=f"Take another of {', '.join(BASELINES)}.",
            )
        return Baseline(name, "background everywhere", lambda sample: _constant(sample, 0))
    if name == "frequent":
        best = _most_frequent(dataset, limit, on_progress)
        answer = f"'{dataset.class_names[best]}' everywhere"
        return Baseline(name, answer, lambda sample: _constant(sample, best))
    number = len(dataset.class_names)
    if name == "random-classes":
        answer = f"{RANDOM_GROUPS} random cells an image, each with a random class"
        return Baseline(name, answer, lambda sample: _random_classes(sample, number))
    if name == "best-class":
        answer = "each image's true best class everywhere"
        return Baseline(name, answer, lambda sample: _best_of_groups(sample, number, count=1))
    if name == "random-groups":
        answer = f"{RANDOM_GROUPS} random cells an image, each with its true best class"
        return Baseline(name, answer, lambda sample: _best_of_groups(sample, number))
    raise ConfigError(f"no baseline called '{name}'", hint=did_you_mean(name, BASELINES))


def random_groups(
    name: str, height: int, width: int, count: int = RANDOM_GROUPS
) -> Integer[np.ndarray, "h w"]:
    """Cut an image into cells around random points, the same for the same name.

    Args:
        name: The image's name, from which the points are drawn.
        height: In pixels.
        width: In pixels.
        count: How many cells.
    """
    points = _generator(name).random((count, 2)) * (height, width)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    distance = [(rows - y) ** 2 + (columns - x) ** 2 for y, x in points]
    return np.argmin(np.stack(distance), axis=0)


def _random_classes(sample: SegmentationSample, num_classes: int) -> Int16[Tensor, "1 h w"]:
    groups = random_groups(sample.name, *sample.mask.shape)
    classes = _generator(f"classes of {sample.name}").integers(0, num_classes, RANDOM_GROUPS)
    return torch.from_numpy(classes.astype(np.int16)[groups])[None]


def _best_of_groups(
    sample: SegmentationSample, num_classes: int, *, count: int = RANDOM_GROUPS
) -> Int16[Tensor, "1 h w"]:
    mask = sample.mask
    height, width = mask.shape
    groups = random_groups(sample.name, height, width, count)
    labels = np.zeros(mask.shape, dtype=np.int16)
    for group in range(count):
        inside = groups == group
        found = mask[inside]
        found = found[found < num_classes]
        if len(found):
            labels[inside] = np.bincount(found, minlength=num_classes).argmax()
    return torch.from_numpy(labels)[None]


def _generator(name: str) -> np.random.Generator:
    """Return a generator that is the same for the same name on every machine."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed)


def _constant(sample: SegmentationSample, label: int) -> Int16[Tensor, "1 h w"]:
    return torch.full((1, *sample.mask.shape), label, dtype=torch.int16)


def _most_frequent(
    dataset: SegmentationSet, limit: int | None, on_progress: Callable[[int, int], None] | None
) -> int:
    number = len(dataset) if limit is None else min(limit, len(dataset))
    total = torch.zeros(len(dataset.class_names), dtype=torch.int64)
    for index in range(number):
        mask = dataset[index].mask
        total += class_pixels(mask, len(total), ignore=dataset.ignore_label)
        if on_progress is not None:
            on_progress(index + 1, number)
    return int(total.argmax())
