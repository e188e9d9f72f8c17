"""Photos and class names in, a label for every pixel out, without torch.

The same protocol as `inference.Segmenter`, step by step; a test holds their masks together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pgseg_core.inference.class_bank import BackgroundBank, ClassBank
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.preprocess import resized_size, sides_to_read
from pgseg_core.inference.segmentation import BACKGROUND, Segmentation
from pgseg_core.inference.sliding_window import Box, window_boxes
from pgseg_core.inference.suggest import unit
from pgseg_core.onnx.affinity import class_scores, with_background
from pgseg_core.onnx.encoders import OnnxEncoders
from pgseg_core.onnx.files import Description, find_exported, read_description
from pgseg_core.onnx.reading import normalise, resize_photo
from pgseg_core.onnx.refine import REFINE
from pgseg_core.onnx.windows import (
    GroupField,
    OwnedPixels,
    PatchPixels,
    ScoreField,
    average,
    pixel_owners,
)
from pgseg_core.text.background import load_background_words
from pgseg_core.text.templates import fill_prompts, load_templates
from pgseg_core.text.vocabulary import Vocabulary, as_vocabulary
from pgseg_core.weights import Recommended, find_weights, recommended_inference

WINDOWS_AT_ONCE = 8
"""Most windows in a call of the network."""

Chooser = Callable[[GroupField], ClassBank]
"""Chooses what to look for once it has seen what the network says of the photo."""


@dataclass(frozen=True)
class _Sides:
    short_side: int
    long_side: int


class OnnxSegmenter:
    """Segments photos with an exported model.

    Args:
        encoders: Its networks.
        description: What is known of them.
        origin: Where it came from, for reports.
        recommended: What its card says of the background.
    """

    def __init__(
        self,
        encoders: OnnxEncoders,
        description: Description,
        *,
        origin: str = "",
        recommended: Recommended | None = None,
    ) -> None:
        self._encoders = encoders
        self._about = description
        self.origin = origin
        self.recommended = recommended or Recommended()

    @classmethod
    def load(cls, weights: str | Path | None = None, *, device: str = "auto") -> "OnnxSegmenter":
        """Load an exported model.

        Args:
            weights: Its folder, or what `Segmenter.load` takes, where that holds one as `onnx/`.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            CheckpointError: Nothing of that name, nothing exported, or it is damaged.
            BackendError: ONNX Runtime is not installed, or has no such device.
        """
        folder = find_exported(find_weights(weights))
        about = read_description(folder)
        return cls(
            OnnxEncoders(folder, about, device),
            about,
            origin=str(folder),
            recommended=recommended_inference(folder),
        )

    def embed_classes(
        self, classes: Vocabulary | Sequence[str], *, templates: str = "simple"
    ) -> ClassBank:
        """Embed class names, all synonyms of a class in all templates averaged (step 4).

        Raises:
            DataError: No class, a class named twice, or no such templates.
        """
        asked = as_vocabulary(classes)
        vectors = self._embed(asked.prompts, templates)
        return ClassBank(asked.names, vectors, asked.prompts, templates)

    def _embed(self, wordings: Sequence[Sequence[str]], templates: str) -> Float[np.ndarray, "c e"]:
        """Embed groups of wordings into one unit vector each."""
        prompts = fill_prompts(load_templates(templates), wordings)
        features = self._encoders.encode_prompts([each for group in prompts for each in group])
        ends = np.cumsum([len(group) for group in prompts])
        return unit(np.stack([part.mean(axis=0) for part in np.split(features, ends[:-1])]))

    def _embed_background(self, options: SegmentOptions, templates: str) -> BackgroundBank | None:
        words = load_background_words(options.background_words)
        if not words.words:
            return None
        return BackgroundBank(words, self._embed([(word,) for word in words.words], templates))

    def stream(
        self,
        photos: Iterable[Image.Image],
        classes: ClassBank | Chooser | Vocabulary | Sequence[str],
        options: SegmentOptions | None = None,
    ) -> Iterator[Segmentation]:
        """Label photo after photo, in order.

        Args:
            photos: RGB.
            classes: What to look for, or what chooses it for each photo.
            options: How.

        Raises:
            DataError: The class list is wrong.
        """
        options = (options or SegmentOptions()).settled(self.recommended)
        if isinstance(classes, Vocabulary | Sequence):
            classes = self.embed_classes(classes)

        @cache
        def words(templates: str) -> BackgroundBank | None:
            return self._embed_background(options, templates)

        for photo in photos:
            readings = self._readings(photo, options)
            fields = [field for pixels in readings for field in self._fields(pixels, options)]
            bank = classes if isinstance(classes, ClassBank) else classes(fields[0])
            background = words(bank.templates)
            parts = [self._scored(field, bank, background, options) for field in fields]
            height, width = readings[0].shape[:2]
            scored = parts[0] if len(parts) == 1 else average(parts, size=(height, width))
            yield _label(photo, REFINE[options.refine](readings[0], scored), bank, options)

    def _scored(
        self,
        field: GroupField,
        bank: ClassBank,
        background: BackgroundBank | None,
        options: SegmentOptions,
    ) -> ScoreField:
        words = bank.vectors[:0] if background is None else background.beside(bank).vectors
        vectors = np.concatenate([bank.vectors, words])
        scores = class_scores(
            field.groups,
            field.images,
            vectors,
            self._about.scale,
            top_k=options.top_k,
            candidates=self._about.reading.candidates,
        )
        if options.threshold is None:
            return field.scored(scores)
        return field.scored(with_background(scores, options.threshold), stand_ins=len(words))

    def _readings(
        self, photo: Image.Image, options: SegmentOptions
    ) -> list[UInt8[np.ndarray, "h w 3"]]:
        reading = self._about.reading
        return [
            resize_photo(
                photo,
                resized_size(photo.height, photo.width, _Sides(short, long)),
                antialias=reading.antialias,
            )
            for short, long in sides_to_read(reading, options)
        ]

    def _fields(
        self, photo: UInt8[np.ndarray, "h w 3"], options: SegmentOptions
    ) -> Iterator[GroupField]:
        pixels = normalise(photo)
        yield self._field(pixels)
        if options.flip:
            yield self._field(pixels[:, :, ::-1]).mirrored()

    def _field(self, pixels: Float[np.ndarray, "3 h w"]) -> GroupField:
        """Encode a resized photo window by window: where its groups are, and what they say."""
        height, width = pixels.shape[1:]
        reading = self._about.reading
        boxes = window_boxes(height, width, window=reading.window, stride=reading.stride)
        size = (boxes[0].bottom - boxes[0].top, boxes[0].right - boxes[0].left)
        outputs = [
            self._encoders.encode_windows(np.stack([_cut(pixels, box) for box in some]))
            for some in _parts(boxes)
        ]
        patch = self._about.patch_size
        owned: OwnedPixels | PatchPixels
        if reading.patch_share:
            grid = outputs[0].maps.shape[2:]
            owned = PatchPixels(grid=(grid[0], grid[1]), patch=patch, size=size)
        else:
            owners = [pixel_owners(output.maps, patch=patch, size=size) for output in outputs]
            owned = OwnedPixels(np.concatenate(owners))
        return GroupField(
            size=(height, width),
            boxes=tuple(boxes),
            pixels=owned,
            groups=np.concatenate([output.groups for output in outputs]),
            images=np.concatenate([output.images for output in outputs]),
            fade=reading.fade_windows,
        )


def _label(
    photo: Image.Image, field: ScoreField, bank: ClassBank, options: SegmentOptions
) -> Segmentation:
    found = field.labels(size=(photo.height, photo.width))
    return Segmentation(
        labels=found.labels,
        names=(BACKGROUND, *bank.names) if options.background else bank.names,
        background=options.background,
        pixels=found.pixels,
        scores=found.scores,
        field=field,
    )


def _parts(boxes: Sequence[Box]) -> Iterator[Sequence[Box]]:
    for start in range(0, len(boxes), WINDOWS_AT_ONCE):
        yield boxes[start : start + WINDOWS_AT_ONCE]


def _cut(pixels: Float[np.ndarray, "3 h w"], box: Box) -> Float[np.ndarray, "3 y x"]:
    return pixels[(slice(None), *box.place)]
