"""How a protocol reads an image: windows, scores, background, for any number of thresholds at once.

The image is encoded once. Its regions' scores and, for each threshold, which regions are background
are columns of one small table, so that a whole threshold curve costs little more than one answer
and every point of it is exactly what a run with that threshold gives.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int16
from PIL import Image
from torch import Tensor

from pgseg_core.evaluation.protocols import Protocol
from pgseg_core.evaluation.resolve import Question
from pgseg_core.inference.preprocess import SizedPhoto, size_photo
from pgseg_core.inference.refine import REFINE, crf_scores
from pgseg_core.inference.score_map import ScoreMap
from pgseg_core.inference.scoring import Queries
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.method import Reading, Rule


def protocol_reading(protocol: Protocol, method: Reading) -> Reading:
    """Return how a protocol reads an image, in the colours of a method's network."""
    return replace(
        method,
        short_side=protocol.short_side,
        long_side=protocol.long_side,
        window=protocol.window,
        stride=protocol.stride,
        antialias=False,
        taper_windows=False,
        rule=protocol_rule(protocol),
    )


def protocol_rule(protocol: Protocol) -> Rule:
    """Return how a protocol turns cosines into classes."""
    return Rule(
        scores=protocol.scores,
        top_k=protocol.top_k,
        synonyms="apart" if protocol.scores == "pixel_softmax" else "mean",
        unit_prompts=protocol.unit_prompts,
        templates=protocol.templates,
        background=protocol.background,
        threshold=protocol.threshold,
        scale=protocol.logit_scale,
    )


class ProtocolSegmenter:
    """A model under a protocol, with what is asked on a set: photos in, labels out."""

    def __init__(
        self,
        segmenter: Segmenter,
        protocol: Protocol,
        question: Question,
        *,
        own_size: bool = False,
    ) -> None:
        reading = protocol_reading(protocol, segmenter.reading)
        protocols = reading
        if own_size:
            own = replace(segmenter.reading, antialias=False)
            reading = replace(own, rule=replace(reading.rule, top_k_by=own.rule.top_k_by))
        departures = _departures(segmenter, reading, protocols)
        words = question.background_words
        if words.words:
            departures.append(f"background words {words.source}")
        self.name = protocol.id + (f" ({'; '.join(departures)})" if departures else "")
        """The protocol's name, with what departs from it."""
        self._rule = replace(reading.rule, scale=question.logit_scale)
        self._segmenter = segmenter.read_as(reading)
        self._question = question
        asked: list[tuple[int, Sequence[str]]] = [(0, [word]) for word in words.words]
        for label, wordings in enumerate(question.wordings):
            if self._rule.synonyms == "apart":
                asked += [(label, [wording]) for wording in wordings]
            elif wordings:  # a background may have none
                asked.append((label, wordings))
        self._queries = Queries(
            self._segmenter.embed_queries(
                [part for _, part in asked], templates=question.templates
            ),
            classes=tuple(label for label, _ in asked),
            num_classes=len(question.class_names),
            has_background=question.has_background,
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
        sized = size_photo(photo, self._segmenter.reading)
        field = self._segmenter.region_field(sized.pixels)
        scores = self._segmenter.score_map(field, self._queries, thresholds, rule=self._rule)
        size = (photo.height, photo.width)
        if self._question.refine == "crf":
            return torch.from_numpy(_fitted(sized, scores, size))
        refined = REFINE[self._question.refine](sized, scores)
        return torch.from_numpy(refined.answers(size=size))


def _departures(segmenter: Segmenter, own: Reading, protocol: Reading) -> list[str]:
    """Say where a model, and how its images are read, depart from a protocol."""
    found = []
    sizes = (own.short_side, own.long_side, own.window, own.stride)
    if sizes != (protocol.short_side, protocol.long_side, protocol.window, protocol.stride):
        window = "the whole image" if own.window is None else f"window {own.window}"
        found.append(f"at {own.short_side}, {window}, stride {own.stride}")
    found += segmenter.method.departures
    if own.rule.scores == "product" and own.rule.top_k and own.rule.top_k_by != "image":
        found.append(f"candidates by {own.rule.top_k_by}")
    if own.taper_windows:
        found.append("windows faded")
    return found


def _fitted(
    sized: SizedPhoto, scores: ScoreMap, size: tuple[int, int]
) -> Int16[np.ndarray, "t h w"]:
    """Fit each answer by the CRF; thresholds that give the same answer share the work."""
    height, width = sized.photo.shape[:2]
    labels = scores.answers(size=(height, width))
    different, places = np.unique(labels.reshape(len(labels), -1), axis=0, return_inverse=True)
    fitted = [
        crf_scores(sized.photo, answer.reshape(height, width), scores).labels(size=size).labels
        for answer in different
    ]
    return np.stack(fitted)[places.reshape(-1)]
