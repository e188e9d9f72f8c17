"""Images and class names in, a label for every pixel out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Unpack, overload

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pgseg_core.checkpoint import load_checkpoint
from pgseg_core.config import InferenceConfig
from pgseg_core.device import find_device
from pgseg_core.inference.batching import companies, encode_fields
from pgseg_core.inference.class_bank import BackgroundBank, ClassBank
from pgseg_core.inference.classes import embed_wordings
from pgseg_core.inference.encoders import Encoders, TorchEncoders
from pgseg_core.inference.options import Choices, SegmentOptions
from pgseg_core.inference.refine import REFINE
from pgseg_core.inference.resize import read_at_sizes
from pgseg_core.inference.score_map import GroupField, ScoreField, average
from pgseg_core.inference.scoring import class_scores, with_background
from pgseg_core.inference.segmentation import BACKGROUND, Segmentation
from pgseg_core.inference.text_cache import kept_vectors
from pgseg_core.networks.grouping import ImageOutput, PGSeg
from pgseg_core.photos.pictures import Picture, as_photos
from pgseg_core.text.background import load_background_words
from pgseg_core.text.tokenizer import Tokenizer
from pgseg_core.text.vocabulary import Vocabulary, as_vocabulary
from pgseg_core.weights import Recommended, find_weights, recommended_inference

Chooser = Callable[[GroupField], ClassBank]
"""Chooses what to look for once it has seen what the network says of the photo."""

Classes = ClassBank | Chooser | Vocabulary | Sequence[str]
"""What to look for; a `ClassBank` from `embed_classes` saves time over many photos."""


class Segmenter:
    """Segments photos with one model: protocol `groupvit`, one encoder pass per window.

    The same photo, classes and options give the same pixels: alone or among others, from a path or
    from an image in memory.
    """

    def __init__(
        self,
        model: PGSeg,
        inference: InferenceConfig,
        *,
        device: torch.device | None = None,
        origin: str = "",
        encoders: Encoders | None = None,
        recommended: Recommended | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.model = model.eval().to(self.device)
        self.inference = inference
        self.origin = origin
        """Where the weights came from, for reports."""
        self.recommended = recommended or Recommended()
        """What their card says of the background."""
        self.tokenizer = Tokenizer(model.config.text.context_length)
        self._torch = TorchEncoders(self.model, self.device)
        self.encoders = encoders or self._torch
        """What computes group vectors, group maps and class vectors."""

    @classmethod
    def load(
        cls, weights: str | Path | None = None, *, device: str | torch.device = "auto"
    ) -> "Segmenter":
        """Load weights.

        Args:
            weights: A checkpoint or run folder, or the name of weights that `pgseg models` lists;
                when None the bundled ones, and without those the newest run under `runs/`.
            device: `auto`, `cpu`, `cuda` or `mps`; or a device of torch.

        Raises:
            CheckpointError: Nothing to load, or it is damaged.
            BackendError: The device is not on this machine.
        """
        checkpoint = load_checkpoint(find_weights(weights))
        return cls(
            checkpoint.build(),
            checkpoint.config.inference,
            device=find_device(device) if isinstance(device, str) else device,
            origin=str(checkpoint.path),
            recommended=recommended_inference(checkpoint.path),
        )

    def reading(self, inference: InferenceConfig) -> "Segmenter":
        """Return the same network, reading images in another way."""
        return Segmenter(
            self.model,
            inference,
            device=self.device,
            origin=self.origin,
            encoders=self.encoders,
            recommended=self.recommended,
        )

    def embed_classes(
        self, classes: Vocabulary | Sequence[str], *, templates: str = "simple"
    ) -> ClassBank:
        """Embed class names, all synonyms of a class in all templates averaged (step 4).

        Args:
            classes: A vocabulary, plain names, or one text as the command line takes it.
            templates: A set's name, or a file of templates.

        Raises:
            DataError: No class, a class named twice, or no such templates.
        """
        asked = as_vocabulary(classes)
        vectors = kept_vectors(self, asked.prompts, templates=templates)
        return ClassBank(asked.names, vectors, asked.prompts, templates)

    def embed_background(
        self, source: str | Sequence[str] | None, *, templates: str = "simple"
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
        return BackgroundBank(words, self.embed_wordings(own, templates=templates))

    def embed_wordings(
        self,
        wordings: Sequence[Sequence[str]],
        *,
        templates: str = "simple",
        unit_first: bool = False,
    ) -> Float[Tensor, "c e"]:
        """Embed groups of wordings into one unit vector each (see `classes.embed_wordings`)."""
        return embed_wordings(
            self.encoders, self.tokenizer, wordings, templates=templates, unit_first=unit_first
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
        options = (options or SegmentOptions()).settled(self.recommended)
        if isinstance(classes, Vocabulary | Sequence):
            classes = self.embed_classes(classes)

        @cache
        def words(templates: str) -> BackgroundBank | None:
            return self.embed_background(options.background_words, templates=templates)

        for company in companies(photos, self.encoders.windows_at_once):
            answers = self._answers(company, classes, options, words)
            for photo, (field, bank) in zip(company, answers, strict=True):
                yield _label(photo, field, bank, options)

    @torch.inference_mode()
    def _answers(
        self,
        photos: Sequence[Image.Image],
        classes: ClassBank | Chooser,
        options: SegmentOptions,
        words: Callable[[str], BackgroundBank | None],
    ) -> list[tuple[ScoreField, ClassBank]]:
        """Return every photo's class scores at the size it is read at (steps 1 to 6)."""
        readings = [read_at_sizes(photo, self.inference, options) for photo in photos]
        seen = iter(self.group_fields([each.pixels for own in readings for each in own]))
        answers = []
        for own in readings:
            pixels = own[0].pixels
            fields = [
                field.mirrored() if reading.mirrored else field
                for reading, field in zip(own, seen, strict=False)
            ]
            bank = classes if isinstance(classes, ClassBank) else classes(fields[0])
            background = words(bank.templates)
            parts = [
                self._scored(field, bank, options.threshold, options.top_k, background)
                for field in fields
            ]
            size = (pixels.shape[1], pixels.shape[2])
            field = parts[0] if len(parts) == 1 else average(parts, size=size)
            answers.append((REFINE[options.refine](pixels, field), bank))
        return answers

    def look(self, photo: Image.Image, options: SegmentOptions | None = None) -> GroupField:
        """Encode a photo, read once: what the network says before any class is named."""
        readings = read_at_sizes(photo, self.inference, options or SegmentOptions())
        return self.group_field(readings[0].pixels)

    def score_field(
        self,
        pixels: Float[Tensor, "3 h w"],
        bank: ClassBank,
        *,
        threshold: float | None,
        top_k: int = 5,
    ) -> ScoreField:
        """Return the class scores of a resized photo (steps 2 to 6).

        Args:
            pixels: Normalised RGB.
            bank: The classes.
            threshold: Adds a background class in front when not None.
            top_k: How many classes one window may show.
        """
        return self._scored(self.group_field(pixels), bank, threshold, top_k)

    def group_field(self, pixels: Float[Tensor, "3 h w"]) -> GroupField:
        """Encode a resized photo window by window: where its groups are, and what they say.

        Args:
            pixels: Normalised RGB.
        """
        return self.group_fields([pixels])[0]

    @torch.inference_mode()
    def group_fields(self, images: Sequence[Float[Tensor, "3 _ _"]]) -> list[GroupField]:
        """Encode resized photos of any sizes, their windows in common batches."""
        return encode_fields(
            self.encoders,
            images,
            window=self.inference.window,
            stride=self.inference.stride,
            patch_share=self.inference.patch_share,
            patch_affinity=self.inference.patch_affinity,
            fade=self.inference.fade_windows,
        )

    @torch.inference_mode()
    def encode(self, windows: Float[Tensor, "b 3 h w"]) -> ImageOutput:
        """Encode windows of any size with the torch model; returns all that it knows of them."""
        return self._torch.encode_image(windows)

    @torch.inference_mode()
    def _scored(
        self,
        field: GroupField,
        bank: ClassBank,
        threshold: float | None,
        top_k: int,
        background: BackgroundBank | None = None,
    ) -> ScoreField:
        words = bank.vectors[:0] if background is None else background.beside(bank).vectors
        vectors, scale = torch.cat([bank.vectors, words]), self.encoders.scale()
        scores = class_scores(
            field.groups,
            field.images,
            vectors,
            scale,
            top_k=top_k,
            candidates=self.inference.candidates,
        )
        if threshold is None:
            return field.scored(scores)
        return field.scored(with_background(scores, threshold), stand_ins=len(words))


def _label(
    photo: Image.Image, field: ScoreField, bank: ClassBank, options: SegmentOptions
) -> Segmentation:
    found = field.labels(size=(photo.height, photo.width))
    return Segmentation(
        labels=found.labels.numpy(),
        names=(BACKGROUND, *bank.names) if options.background else bank.names,
        background=options.background,
        pixels=found.pixels,
        scores=found.scores,
        field=field,
    )
