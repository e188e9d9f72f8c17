"""A segmentation without a network."""

import numpy as np
import pytest
from PIL import Image

from pgseg_core.inference.score_map import ScoreMap
from pgseg_core.inference.scoring import Decision
from pgseg_core.inference.segmentation import Segmentation


def labelled(labels: np.ndarray, names: tuple[str, ...], *, background: bool) -> Segmentation:
    pixels = np.bincount(labels.ravel(), minlength=len(names))
    hot = np.stack([labels == label for label in range(len(names))]).astype(np.float32)
    return Segmentation(
        labels=labels.astype(np.int16),
        names=names,
        background=background,
        pixels=tuple(pixels.tolist()),
        scores=tuple(float(count > 0) for count in pixels),
        field=ScoreMap(
            hot, Decision(tuple(range(len(names))), len(names), "none"), np.arange(len(names))
        ),
    )


def blobs(height: int = 40, width: int = 50, count: int = 4, seed: int = 0) -> np.ndarray:
    """Regions with holes, touching the border, in several parts."""
    coarse = np.random.default_rng(seed).integers(0, count, (8, 10), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))


@pytest.fixture
def photo() -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    return Image.fromarray(noise)
