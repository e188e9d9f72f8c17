"""How a protocol reads an image: windows, scores, background, for any number of thresholds at once.

The image is encoded once. Its groups' scores and, for each threshold, which groups are background
are columns of one small table, so that a whole threshold curve costs little more than one answer
and every point of it is exactly what a run with that threshold gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int16, UInt8
from PIL import Image
from torch import Tensor

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD
from pgseg_core.config import InferenceConfig
from pgseg_core.evaluation.protocols import Protocol
from pgseg_core.evaluation.resolve import Question
from pgseg_core.inference.refine import crf_field, pamr
from pgseg_core.inference.resize import resize_photo
from pgseg_core.inference.score_map import GroupField, PatchPixels, ScoreField
from pgseg_core.inference.scoring import class_scores, with_background
from pgseg_core.inference.segmenter import Segmenter

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of red, green and blue over CLIP's images, for values in [0, 1]."""
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Standard deviation of the same."""

Decision = Callable[[Float[Tensor, "s y x"]], Int[Tensor, "t y x"]]
"""From the scores of some rows to their labels, once for each threshold."""

_COLOURS = {"imagenet": (IMAGENET_MEAN, IMAGENET_STD), "clip": (CLIP_MEAN, CLIP_STD)}


def protocol_inference(protocol: Protocol) -> InferenceConfig:
    """Return how a protocol reads an image."""
    return InferenceConfig(
        short_side=protocol.short_side,
        long_side=protocol.long_side,
        window=protocol.window,
        stride=protocol.stride,
        antialias=False,
    )


class Reader:
    """A model under a protocol, with a set's question: photos in, labels out."""

    def __init__(
        self,
        segmenter: Segmenter,
        protocol: Protocol,
        question: Question,
        *,
        own_size: bool = False,
    ) -> None:
        reading = protocol_inference(protocol)
        departures = []
        if own_size:
            models = replace(segmenter.inference, antialias=False)
            if models != reading:
                size, window, stride = models.short_side, models.window, models.stride
                departures.append(f"at {size}, window {window}, stride {stride}")
                if models.patch_share:
                    departures.append(f"patch share {models.patch_share:g}")
                if models.patch_affinity:
                    departures.append(f"patch affinity {models.patch_affinity:g}")
                if protocol.top_k and models.candidates != "image":
                    departures.append(f"candidates by {models.candidates}")
                if models.fade_windows:
                    departures.append("windows faded")
            reading = models
        words = question.background_words
        if words.words:
            departures.append(f"background words {words.source}")
        self.name = protocol.id + (f" ({'; '.join(departures)})" if departures else "")
        """The protocol's name, with what departs from it."""
        self._segmenter = segmenter.reading(reading)
        self._protocol = protocol
        self._question = question
        by_wording = protocol.scores == "pixel_softmax"
        groups: list[tuple[int, Sequence[str]]] = [(0, [word]) for word in words.words]
        for label, wordings in enumerate(question.wordings):
            if by_wording:
                groups += [(label, [wording]) for wording in wordings]
            elif wordings:  # a background may have none
                groups.append((label, wordings))
        self._labels = torch.tensor([label for label, _ in groups])
        self._vectors = self._segmenter.embed_wordings(
            [part for _, part in groups],
            templates=question.templates,
            unit_first=protocol.unit_prompts,
        )
        self._scale = (
            segmenter.encoders.scale()
            if question.logit_scale is None
            else torch.tensor(question.logit_scale)
        )

    @torch.inference_mode()
    def read(
        self, photo: Image.Image, thresholds: Sequence[float | None]
    ) -> Int16[Tensor, "t h w"]:
        """Label every pixel of a photo at its own size, once for each threshold.

        Args:
            photo: RGB.
            thresholds: Background thresholds (t of them); None calls no pixel background. In a set
                without background they make no difference.
        """
        mean, deviation = (torch.tensor(three) for three in _COLOURS[self._protocol.normalise])
        resized = resize_photo(photo, self._segmenter.inference)
        pixels = ((resized.float() / 255 - mean) / deviation).permute(2, 0, 1)
        field = self._segmenter.group_field(pixels)
        table = self._table(field, thresholds)
        if isinstance(field.pixels, PatchPixels):  # a map for each of them would be large
            scores = field.scored(table.unflatten(0, field.groups.shape[:2]))
        else:
            scores = ScoreField(field.maps, table)
        if self._question.refine == "pamr":
            scores = replace(scores, maps=pamr(pixels, scores.maps))
        decide = self._decision(thresholds)
        size = (photo.height, photo.width)
        if self._question.refine == "crf":
            labels = _decided(scores, decide, size=(resized.shape[0], resized.shape[1]))
            return self._fitted(resized, labels, size)
        return _decided(scores, decide, size=size)

    def _fitted(
        self, resized: UInt8[Tensor, "y x 3"], labels: Int16[Tensor, "t y x"], size: tuple[int, int]
    ) -> Int16[Tensor, "t h w"]:
        """Fit each answer by the CRF; thresholds that give the same answer share the work."""
        different, places = labels.flatten(1).unique(dim=0, return_inverse=True)
        num_classes = len(self._question.class_names)
        fitted = [
            crf_field(resized, answer.unflatten(0, labels.shape[1:]), num_classes)
            for answer in different
        ]
        return torch.stack([field.labels(size=size).labels for field in fitted])[places]

    def _table(self, field: GroupField, thresholds: Sequence[float | None]) -> Float[Tensor, "m s"]:
        """Scores of each (window, group): classes, and before them the background's bars."""
        cosines = (
            F.normalize(field.groups, dim=-1) @ self._vectors.mT
        )  # (windows, groups, wordings)
        if self._protocol.scores == "pixel_softmax":
            return cosines.flatten(0, 1)
        if self._protocol.scores == "softmax":
            return (self._scale * cosines).softmax(dim=-1).flatten(0, 1)
        scores = class_scores(
            field.groups,
            field.images,
            self._vectors,
            self._scale,
            top_k=self._protocol.top_k or len(self._vectors),
            candidates=self._segmenter.inference.candidates,
        )
        if not self._question.has_background:
            return scores.flatten(0, 1)
        bars = [with_background(scores, 0.0 if t is None else t)[..., :1] for t in thresholds]
        return torch.cat([*bars, scores], dim=-1).flatten(0, 1)

    def _decision(self, thresholds: Sequence[float | None]) -> Decision:
        """Return the step from a band's scores to its labels."""
        kind = self._protocol.background if self._question.has_background else "plain"
        limits = torch.tensor([-torch.inf if t is None else t for t in thresholds])[:, None, None]

        def decide(scores: Float[Tensor, "s y x"]) -> Int[Tensor, "t y x"]:
            bars = scores[: len(limits)]
            if kind == "capped_threshold":
                scores = scores[len(limits) :]
            elif self._protocol.scores == "pixel_softmax":
                scores = (self._scale * scores).softmax(dim=0)
            best, place = scores.max(dim=0)
            labels = self._labels[place].expand(len(limits), *best.shape)
            if kind == "plain":
                return labels
            if kind == "capped_threshold":
                background = (bars >= best) & (limits > -torch.inf)
            elif kind == "constant_score":
                background = best <= limits
            else:
                background = best < limits
            return torch.where(background, 0, labels)

        return decide


def _decided(
    scores: ScoreField, decide: Decision, *, size: tuple[int, int]
) -> Int16[Tensor, "t h w"]:
    """Return the labels of a size, decided band by band."""
    bands = [decide(band).to(torch.int16) for _, band in scores.bands(size=size)]
    return torch.cat(bands, dim=1)
