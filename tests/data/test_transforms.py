import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD
from pgseg_core.data.transforms import (
    CROP_RATIO,
    normalise,
    normalise_batch,
    random_box,
    sample_generator,
    to_square,
    to_tensor,
)
from tests.data.conftest import random_image


@settings(deadline=None)
@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    low=st.floats(0.01, 1),
    seed=st.integers(0, 100),
)
def test_a_box_lies_inside_the_image(width, height, low, seed):
    box = random_box(width, height, (low, 1.0), sample_generator(seed, 0, "k"))
    assert box.left >= 0
    assert box.top >= 0
    assert box.width >= 1
    assert box.height >= 1
    assert box.left + box.width <= width
    assert box.top + box.height <= height


def test_areas_and_ratios_are_as_asked_for():
    generator = sample_generator(0, 0, "k")
    boxes = [random_box(400, 400, (0.2, 0.6), generator) for _ in range(500)]
    shares = np.array([box.width * box.height / 160_000 for box in boxes])
    ratios = np.array([box.width / box.height for box in boxes])
    assert shares.min() > 0.19
    assert shares.max() < 0.61
    assert abs(shares.mean() - 0.4) < 0.02
    assert ratios.min() > CROP_RATIO[0] * 0.98
    assert ratios.max() < CROP_RATIO[1] * 1.02
    assert abs(np.log(ratios).mean()) < 0.02


@pytest.mark.parametrize(("size", "box"), [((20000, 20), (27, 20)), ((20, 20000), (20, 27))])
def test_a_very_long_image_gives_a_centred_box(size, box):
    chosen = random_box(*size, (0.5, 1.0), sample_generator(0, 0, "k"))
    assert (chosen.width, chosen.height) == box
    assert abs(2 * chosen.left + chosen.width - size[0]) <= 1
    assert abs(2 * chosen.top + chosen.height - size[1]) <= 1


def test_a_square_of_its_own_size_comes_back():
    pixels = np.array(random_image(0, 32, 32))
    assert np.array_equal(to_square(pixels, 32).permute(1, 2, 0).numpy(), pixels)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 90), (48, 40), (300, 7)])
@pytest.mark.parametrize("size", [1, 16, 64])
def test_squares_are_pillows_within_a_level(width, height, size):
    image = random_image(1, width, height)
    ours = to_square(np.array(image), size).permute(1, 2, 0).numpy()
    theirs = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_randomness_depends_on_seed_epoch_and_key_only():
    def box(seed, epoch, key):
        return random_box(90, 70, (0.1, 1.0), sample_generator(seed, epoch, key))

    assert box(1, 2, "a") == box(1, 2, "a")
    assert len({box(1, 2, "a"), box(0, 2, "a"), box(1, 3, "a"), box(1, 2, "b")}) == 4


def test_normalise_matches_the_formula():
    image = to_tensor(random_image(0, 5, 7))
    assert image.shape == (7, 5, 3)
    assert image.dtype == torch.uint8
    result = normalise(image)
    assert result.shape == (3, 7, 5)
    assert result.dtype == torch.float32
    for channel in range(3):
        expected = (image[2, 4, channel].item() / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[
            channel
        ]
        assert math.isclose(result[channel, 2, 4].item(), expected, abs_tol=1e-5)


def test_a_batch_is_normalised_as_its_images_are():
    images = [to_tensor(random_image(seed, 5, 7)) for seed in (0, 1)]
    together = normalise_batch(torch.stack(images).permute(0, 3, 1, 2))
    assert torch.equal(together, torch.stack([normalise(image) for image in images]))
