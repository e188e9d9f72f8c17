"""Images and class names in, a label for every pixel out: for any method, with torch or not."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Union, Unpack, overload

import numpy as np
from jaxtyping import Float
from PIL import Image

from pgseg_core.inference.batching import encode_fields, photo_batches
from pgseg_core.inference.class_bank import (
    BackgroundBank,
    ClassBank,
    embed_queries,
    make_queries,
)
from pgseg_core.inference.options import Choices, SegmentOptions
from pgseg_core.inference.preprocess import read_at_sizes
from pgseg_core.inference.refine import REFINE
from pgseg_core.inference.score_map import RegionField, ScoreMap, average
from pgseg_core.inference.scoring import Queries, decide_by, region_scores, score_table
from pgseg_core.inference.segmentation import BACKGROUND, Segmentation
from pgseg_core.inference.text_cache import kept_vectors
from pgseg_core.methods.load import load_method
from pgseg_core.methods.method import Array, Method, Reading, Rule
from pgseg_core.photos.pictures import Picture, as_photos
from pgseg_core.text.background import load_background_words
from pgseg_core.text.vocabulary import Vocabulary, as_vocabulary
from pgseg_core.weights import Recommended, find_weights, recommended_inference

if TYPE_CHECKING:
    import torch

Chooser = Callable[[RegionField], ClassBank]
"""Chooses what to look for once it has seen what the method says of the photo."""

Classes = ClassBank | Chooser | Vocabulary | Sequence[str]
"""What to look for; a `ClassBank` from `embed_classes` saves time over many photos."""


@dataclass(frozen=True)
class Examined:
    """A photo, labelled, with what the method saw of it: one pass for whoever needs both."""

    segmentation: Segmentation
    field: RegionField
    """Of the photo's first reading."""
    bank: ClassBank
    """The classes, chosen for this photo where a chooser was given."""


class Segmenter:
    """Segments photos with one method, one pass of its network for each window.

    The same photo, classes and options give the same pixels: alone or among others, from a path or
    from an image in memory.

    Args:
        method: Sees windows and reads prompts.
        reading: How photos are read, where it is not the method's own way.
        origin: Where the weights came from, for reports.
        recommended: What their card says of the background.
    """

    def __init__(
        self,
        method: Method,
        *,
        reading: Reading | None = None,
        origin: str = "",
        recommended: Recommended | None = None,
    ) -> None:
        self.method = method
        self.reading = reading or method.reading
        self.origin = origin
        self.recommended = recommended or Recommended()

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        device: Union[str, "torch.device"] = "auto",
        runtime: str = "auto",
    ) -> "Segmenter":
        """Load weights.

        Args:
            weights: A checkpoint, run or exported model's folder, or the name of weights that
                `pgseg models` lists; when None the bundled ones, and without those the newest run
                under `runs/`.
            device: `auto`, `cpu`, `cuda` or `mps`; or a device of torch.
            runtime: What computes the networks: `torch`, `onnx` (exported models, without torch),
                or `auto`, by the weights.

        Raises:
            CheckpointError: Nothing to load, or it is damaged.
            ConfigError: No such runtime, or not for these weights.
            BackendError: The device or the runtime is not on this machine.
        """
        loaded = load_method(find_weights(weights), device=device, runtime=runtime)
        return cls(
            loaded.method,
            origin=str(loaded.path),
            recommended=recommended_inference(loaded.path),
        )

    def read_as(self, reading: Reading) -> "Segmenter":
        """Return the same method, reading photos in another way."""
        return Segmenter(
            self.method, reading=reading, origin=self.origin, recommended=self.recommended
        )

    def embed_classes(
        self, classes: Vocabulary | Sequence[str], *, templates: str | None = None
    ) -> ClassBank:
        """Embed class names in all templates (step 4): their synonyms averaged, or kept apart.

        Args:
            classes: A vocabulary, plain names, or one text as the command line takes it.
            templates: A set's name, or a file of templates; the method's own when None.

        Raises:
            DataError: No class, a class named twice, or no such templates.
        """
        asked, rule = as_vocabulary(classes), self.reading.rule
        templates = templates or rule.templates
        if rule.synonyms == "mean":
            vectors = kept_vectors(self, asked.prompts, templates=templates)
            return ClassBank(asked.names, vectors, asked.prompts, templates)
        apart = [(place, (each,)) for place, own in enumerate(asked.prompts) for each in own]
        vectors = kept_vectors(self, [query for _, query in apart], templates=templates)
        owners = tuple(place for place, _ in apart)
        return ClassBank(asked.names, vectors, asked.prompts, templates, owners)

    def embed_background(
        self, source: str | Sequence[str] | None, *, templates: str | None = None
    ) -> BackgroundBank | None:
        """Embed background words, each by itself; None for none.

        Raises:
            ConfigError: A file that is not there.
            DataError: No such templates, or the file cannot be read.
        """
        words = load_background_words(source)
        if not words.words:
            return None
        own = [(word,) for word in words.words]
        return BackgroundBank(words, self.embed_queries(own, templates=templates))

    def embed_queries(
        self,
        queries: Sequence[Sequence[str]],
        *,
        templates: str | None = None,
        unit_first: bool | None = None,
    ) -> Float[Array, "q e"]:
        """Embed queries of one or more names into one unit vector each.

        Args:
            queries: One or more names for each vector.
            templates: The method's own when None.
            unit_first: Scale every prompt's vector to length 1 before the mean; as the method's
                rule says when None.

        Raises:
            DataError: No such templates.
        """
        rule = self.reading.rule
        return embed_queries(
            self.method,
            queries,
            templates=templates or rule.templates,
            unit_first=rule.unit_prompts if unit_first is None else unit_first,
        )

    @overload  # a path is one picture, although text is a sequence of texts
    def segment(  # type: ignore[overload-overlap]
        self, image: Picture, classes: Classes, **choices: Unpack[Choices]
    ) -> Segmentation: ...
    @overload
    def segment(
        self, image: Sequence[Picture], classes: Classes, **choices: Unpack[Choices]
    ) -> list[Segmentation]: ...

    def segment(
        self, image: Picture | Sequence[Picture], classes: Classes, **choices: Unpack[Choices]
    ) -> Segmentation | list[Segmentation]:
        """Label every pixel of a photo, or of several.

        Args:
            image: A path, PIL image, numpy array (h, w[, colours]) or tensor ([colours,] h, w).
                A list of them, or an array of four dimensions, gives a list of results.
            classes: What to look for.
            choices: Fields of `SegmentOptions`: background, threshold, background_words, top_k,
                refine, scales, flip, size.

        Raises:
            DataError: A photo cannot be read, or the class list is wrong.
            ConfigError: A choice is out of range.
        """
        photos, several = as_photos(image)
        found = list(self.stream(photos, classes, SegmentOptions(**choices)))
        return found if several else found[0]

    def stream(
        self,
        photos: Iterable[Image.Image],
        classes: Classes,
        options: SegmentOptions | None = None,
    ) -> Iterator[Segmentation]:
        """Label photo after photo, in order; windows of several photos share a batch.

        Args:
            photos: RGB; taken a few at a time, as results are asked for.
            classes: What to look for.
            options: How.

        Raises:
            DataError: The class list is wrong.
        """
        for examined in self.examine(photos, classes, options):
            yield examined.segmentation

    def examine(
        self,
        photos: Iterable[Image.Image],
        classes: Classes,
        options: SegmentOptions | None = None,
    ) -> Iterator[Examined]:
        """Label photo after photo, and keep what the method saw; see `stream`."""
        options = self.settled(options)
        if isinstance(classes, Vocabulary | Sequence):
            classes = self.embed_classes(classes)

        @cache
        def words(templates: str) -> BackgroundBank | None:
            return self.embed_background(options.background_words, templates=templates)

        for batch in photo_batches(photos, self.method.windows_at_once):
            readings = [read_at_sizes(photo, self.reading, options) for photo in batch]
            seen = iter(self.region_fields([each.pixels for own in readings for each in own]))
            for photo, own in zip(batch, readings, strict=True):
                fields = [
                    field.mirrored() if sized.mirrored else field
                    for sized, field in zip(own, seen, strict=False)
                ]
                bank = classes if isinstance(classes, ClassBank) else classes(fields[0])
                scores = self._scores(fields, bank, words(bank.templates), options)
                refined = REFINE[options.refine](own[0], scores)
                yield Examined(_label(photo, refined, bank, options), fields[0], bank)

    def settled(self, options: SegmentOptions | None) -> SegmentOptions:
        """Fill in what options leave open: by what the weights recommend, else by the rule.

        Raises:
            ConfigError: Background words from a file that is not there.
            DataError: The file cannot be read.
        """
        rule = self.reading.rule
        return (options or SegmentOptions()).settled(self.recommended, threshold=rule.threshold)

    def region_field(self, pixels: Float[np.ndarray, "3 h w"]) -> RegionField:
        """Encode a resized photo window by window: where its regions are, and their vectors.

        Args:
            pixels: In the method's colours.
        """
        return self.region_fields([pixels])[0]

    def region_fields(self, images: Sequence[Float[np.ndarray, "3 _ _"]]) -> list[RegionField]:
        """Encode resized photos of any sizes, their windows in common batches."""
        return encode_fields(self.method, images, self.reading)

    def score_map(
        self,
        field: RegionField,
        queries: Queries,
        thresholds: Sequence[float | None] = (None,),
        *,
        rule: Rule | None = None,
    ) -> ScoreMap:
        """Score every pixel of a photo that was encoded (steps 5 and 6).

        Args:
            field: What the method saw.
            queries: What is asked for.
            thresholds: Background thresholds.
            rule: How; the reading's own when None.
        """
        rule = rule or self.reading.rule
        scale = self.method.scale() if rule.scale is None else rule.scale
        scores = region_scores(field.vectors, field.windows, queries.vectors, scale, rule)
        decision = decide_by(rule, queries, thresholds, scale)
        return field.scored(score_table(scores, decision), decision)

    def _scores(
        self,
        fields: Sequence[RegionField],
        bank: ClassBank,
        background: BackgroundBank | None,
        options: SegmentOptions,
    ) -> ScoreMap:
        words = None if background is None else background.beside(bank)
        queries = make_queries(bank, words, has_background=options.background)
        rule = replace(self.reading.rule, top_k=options.top_k)
        maps = [self.score_map(field, queries, [options.threshold], rule=rule) for field in fields]
        return maps[0] if len(maps) == 1 else average(maps, size=fields[0].size)


def _label(
    photo: Image.Image, scores: ScoreMap, bank: ClassBank, options: SegmentOptions
) -> Segmentation:
    found = scores.labels(size=(photo.height, photo.width))
    return Segmentation(
        labels=found.labels,
        names=(BACKGROUND, *bank.names) if options.background else bank.names,
        background=options.background,
        pixels=found.pixels,
        scores=found.scores,
        field=scores,
    )
