"""Images and class names in, a label for every pixel out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int16
from PIL import Image
from torch import Tensor

from pgseg_core.checkpoint import find_weights, load_checkpoint
from pgseg_core.config import InferenceConfig
from pgseg_core.data.images import read_image
from pgseg_core.data.transforms import normalise
from pgseg_core.device import find_device
from pgseg_core.inference.affinity import class_embedding, class_scores, with_background
from pgseg_core.inference.resize import resize_photo
from pgseg_core.inference.windows import (
    Box,
    GroupField,
    ScoreField,
    coverage,
    one_hot_groups,
    window_boxes,
)
from pgseg_core.model import ImageOutput, PGSeg
from pgseg_core.text.templates import fill_templates, load_templates
from pgseg_core.text.tokenizer import Tokenizer
from pgseg_core.text.vocabulary import ClassName, Vocabulary

BACKGROUND = "background"
WINDOWS_AT_ONCE = 8
PROMPTS_AT_ONCE = 256


@dataclass(frozen=True)
class ClassBank:
    """Classes ready to be compared with groups."""

    names: tuple[str, ...]
    vectors: Float[Tensor, "c e"]
    """Unit vectors."""


@dataclass(frozen=True)
class Segmentation:
    """A photo, labelled."""

    labels: Int16[np.ndarray, "h w"]
    """Index into `names`, at the photo's own size."""
    names: tuple[str, ...]
    """Class names in the order they were given; "background" first where it was asked for."""
    background: bool
    """Whether class 0 is the background."""
    pixels: tuple[int, ...]
    """Pixels of each class."""
    scores: tuple[float, ...]
    """Mean winning score of each class over its pixels, in [0, 1]; 0 for a class without pixels."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the photo that each class covers, in [0, 1]."""
        return tuple(count / self.labels.size for count in self.pixels)


class Segmenter:
    """Segments photos with one model: protocol `groupvit`, one encoder pass per window."""

    def __init__(
        self,
        model: PGSeg,
        inference: InferenceConfig,
        *,
        device: torch.device | None = None,
        origin: str = "",
    ) -> None:
        self.device = device or torch.device("cpu")
        self.model = model.eval().to(self.device)
        self.inference = inference
        self.origin = origin
        """Where the weights came from, for reports."""
        self.tokenizer = Tokenizer(model.config.text.context_length)

    @classmethod
    def load(cls, weights: str | Path | None = None, *, device: str = "auto") -> "Segmenter":
        """Load weights.

        Args:
            weights: A checkpoint or run folder; the newest run under `runs/` when None.
            device: `auto`, `cpu`, `cuda` or `mps`.

        Raises:
            CheckpointError: Nothing to load, or it is damaged.
            BackendError: The device is not on this machine.
        """
        checkpoint = load_checkpoint(find_weights(weights))
        return cls(
            checkpoint.build(),
            checkpoint.config.inference,
            device=find_device(device),
            origin=str(checkpoint.path),
        )

    @torch.inference_mode()
    def embed_classes(
        self, classes: Vocabulary | Sequence[str], *, templates: str = "simple"
    ) -> ClassBank:
        """Embed class names, all synonyms of a class in all templates averaged (step 4).

        Args:
            classes: A vocabulary, or plain names.
            templates: A set's name, or a file of templates.

        Raises:
            DataError: No class, a class named twice, or no such templates.
        """
        if not isinstance(classes, Vocabulary):
            classes = Vocabulary(tuple(ClassName(name, (name,)) for name in classes))
        return ClassBank(classes.names, self.embed_wordings(classes.prompts, templates=templates))

    @torch.inference_mode()
    def embed_wordings(
        self,
        wordings: Sequence[Sequence[str]],
        *,
        templates: str = "simple",
        unit_first: bool = False,
    ) -> Float[Tensor, "c e"]:
        """Embed groups of wordings, each in all templates and averaged into one unit vector.

        Args:
            wordings: One or more names for each vector.
            templates: A set's name, or a file of templates.
            unit_first: Scale every prompt's vector to length 1 before the mean.

        Raises:
            DataError: No such templates.
        """
        sentences = load_templates(templates)
        prompts = [
            [filled for wording in group for filled in fill_templates(sentences, wording)]
            for group in wordings
        ]
        flat = self.tokenizer([prompt for group in prompts for prompt in group]).to(self.device)
        features = torch.cat(
            [self.model.encode_text(part).feature for part in flat.split(PROMPTS_AT_ONCE)]
        ).float()
        per_class = features.split([len(group) for group in prompts])
        return torch.stack([class_embedding(part, unit_first=unit_first) for part in per_class])

    @torch.inference_mode()
    def segment(
        self,
        image: Image.Image | str | Path,
        classes: ClassBank | Vocabulary | Sequence[str],
        *,
        background: bool = False,
        threshold: float = 0.95,
        top_k: int = 5,
    ) -> Segmentation:
        """Label every pixel of a photo.

        Args:
            image: A photo or its path.
            classes: What to look for; a `ClassBank` from `embed_classes` saves time over many
                photos.
            background: Whether pixels may belong to none of the classes.
            threshold: Groups whose best class scores below this are background.
            top_k: How many classes one window may show.

        Raises:
            DataError: The photo cannot be read, or the class list is wrong.
        """
        photo = read_image(Path(image)) if isinstance(image, (str, Path)) else image.convert("RGB")
        bank = classes if isinstance(classes, ClassBank) else self.embed_classes(classes)
        limit = threshold if background else None
        resized = normalise(resize_photo(photo, self.inference))
        field = self.score_field(resized, bank, threshold=limit, top_k=top_k)
        labels, best = field.labels(size=(photo.height, photo.width))
        names = (BACKGROUND, *bank.names) if background else bank.names
        pixels, scores = _per_class(labels, best, len(names))
        return Segmentation(labels.numpy(), names, background, pixels, scores)

    @torch.inference_mode()
    def score_field(
        self,
        pixels: Float[Tensor, "3 h w"],
        bank: ClassBank,
        *,
        threshold: float | None,
        top_k: int = 5,
    ) -> ScoreField:
        """Return the class scores of a resized photo in factored form (steps 2 to 6).

        Args:
            pixels: ImageNet-normalised RGB.
            bank: The classes.
            threshold: Adds a background class in front when not None.
            top_k: How many classes one window may show.
        """
        field = self.group_field(pixels)
        scores = class_scores(
            field.groups.to(self.device),
            field.images.to(self.device),
            bank.vectors,
            self.model.scale(),
            top_k=top_k,
        )
        if threshold is not None:
            scores = with_background(scores, threshold)
        return ScoreField(maps=field.maps, table=scores.flatten(0, 1).cpu())

    @torch.inference_mode()
    def group_field(self, pixels: Float[Tensor, "3 h w"]) -> GroupField:
        """Encode a resized photo window by window: where its groups are, and what they say.

        Args:
            pixels: Normalised RGB.
        """
        height, width = pixels.shape[1:]
        size, step = self.inference.window, self.inference.stride
        boxes = window_boxes(height, width, window=size, stride=step)
        count = coverage(height, width, boxes)
        maps, groups, images = [], [], []
        for start in range(0, len(boxes), WINDOWS_AT_ONCE):
            some = boxes[start : start + WINDOWS_AT_ONCE]
            output = self.encode(torch.stack([_cut(pixels, box) for box in some]))
            groups.append(self.model.project_groups(output.tokens).float().cpu())
            images.append(output.feature.float().cpu())
            for box, own in zip(some, self.window_maps(output, some[0]), strict=True):
                placed = torch.zeros(len(own), height, width)
                rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
                placed[:, rows, columns] = own / count[rows, columns]
                maps.append(placed)
        return GroupField(torch.cat(maps), torch.cat(groups), torch.cat(images))

    @torch.inference_mode()
    def encode(self, windows: Float[Tensor, "b 3 h w"]) -> ImageOutput:
        """Encode windows of any size, filled up with the mean colour to whole patches."""
        patch = self.model.config.image.patch_size
        down, right = (-side % patch for side in windows.shape[2:])
        return self.model.encode_image(F.pad(windows.to(self.device), (0, right, 0, down)))

    def window_maps(self, output: ImageOutput, box: Box) -> Float[Tensor, "b g h w"]:
        """Return each window's one-hot group map at its pixels (step 3), without the filling."""
        rows, columns = output.grid
        patch = self.model.config.image.patch_size
        soft = output.group_maps().float().cpu().unflatten(2, (rows, columns))
        maps = one_hot_groups(soft, size=(rows * patch, columns * patch))
        return maps[:, :, : box.bottom - box.top, : box.right - box.left]


def _cut(pixels: Float[Tensor, "3 h w"], box: Box) -> Float[Tensor, "3 y x"]:
    return pixels[:, box.top : box.bottom, box.left : box.right]


def _per_class(
    labels: Int[Tensor, "h w"], best: Float[Tensor, "h w"], num_classes: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Count each class's pixels and average their scores."""
    flat = labels.flatten().int()
    pixels = torch.bincount(flat, minlength=num_classes)
    totals = torch.bincount(flat, weights=best.flatten().double(), minlength=num_classes)
    means = totals / pixels.clamp(min=1)
    return tuple(pixels.tolist()), tuple(means.tolist())
