"""Masks that follow the image's edges: refinements by name, PAMR among them (CRF: `crf.py`).

Araslanov and Roth, *Single-Stage Semantic Segmentation from Image Labels*, CVPR 2020, section 3.3:
each pixel's scores become a mean of its neighbours', the more alike in colour the more weight, and
this several times over. The weights depend on the image alone, so the step is linear in the maps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Integer, UInt8

from pgseg_core.arrays import arrays_of
from pgseg_core.inference.preprocess import SizedPhoto
from pgseg_core.inference.refinements import PAMR_DILATIONS, PAMR_ITERATIONS, PAMR_SHARPNESS
from pgseg_core.inference.score_map import ScoreMap
from pgseg_core.inference.scoring import Decision
from pgseg_core.methods.method import Array

_LEAST_DEVIATION = 1e-8


def pamr(
    image: Float[Array, "3 h w"],
    maps: Float[Array, "m h w"],
    *,
    iterations: int = PAMR_ITERATIONS,
    dilations: Sequence[int] = PAMR_DILATIONS,
) -> Float[Array, "m h w"]:
    """Refine maps by an image of their size.

    Args:
        image: Colours in any unit: scaling or shifting one of them changes nothing.
        maps: Scores or weights; maps that sum to one at every pixel still do afterwards.
        iterations: How often the mean is taken.
        dilations: Distances of the neighbours; outside the image its border is repeated.
    """
    arrays = arrays_of(maps)
    weights = neighbour_weights(image, dilations)
    for _ in range(iterations):
        refined = arrays.zeros(*maps.shape, like=maps)
        for weight, shifted in zip(weights, arrays.neighbours(maps, dilations), strict=True):
            refined += weight * shifted
        maps = refined
    return maps


def neighbour_weights(
    image: Float[Array, "3 h w"], dilations: Sequence[int]
) -> Float[Array, "k h w"]:
    """Return the weight of each of a pixel's k neighbours; they sum to one.

    softmax over neighbours j of the mean over colours of -|I_i - I_j| / (0.1 s_i), where s_i is
    the deviation of the colour over the pixel and all its neighbours.
    """
    arrays = arrays_of(image)
    around = arrays.concat([each[None] for each in arrays.neighbours(image, dilations)], 0)
    centre = [image[None]] * len(dilations)  # once for each 3 x 3 window
    deviation = arrays.deviation(arrays.concat([around, *centre], 0))  # (3, h, w)
    distance = abs(around - image) / (_LEAST_DEVIATION + PAMR_SHARPNESS * deviation)
    return arrays.softmax(-distance.mean(1), 0)


def crf_scores(
    photo: UInt8[np.ndarray, "h w 3"], labels: Integer[np.ndarray, "h w"], like: ScoreMap
) -> ScoreMap:
    """Fit labels to a photo of their size; each class's probabilities take the place of its scores.

    Args:
        photo: RGB.
        labels: Class indices.
        like: The scores that the labels came from.
    """
    from pgseg_core.inference.crf import dense_crf  # noqa: PLC0415 - brings scipy's sparse matrices

    fitted = dense_crf(photo, labels)
    known = tuple(fitted.known.tolist())
    maps = arrays_of(like.maps).array(fitted.belief.astype(np.float32), like.maps)
    decision = Decision(known, like.decision.num_classes, "none")
    return ScoreMap(maps, decision, np.arange(len(known)))


def _refined_by_pamr(seen: SizedPhoto, scores: ScoreMap) -> ScoreMap:
    """Refine the maps: PAMR is linear, so a table of scores stays as it is."""
    image = arrays_of(scores.maps).array(seen.pixels, scores.maps)
    return replace(scores, maps=pamr(image, scores.maps))


def _refined_by_crf(seen: SizedPhoto, scores: ScoreMap) -> ScoreMap:
    height, width = seen.photo.shape[:2]
    labels = scores.labels(size=(height, width)).labels
    return crf_scores(seen.photo, labels, scores)


Refinement = Callable[[SizedPhoto, ScoreMap], ScoreMap]
"""A photo as it was read and its scores in, scores of the same size out."""

REFINE: Mapping[str, Refinement] = {
    "none": lambda _, scores: scores,
    "pamr": _refined_by_pamr,
    "crf": _refined_by_crf,
}
"""By the names of `REFINEMENTS`."""
