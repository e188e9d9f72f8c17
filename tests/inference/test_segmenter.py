"""The segmenter's promises: the same pixels in any company, readings averaged, choices checked."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.errors import ConfigError
from pgseg_core.inference.encoders import TorchEncoders, WindowOutput
from pgseg_core.inference.options import Choices, SegmentOptions
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.model import build_model
from tests.tiny import tiny_model_config

READING = InferenceConfig(short_side=48, long_side=96, window=32, stride=16)
CLASSES = ["sky", "road", "dog", "tree"]


class FullBatches(TorchEncoders):
    """An engine that wants six windows a call, as one on a GPU would."""

    windows_at_once = 6  # type: ignore[assignment]

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls: list[int] = []

    def encode_windows(self, windows: torch.Tensor) -> WindowOutput:
        self.calls.append(len(windows))
        return super().encode_windows(windows)


def photo(seed: int, width: int = 60, height: int = 44) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(build_model(tiny_model_config()), READING)


PHOTOS = [photo(0), photo(1, 30, 90), photo(2, 200, 20), photo(3, 1, 1), photo(4)]


@pytest.mark.parametrize("full", [False, True])
def test_a_photo_does_not_notice_its_company(segmenter, full):
    if full:
        encoders = FullBatches(segmenter.model, torch.device("cpu"))
        segmenter = Segmenter(segmenter.model, READING, encoders=encoders)
    together = segmenter.segment(PHOTOS, CLASSES, background=True)
    for alone, among in zip(PHOTOS, together, strict=True):
        found = segmenter.segment(alone, CLASSES, background=True)
        assert found.labels.shape == alone.size[::-1]
        np.testing.assert_array_equal(found.labels, among.labels)
        assert (found.pixels, found.scores) == (among.pixels, among.scores)
    if full:
        assert set(encoders.calls) == {6}


def test_labels_are_the_best_of_the_field(segmenter):
    found = segmenter.segment(PHOTOS[0], CLASSES, background=True, threshold=0.3)
    scores = found.field.scores(size=found.labels.shape)
    np.testing.assert_array_equal(found.labels, scores.argmax(0).numpy())
    assert found.pixels == tuple(np.bincount(found.labels.ravel(), minlength=5).tolist())
    assert sum(found.shares) == pytest.approx(1)


def test_with_flip_the_mirror_image_gives_the_mirror_labels(segmenter):
    mirrored = PHOTOS[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    field = segmenter.segment(PHOTOS[0], CLASSES, flip=True).field
    other = segmenter.segment(mirrored, CLASSES, flip=True).field
    torch.testing.assert_close(other.maps, field.maps.flip(-1), atol=1e-5, rtol=1e-5)


def test_scales_are_averaged_at_the_nearest_to_one(segmenter):
    both = segmenter.segment(PHOTOS[0], CLASSES, scales=(2, 1)).field
    sizes = [segmenter.segment(PHOTOS[0], CLASSES, size=size).field for size in (48, 96)]
    large = torch.nn.functional.interpolate(
        sizes[1].folded().maps[None], size=both.maps.shape[1:], mode="bilinear"
    )[0]
    torch.testing.assert_close(both.maps, (sizes[0].folded().maps + large) / 2)
    assert sizes[1].maps.shape[1:] == (96, 131)


def test_refinement_is_done_at_the_size_it_was_read_at(segmenter):
    plain = segmenter.segment(PHOTOS[0], CLASSES).field
    refined = segmenter.segment(PHOTOS[0], CLASSES, refine="pamr").field
    assert refined.maps.shape == plain.maps.shape
    assert not torch.equal(refined.maps, plain.maps)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"top_k": 0}, "top-k 0"),
        ({"refine": "parm"}, "Did you mean pamr?"),
        ({"scales": ()}, "scales ''"),
        ({"scales": (1.0, float("nan"))}, "scales '1,nan'"),
        ({"size": 5}, "size 5"),
    ],
)
def test_a_choice_out_of_range_is_refused(segmenter, choices, words):
    with pytest.raises(ConfigError) as refused:
        segmenter.segment(PHOTOS[0], CLASSES, **choices)
    assert words in str(refused.value)


def test_classes_in_one_text_are_not_its_letters(segmenter):
    assert segmenter.segment(PHOTOS[3], "sky, road").names == ("sky", "road")
    assert len(segmenter.segment(PHOTOS[3], "voc12").names) == 20


def test_keywords_are_the_options():
    fields = [field.name for field in dataclasses.fields(SegmentOptions)]
    assert list(Choices.__annotations__) == fields
