"""Masks that follow the image's edges, in numpy: PAMR (see `inference.refine`) and the CRF."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from pgseg_core.inference.refinements import PAMR_DILATIONS, PAMR_ITERATIONS, PAMR_SHARPNESS
from pgseg_core.onnx.windows import ScoreField

_LEAST_DEVIATION = 1e-8
_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_REACH = max(PAMR_DILATIONS)

Refinement = Callable[[UInt8[np.ndarray, "h w 3"], ScoreField], ScoreField]
"""A photo as it was read and its scores in, scores of the same size out."""


def pamr(
    photo: UInt8[np.ndarray, "h w 3"], maps: Float[np.ndarray, "m h w"]
) -> Float[np.ndarray, "m h w"]:
    """Give each pixel the mean of its neighbours' scores, the more alike the more weight."""
    weights = _weights(np.moveaxis(photo, 2, 0).astype(np.float32))
    for _ in range(PAMR_ITERATIONS):
        refined = np.zeros_like(maps)
        for weight, shifted in zip(weights, _neighbours(maps), strict=True):
            refined += weight * shifted
        maps = refined
    return maps


def _weights(image: Float[np.ndarray, "3 h w"]) -> Float[np.ndarray, "k h w"]:
    """Return the weight of each of a pixel's k neighbours; they sum to one."""
    around = np.stack(list(_neighbours(image)))  # (k, 3, h, w)
    centre = np.broadcast_to(image, (len(PAMR_DILATIONS), *image.shape))
    deviation = np.concatenate([around, centre]).std(axis=0, ddof=1)  # (3, h, w)
    around -= image
    np.abs(around, out=around)
    around /= _LEAST_DEVIATION + PAMR_SHARPNESS * deviation
    weights = np.exp(-around.mean(axis=1))
    weights /= weights.sum(axis=0)
    return weights


def _neighbours(maps: Float[np.ndarray, "m h w"]) -> Iterator[Float[np.ndarray, "m h w"]]:
    """Yield the maps moved by every neighbour's step; outside, the border is repeated."""
    height, width = maps.shape[1:]
    wide = np.pad(maps, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)), mode="edge")
    for dilation in PAMR_DILATIONS:
        for y, x in _AROUND:
            top, left = _REACH + y * dilation, _REACH + x * dilation
            yield wide[:, top : top + height, left : left + width]


def _pamr_field(photo: UInt8[np.ndarray, "h w 3"], field: ScoreField) -> ScoreField:
    return replace(field, maps=pamr(photo, field.maps))


def _crf_field(photo: UInt8[np.ndarray, "h w 3"], field: ScoreField) -> ScoreField:
    from pgseg_core.inference.crf import dense_crf  # noqa: PLC0415 - brings scipy's sparse matrices

    fitted = dense_crf(photo, field.labels(size=photo.shape[:2]).labels)
    return ScoreField(fitted.belief, fitted.known, field.num_classes)


REFINE: Mapping[str, Refinement] = {
    "none": lambda _, field: field,
    "pamr": _pamr_field,
    "crf": _crf_field,
}
"""By the names of `REFINEMENTS`."""
