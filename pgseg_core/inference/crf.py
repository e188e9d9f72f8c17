"""Labels that follow the image's edges: the fully connected CRF of Krähenbühl and Koltun.

*Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials*, NeurIPS 2011: every
pair of pixels prefers the same label, the more the nearer and the more alike in colour they are.
Mean field needs Gaussian sums over all pixels, which the permutohedral lattice (`lattice.py`) gives
in linear time. Weights and reaches are those that DeepLab (Chen et al., TPAMI 2018) found on Pascal
VOC; the stronger ones of the first authors' example erase small objects from coarse masks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8

from pgseg_core.inference.lattice import PermutohedralLattice

Filter = Callable[[Float[np.ndarray, "n k"]], Float[np.ndarray, "n k"]]
"""Sum over all pixels, weighted by a kernel: values of n pixels in, sums at n pixels out."""


@dataclass(frozen=True)
class CrfSettings:
    """Strength and reach of the two kernels, and how far the given labels are trusted."""

    iterations: int = 10
    certainty: float = 0.7
    """Probability of each pixel's given label; the others share the rest."""
    near_weight: float = 3.0
    """Of the kernel that knows places alone, against isolated pixels."""
    near_reach: float = 1.0
    """Its deviation in pixels."""
    alike_weight: float = 4.0
    """Of the kernel that knows places and colours."""
    alike_reach: float = 67.0
    """Its deviation in pixels."""
    alike_colour: float = 3.0
    """Its deviation in colour, of 255."""


@dataclass(frozen=True)
class Fitted:
    """What each pixel may be, after it has heard all others."""

    known: Integer[np.ndarray, " k"]
    """The labels that occur."""
    belief: Float[np.ndarray, "k h w"]
    """Probability of each of them at each pixel; sums to 1 over k."""

    @property
    def labels(self) -> Integer[np.ndarray, "h w"]:
        """The most probable label of each pixel."""
        best: np.ndarray = self.known[self.belief.argmax(axis=0)]
        return best


def dense_crf(
    photo: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    settings: CrfSettings | None = None,
) -> Fitted:
    """Move a label map's borders to the photo's edges.

    Args:
        photo: RGB.
        labels: Any labels; those that occur are the ones a pixel can have afterwards.
        settings: Of the kernels; DeepLab's when None.
    """
    settings = settings or CrfSettings()
    known, given = np.unique(labels, return_inverse=True)
    if len(known) == 1:
        return Fitted(known, np.ones((1, *labels.shape), dtype=np.float32))
    others = (1 - settings.certainty) / (len(known) - 1)
    energy = np.full((labels.size, len(known)), -np.log(others), dtype=np.float32)
    energy[np.arange(labels.size), given.ravel()] = -np.log(settings.certainty)
    filters = [
        (settings.near_weight, normalised(near_filter(labels.shape, settings), labels.size)),
        (settings.alike_weight, normalised(alike_filter(photo, settings), labels.size)),
    ]
    belief = mean_field(energy, filters, iterations=settings.iterations)
    return Fitted(known, np.ascontiguousarray(belief.T).reshape(-1, *labels.shape))


def mean_field(
    energy: Float[np.ndarray, "n k"], filters: list[tuple[float, Filter]], *, iterations: int
) -> Float[np.ndarray, "n k"]:
    """Return each pixel's probability of each label (Potts model; the paper's Algorithm 1).

    Q <- softmax(-U + sum of weight x kernel sums of Q), starting from softmax(-U).

    Args:
        energy: -log of the given probabilities (U).
        filters: Weight and kernel sums of each kernel.
        iterations: How often Q is updated.
    """
    belief = _softmax(-energy)
    for _ in range(iterations):
        support = -energy
        for weight, kernel_sums in filters:
            support = support + weight * kernel_sums(belief)
        belief = _softmax(support)
    return belief


def near_filter(shape: tuple[int, ...], settings: CrfSettings) -> Filter:
    """Return exp(-|p_i - p_j|^2 / 2 reach^2) sums over places (cut off at 4 deviations)."""

    def sums(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        from scipy import ndimage  # noqa: PLC0415 - half a second to import

        maps = values.reshape(*shape, -1)
        reach = (settings.near_reach, settings.near_reach, 0)
        return ndimage.gaussian_filter(maps, reach, mode="constant").reshape(values.shape)

    return sums


def alike_filter(photo: UInt8[np.ndarray, "h w 3"], settings: CrfSettings) -> Filter:
    """Return exp(-|p_i - p_j|^2 / 2 reach^2 - |I_i - I_j|^2 / 2 colour^2) sums."""
    height, width = photo.shape[:2]
    rows, columns = np.mgrid[:height, :width].reshape(2, -1) / settings.alike_reach
    colours = photo.reshape(-1, 3) / settings.alike_colour
    return PermutohedralLattice(np.column_stack([columns, rows, colours])).sums


def normalised(kernel_sums: Filter, number: int) -> Filter:
    """Divide a kernel by the square roots of its sums at both pixels.

    So every pixel has about the same to say, in the middle and at the border, in a smooth sky and
    among leaves; the published code does the same.
    """
    root = np.sqrt(kernel_sums(np.ones((number, 1), dtype=np.float32)) + 1e-20)
    return lambda values: kernel_sums(values / root) / root


def _softmax(support: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    raised = np.exp(support - support.max(axis=1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return shares
