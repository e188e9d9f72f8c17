"""Small pictures of a measurement, and which of them show a class at its best and worst.

Every image is kept as thumbnails while the set is measured, so that nothing is read or segmented
twice; which images matter is known only at the end.
"""

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.data.segmentation import IGNORE_LABEL, SegmentationSample
from pgseg_core.evaluation.report import Report
from pgseg_core.viz.overlay import blend
from pgseg_core.viz.palette import class_colours

SIDE = 200
"""Longer side of a thumbnail in pixels."""
_OPACITY = 0.65
_QUALITY = 80


@dataclass(frozen=True)
class Thumbnail:
    """One measured image, small."""

    photo: UInt8[np.ndarray, "h w 3"]
    prediction: UInt8[np.ndarray, "h w"]
    target: UInt8[np.ndarray, "h w"]
    """Labels; `IGNORE_LABEL` where there is no ground truth."""


@dataclass(frozen=True)
class Example:
    """One image beside a class's name: input, prediction and ground truth as data URLs."""

    image: str
    iou: float
    """Of the class in this image."""
    pictures: tuple[str, str, str]
    legend: tuple[tuple[str, str], ...]
    """Colour (CSS) and name of each class that is seen, the most frequent first."""


@dataclass(frozen=True)
class ClassExamples:
    """A class's best and worst images; the same image is shown once."""

    name: str
    best: tuple[Example, ...]
    worst: tuple[Example, ...]


class Gallery:
    """Collects thumbnails by the images' names in the order they were measured."""

    def __init__(self) -> None:
        self._thumbnails: list[Thumbnail] = []

    def keep(self, index: int, sample: SegmentationSample, labels: Integer[Tensor, "h w"]) -> None:  # noqa: ARG002
        """Keep one image; passed to the runner as `on_answer`."""
        scale = min(1.0, SIDE / max(sample.image.size))
        size = (
            max(1, round(sample.image.width * scale)),
            max(1, round(sample.image.height * scale)),
        )
        photo = np.asarray(sample.image.resize(size, Image.Resampling.BILINEAR))
        self._thumbnails.append(
            Thumbnail(photo, _small(labels.cpu().numpy(), size), _small(sample.mask, size))
        )

    def examples(self, report: Report, *, count: int = 1) -> tuple[ClassExamples, ...]:
        """Choose for each class the images where its IoU is largest and smallest.

        Args:
            report: Of exactly the images that were kept.
            count: How many of each.
        """
        assert len(report.images) == len(self._thumbnails), "images and thumbnails differ"
        found = []
        for label, name in enumerate(report.class_names):
            ranked = sorted(_ious(report, label), key=lambda entry: -entry[1])
            best = ranked[:count]
            worst = [entry for entry in reversed(ranked) if entry not in best][:count]
            if ranked:
                shown = (
                    tuple(self._example(report, place, iou) for place, iou in part)
                    for part in (best, worst)
                )
                found.append(ClassExamples(name, *shown))
        return tuple(found)

    def _example(self, report: Report, place: int, iou: float) -> Example:
        small = self._thumbnails[place]
        number = len(report.class_names)
        colours = class_colours(number, background=report.has_background)
        pictures = (
            _data_url(small.photo),
            _data_url(_tinted(small.photo, small.prediction, colours)),
            _data_url(_tinted(small.photo, small.target, colours)),
        )
        both = np.concatenate([small.prediction.ravel(), small.target.ravel()])
        counts = np.bincount(both[both < number], minlength=number)
        legend = tuple(
            ("#{:02x}{:02x}{:02x}".format(*colours[label].tolist()), report.class_names[label])
            for label in np.argsort(-counts, kind="stable").tolist()
            if counts[label] > 0
        )
        return Example(report.images[place].name, iou, pictures, legend)


def _ious(report: Report, label: int) -> list[tuple[int, float]]:
    """Return (place, IoU) of every image whose ground truth has the class."""
    found = []
    for place, image in enumerate(report.images):
        if label in image.classes:
            at = image.classes.index(label)
            hits, target, predicted = image.hits[at], image.target[at], image.predicted[at]
            if target:
                found.append((place, hits / (target + predicted - hits)))
    return found


def _small(labels: Integer[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "y x"]:
    inside = np.where((labels >= 0) & (labels < IGNORE_LABEL), labels, IGNORE_LABEL)
    picture = Image.fromarray(inside.astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST))


def _tinted(
    photo: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    colours: UInt8[np.ndarray, "c 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay class colours over the grey photo; pixels without ground truth are pale."""
    grey = np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))
    table = np.full((256, 3), 255, dtype=np.uint8)
    table[: len(colours)] = colours[:255]
    return blend(grey, table[labels], np.full(labels.shape, _OPACITY))


def _data_url(pixels: UInt8[np.ndarray, "h w 3"]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
