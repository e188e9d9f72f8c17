"""Masks that follow the image's edges: refinements by name, among them PAMR (CRF: `crf.py`).

Araslanov and Roth, *Single-Stage Semantic Segmentation from Image Labels*, CVPR 2020, section 3.3:
each pixel's scores become a mean of its neighbours', the more alike in colour the more weight, and
this several times over. The weights depend on the image alone, so the step is linear in the maps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD
from pgseg_core.inference.refinements import PAMR_DILATIONS, PAMR_ITERATIONS, PAMR_SHARPNESS
from pgseg_core.inference.score_map import ScoreField

_LEAST_DEVIATION = 1e-8
_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def pamr(
    image: Float[Tensor, "3 h w"],
    maps: Float[Tensor, "m h w"],
    *,
    iterations: int = PAMR_ITERATIONS,
    dilations: Sequence[int] = PAMR_DILATIONS,
) -> Float[Tensor, "m h w"]:
    """Refine maps by an image of their size.

    Args:
        image: Colours in any unit: scaling or shifting one of them changes nothing.
        maps: Scores or weights; maps that sum to one at every pixel still do afterwards.
        iterations: How often the mean is taken.
        dilations: Distances of the neighbours; outside the image its border is repeated.
    """
    weights = neighbour_weights(image, dilations)
    for _ in range(iterations):
        refined = torch.zeros_like(maps)
        for weight, shifted in zip(weights, _neighbours(maps, dilations), strict=True):
            refined += weight * shifted
        maps = refined
    return maps


def neighbour_weights(
    image: Float[Tensor, "3 h w"], dilations: Sequence[int]
) -> Float[Tensor, "k h w"]:
    """Return the weight of each of a pixel's k neighbours; they sum to one.

    softmax over neighbours j of the mean over colours of -|I_i - I_j| / (0.1 s_i), where s_i is
    the deviation of the colour over the pixel and all its neighbours.
    """
    around = torch.stack(list(_neighbours(image, dilations)))  # (k, 3, h, w)
    centre = image.expand(len(dilations), *image.shape)  # once for each 3 x 3 window
    deviation = torch.cat([around, centre]).std(dim=0)  # (3, h, w)
    distance = (around - image).abs() / (_LEAST_DEVIATION + PAMR_SHARPNESS * deviation)
    return (-distance.mean(dim=1)).softmax(dim=0)


def _neighbours(
    maps: Float[Tensor, "m h w"], dilations: Sequence[int]
) -> Iterator[Float[Tensor, "m h w"]]:
    """Yield the maps moved by every neighbour's step."""
    height, width = maps.shape[1:]
    rows, columns = torch.arange(height), torch.arange(width)
    for reach in dilations:
        for y, x in _AROUND:
            above = (rows + y * reach).clamp(0, height - 1)
            beside = (columns + x * reach).clamp(0, width - 1)
            yield maps[:, above][:, :, beside]


def _pamr_field(image: Float[Tensor, "3 h w"], field: ScoreField) -> ScoreField:
    """Refine the maps: PAMR is linear, so a table of scores stays as it is."""
    return replace(field, maps=pamr(image, field.maps))


def crf_field(
    photo: UInt8[Tensor, "h w 3"], labels: Integer[Tensor, "h w"], num_classes: int
) -> ScoreField:
    """Fit labels to a photo of their size; each class's probabilities take the place of its scores.

    Args:
        photo: RGB.
        labels: Class indices.
        num_classes: How many classes there are (c).
    """
    from pgseg_core.inference.crf import dense_crf  # noqa: PLC0415 - brings scipy's sparse matrices

    fitted = dense_crf(photo.numpy(), labels.numpy())
    table = torch.zeros(len(fitted.known), num_classes)
    table[range(len(fitted.known)), fitted.known.tolist()] = 1
    return ScoreField(maps=torch.from_numpy(fitted.belief), table=table)


def _crf_of_field(image: Float[Tensor, "3 h w"], field: ScoreField) -> ScoreField:
    height, width = image.shape[1:]
    labels = field.labels(size=(height, width)).labels
    return crf_field(_as_photo(image), labels, field.num_classes)


def _as_photo(image: Float[Tensor, "3 h w"]) -> UInt8[Tensor, "h w 3"]:
    """Undo the normalisation."""
    mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    colours = (image.permute(1, 2, 0) * deviation + mean) * 255
    return colours.round().clamp(0, 255).to(torch.uint8)


Refinement = Callable[[Float[Tensor, "3 h w"], ScoreField], ScoreField]
"""A photo as it was read (ImageNet-normalised) and its scores in, scores of the same size out."""

REFINE: Mapping[str, Refinement] = {
    "none": lambda _, field: field,
    "pamr": _pamr_field,
    "crf": _crf_of_field,
}
"""By the names of `REFINEMENTS`."""
