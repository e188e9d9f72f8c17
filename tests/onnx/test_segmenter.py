"""The arithmetic without torch against the segmenter's, on networks that both share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pgseg_core.config import InferenceConfig, ModelConfig
from pgseg_core.inference import refine as torch_refine
from pgseg_core.inference.encoders import TorchEncoders
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.resize import resize_photo as torch_resize
from pgseg_core.inference.scoring import class_scores as torch_scores
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.inference.suggest import Suggester
from pgseg_core.networks.grouping import build_model
from pgseg_core.onnx import affinity, reading, refine, windows
from pgseg_core.onnx.encoders import OnnxEncoders, WindowOutput
from pgseg_core.onnx.export import _ImagePart
from pgseg_core.onnx.files import Description, Reading
from pgseg_core.onnx.segmenter import OnnxSegmenter
from pgseg_core.text.tokenizer import Tokenizer
from tests.inference.test_segmenter import PHOTOS, photo
from tests.tiny import tiny_model_config

READING = Reading(
    short_side=48, long_side=96, antialias=True, window=32, stride=16, patch_share=0.0
)
CLASSES = ["sky", "road", "dog", "tree"]
MANY = [f"thing {number}" for number in range(60)]


class SameNetworks(OnnxEncoders):
    """The torch networks where the exported ones would be."""

    def __init__(self, model, reading):
        self.torch, self.tokenizer = TorchEncoders(model, torch.device("cpu")), Tokenizer(16)
        self.part = _ImagePart(model.eval(), reading)

    @torch.inference_mode()
    def encode_windows(self, pixels: np.ndarray) -> WindowOutput:
        down, right = (-side % 8 for side in pixels.shape[2:])
        filled = F.pad(torch.from_numpy(np.ascontiguousarray(pixels)), (0, right, 0, down))
        return WindowOutput(*(each.numpy() for each in self.part(filled)))

    @torch.inference_mode()
    def encode_prompts(self, prompts: list[str]) -> np.ndarray:
        return self.torch.encode_prompts(self.tokenizer(prompts)).numpy()


def pair(config: ModelConfig, reading: Reading) -> tuple[Segmenter, OnnxSegmenter]:
    """Both around a model whose groups and classes differ more than fresh ones do."""
    model = build_model(config, seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "text" not in name:
                weight.mul_(3)
        model.text_encoder.token.weight.mul_(20)
    description = Description(
        patch_size=8,
        context_length=16,
        scale=float(model.scale().detach()),
        reading=reading,
        weights="",
    )
    without_torch = OnnxSegmenter(SameNetworks(model, reading), description)
    return Segmenter(model, InferenceConfig(**vars(reading))), without_torch


@pytest.fixture(scope="module")
def segmenters() -> tuple[Segmenter, OnnxSegmenter]:
    return pair(tiny_model_config(), READING)


@pytest.mark.parametrize(
    ("classes", "choices"),
    [
        (CLASSES, {}),
        (CLASSES, {"background": True, "threshold": 0.5}),
        (MANY, {"background": True, "threshold": 0.3, "top_k": 7}),
        (CLASSES, {"background": True, "threshold": 0.0, "background_words": "rock,sky,sand"}),
        (
            CLASSES,
            {"background": True, "threshold": 0.02, "background_words": "rock", "scales": (1, 1.5)},
        ),
        (CLASSES, {"scales": (0.75, 1.0, 1.5), "flip": True}),
        (CLASSES, {"size": 64, "refine": "pamr"}),
        (CLASSES, {"refine": "crf", "background": True, "threshold": 0.5}),
    ],
    ids=str,
)
def test_masks_and_scores_are_the_torch_segmenters(segmenters, classes, choices):
    assert_alike(*segmenters, classes, choices)


@pytest.mark.parametrize(
    "choices", [{"flip": True}, {"background": True, "threshold": 0.3}, {"top_k": 2}]
)
@pytest.mark.parametrize("affinity", [0.0, 0.1])
def test_patches_that_answer_for_themselves_are_alike_too(choices, affinity):
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    image = replace(image, fill_empty=True)
    reading = replace(READING, patch_share=0.6, patch_affinity=affinity, candidates="groups")
    reading = replace(reading, fade_windows=affinity > 0)
    both = pair(replace(config, image=image), reading)
    assert_alike(*both, CLASSES, choices)


def assert_alike(torch_one: Segmenter, numpy_one: OnnxSegmenter, classes, choices) -> None:
    options = SegmentOptions(**choices)
    theirs = list(torch_one.stream(PHOTOS, classes, options))
    ours = list(numpy_one.stream(PHOTOS, classes, options))
    assert len({label for found in theirs for label in np.unique(found.labels)}) > 1
    differ = sum(int((a.labels != b.labels).sum()) for a, b in zip(theirs, ours, strict=True))
    assert differ <= 1e-3 * sum(found.labels.size for found in theirs)
    for their, our in zip(theirs, ours, strict=True):
        assert (our.names, our.background) == (their.names, their.background)
        assert sum(our.pixels) == our.labels.size
        np.testing.assert_allclose(our.field.class_maps(), their.field.class_maps(), atol=1e-3)
        np.testing.assert_allclose(our.scores, their.scores, atol=1e-2)


def test_the_same_classes_are_suggested(segmenters):
    found = [
        [
            result.names
            for result in segmenter.stream(
                PHOTOS[:2], Suggester(segmenter.embed_classes(MANY + CLASSES), 3)
            )
        ]
        for segmenter in segmenters
    ]
    assert found[0] == found[1]
    assert all(found[0])


def test_bands_change_nothing(segmenters, monkeypatch):
    whole = next(segmenters[1].stream([PHOTOS[0]], CLASSES))
    monkeypatch.setattr(windows, "BAND_BYTES", 2000)
    parts = next(segmenters[1].stream([PHOTOS[0]], CLASSES))
    np.testing.assert_array_equal(whole.labels, parts.labels)


@pytest.mark.parametrize("size", [(20, 31), (7, 50), (44, 60), (90, 128)])
@pytest.mark.parametrize("antialias", [False, True])
def test_photos_are_resized_alike(size, antialias):
    config = InferenceConfig(
        short_side=min(size), long_side=10**6, antialias=antialias, window=8, stride=8
    )
    picture = photo(0, 60, 44)
    theirs = torch_resize(picture, config).numpy()
    ours = reading.resize_photo(picture, theirs.shape[:2], antialias=antialias)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= (0 if antialias else 1)


@pytest.mark.parametrize("candidates", ["image", "groups"])
def test_scores_are_the_formulas(candidates):
    generator = np.random.default_rng(0)
    groups, images, classes = (
        generator.normal(size=size).astype(np.float32) for size in ((3, 4, 8), (3, 8), (9, 8))
    )
    choice = {"top_k": 4, "candidates": candidates}
    ours = affinity.class_scores(groups, images, classes, 14.0, **choice)
    tensors = map(torch.from_numpy, (groups, images, classes))
    theirs = torch_scores(*tensors, torch.tensor(14.0), **choice)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    assert ((ours > 0).sum(axis=-1) <= 4).all()


def test_pamr_is_the_formulas():
    picture = np.asarray(Image.fromarray(np.asarray(photo(3, 40, 30))))
    maps = np.random.default_rng(0).random((3, 30, 40), dtype=np.float32)
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).float()
    wanted = torch_refine.pamr(pixels, torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(refine.pamr(picture, maps), wanted, atol=1e-5)
