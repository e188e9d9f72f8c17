"""A small model of two stages with prototypes, and a photo as it saw it."""

import numpy as np
import pytest
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.figures import tiles
from pgseg_core.figures.probe import Probe, probe
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping import build_model
from tests.tiny import segmenter_of, tiny_model_config

READING = InferenceConfig(short_side=48, long_side=96, window=48, stride=24)


def make_photo(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Soft blobs of colour."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 255, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a fifth of the pixels: words and places are what is tested."""
    monkeypatch.setattr(tiles, "SIDE", 96)


@pytest.fixture(scope="package")
def segmenter() -> Segmenter:
    return segmenter_of(build_model(tiny_model_config(), seed=1), READING)


@pytest.fixture(scope="package")
def seen(segmenter: Segmenter) -> Probe:
    return probe(segmenter, make_photo())
