"""Small pictures of a measurement, and which of them show a class at its best and worst.

Every image is kept as thumbnails while the set is measured, so that nothing is read or segmented
twice; which images matter is known only at the end.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.segmentation import IGNORE_LABEL, SegmentationSample
from pgseg_core.evaluation.report.report import Report
from pgseg_core.viz.overlay import blend
from pgseg_core.viz.palette import class_colours

SIDE = 200
"""Longer side of a thumbnail in pixels."""
_OPACITY = 0.65
_QUALITY = 80


@dataclass(frozen=True)
class Thumbnail:
    """One measured image, small, as the bytes of image files: a set has thousands."""

    photo: bytes
    """A JPEG."""
    prediction: bytes
    """A PNG of labels."""
    target: bytes
    """A PNG of labels; `IGNORE_LABEL` where there is no ground truth."""

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Bytes of each file."""
        return len(self.photo), len(self.prediction), len(self.target)

    @property
    def packed(self) -> bytearray:
        """All three after another."""
        return bytearray(self.photo + self.prediction + self.target)


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
    """Collects thumbnails of this rank's images by their places in the set."""

    def __init__(self) -> None:
        self._thumbnails: dict[int, Thumbnail] = {}

    def keep(self, index: int, sample: SegmentationSample, labels: Integer[Tensor, "h w"]) -> None:
        """Keep one image; passed to the runner as `on_answer`."""
        scale = min(1.0, SIDE / max(sample.image.size))
        size = (
            max(1, round(sample.image.width * scale)),
            max(1, round(sample.image.height * scale)),
        )
        photo = np.asarray(sample.image.resize(size, Image.Resampling.BILINEAR))
        self._thumbnails[index] = Thumbnail(
            _jpeg(photo), _small(labels.cpu().numpy(), size), _small(sample.mask, size)
        )

    def examples(
        self, report: Report, comm: Collectives, *, count: int = 1
    ) -> tuple[ClassExamples, ...]:
        """Choose for each class the images where its IoU is largest and smallest.

        Args:
            report: Of exactly the images that all ranks together kept, none skipped.
            comm: These ranks; each of them calls this and gets the same pictures.
            count: How many of each.
        """
        chosen = []
        for label, name in enumerate(report.class_names):
            ranked = sorted(_ious(report, label), key=lambda entry: -entry[1])
            best = ranked[:count]
            worst = [entry for entry in reversed(ranked) if entry not in best][:count]
            if ranked:
                chosen.append((name, best, worst))
        wanted = sorted({place for _, *parts in chosen for part in parts for place, _ in part})
        pictures = self._exchanged(wanted, comm)
        return tuple(
            ClassExamples(
                name,
                *(
                    tuple(_example(report, pictures[place], place, iou) for place, iou in part)
                    for part in parts
                ),
            )
            for name, *parts in chosen
        )

    def _exchanged(self, wanted: Sequence[int], comm: Collectives) -> dict[int, Thumbnail]:
        """Return the wanted thumbnails, each from the rank that has it."""
        own = [self._thumbnails.get(place) for place in wanted]
        lengths = torch.tensor([small.lengths if small else (0, 0, 0) for small in own])
        lengths = comm.sum(lengths.reshape(-1, 3))
        assert lengths.all(), "an image of the report was kept by no rank"
        sheet = torch.zeros(
            len(own), max(lengths.sum(dim=1).tolist(), default=0), dtype=torch.uint8
        )
        for row, small in zip(sheet, own, strict=True):
            if small is not None:
                row[: sum(small.lengths)] = torch.frombuffer(small.packed, dtype=torch.uint8)
        found = {}
        for place, row, parts in zip(wanted, comm.sum(sheet), lengths.tolist(), strict=True):
            first, second, third = np.cumsum(parts).tolist()
            packed = row.numpy().tobytes()
            found[place] = Thumbnail(packed[:first], packed[first:second], packed[second:third])
        return found


def _example(report: Report, small: Thumbnail, place: int, iou: float) -> Example:
    number = len(report.class_names)
    colours = class_colours(number, background=report.has_background)
    photo, prediction, target = map(_decoded, (small.photo, small.prediction, small.target))
    pictures = (
        _data_url(small.photo),
        _data_url(_jpeg(_tinted(photo, prediction, colours))),
        _data_url(_jpeg(_tinted(photo, target, colours))),
    )
    both = np.concatenate([prediction.ravel(), target.ravel()])
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


def _small(labels: Integer[np.ndarray, "h w"], size: tuple[int, int]) -> bytes:
    inside = np.where((labels >= 0) & (labels < IGNORE_LABEL), labels, IGNORE_LABEL)
    picture = Image.fromarray(inside.astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def _decoded(file: bytes) -> UInt8[np.ndarray, "h w *colours"]:
    with Image.open(io.BytesIO(file)) as picture:
        return np.asarray(picture)


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


def _jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
