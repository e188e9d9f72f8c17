"""The weights that ship with pgseg: there, small, described, and taken when none are named."""

import json

import numpy as np
import pytest
from PIL import Image

from pgseg_core import Segmenter
from pgseg_core.weights import find_weights, list_weights

pytestmark = pytest.mark.bundled


def test_the_default_is_small_and_says_what_it_is():
    default = [card for card in list_weights() if card.default]
    assert [card.name for card in default] == ["pgseg-lite0"]
    card = default[0]
    assert card.size < 25 * 2**20
    assert "ImageNet" in card.about
    assert "Flickr8k" in card.training_data
    assert card.licence
    assert any("VOC12-val-335" in name for name in card.scores)
    assert card.inference.background_words == "stuff"
    assert card.inference.tuned_on


def test_it_is_taken_in_an_empty_folder(pgseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_weights(None).name == "pgseg-lite0"
    Image.fromarray(_sky_over_grass()).save("view.png")
    made = pgseg("segment view.png -c 'sky,grass' --json")
    assert made.code == 0, made.err
    shares = {entry["name"]: entry["share"] for entry in json.loads(made.out)["classes"]}
    assert set(shares) == {"sky", "grass"}
    assert "weights: pgseg-lite0" in made.words
    assert "found, best in a patch of" in pgseg("explain view.png -c sky,grass").words


def test_it_tells_sky_from_grass():
    """Two plain textures; a photo's worth of sense, not a measure of quality."""
    mask = Segmenter.load().segment(_sky_over_grass(), ["sky", "grass"]).labels
    assert (mask[:90] == 0).mean() > 0.8
    assert (mask[150:] == 1).mean() > 0.8


def _sky_over_grass() -> np.ndarray:
    rows = np.arange(240)[:, None, None]
    sky = np.array([90, 150, 230]) + rows * np.array([0.6, 0.4, 0.1])
    noise = np.random.default_rng(0).normal(0, 30, (240, 320, 1))
    grass = np.array([70, 130, 40]) + noise * np.array([0.6, 1.0, 0.4])
    return np.where(rows < 120, sky + noise / 15, grass).clip(0, 255).astype(np.uint8)
