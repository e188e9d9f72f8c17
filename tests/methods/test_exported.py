"""Segmenting without torch against segmenting with it, on networks that both share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pgseg_core.arrays import NUMPY
from pgseg_core.config import InferenceConfig, ModelConfig
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.preprocess import resize_photo
from pgseg_core.inference.refine import pamr
from pgseg_core.inference.scoring import region_scores
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.inference.suggest import Suggester
from pgseg_core.methods.export import _ImagePart
from pgseg_core.methods.exported import ExportedMethod
from pgseg_core.methods.exported_files import Description
from pgseg_core.methods.groups import GroupsMethod
from pgseg_core.methods.method import Reading, Rule
from pgseg_core.networks.grouping import build_model
from tests.inference.test_segmenter import PHOTOS, photo
from tests.tiny import tiny_model_config

READING = InferenceConfig(short_side=48, long_side=96, window=32, stride=16)
CLASSES = ["sky", "road", "dog", "tree"]
MANY = [f"thing {number}" for number in range(60)]


class SameNetworks(ExportedMethod):
    """The torch networks where the exported ones would be."""

    def __init__(self, method: GroupsMethod):
        self.torch, self.part = method, _ImagePart(method)
        self.about = Description(
            patch_size=method.patch_size,
            context_length=method.tokenizer.context_length,
            scale=method.scale(),
            reading=method.reading,
            patches_answer=bool(method.options.patch_share),
            weights="",
        )

    @torch.inference_mode()
    def run_image(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        vectors, windows, maps = self.part(torch.from_numpy(np.ascontiguousarray(pixels)))
        return vectors.numpy(), windows.numpy(), maps.numpy()

    def embed(self, prompts: list[str]) -> np.ndarray:
        return self.torch.embed(prompts).numpy()


def pair(config: ModelConfig, reading: InferenceConfig) -> tuple[Segmenter, Segmenter]:
    """Both around a model whose groups and classes differ more than fresh ones do."""
    model = build_model(config, seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "text" not in name:
                weight.mul_(3)
        model.text_encoder.token.weight.mul_(20)
    method = GroupsMethod(model, reading)
    return Segmenter(method), Segmenter(SameNetworks(method))


@pytest.fixture(scope="module")
def segmenters() -> tuple[Segmenter, Segmenter]:
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


def assert_alike(torch_one: Segmenter, numpy_one: Segmenter, classes, choices) -> None:
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
    monkeypatch.setattr(NUMPY, "band_bytes", 2000)
    parts = next(segmenters[1].stream([PHOTOS[0]], CLASSES))
    np.testing.assert_array_equal(whole.labels, parts.labels)


@pytest.mark.parametrize("size", [(20, 31), (7, 50), (44, 60), (90, 128)])
def test_photos_are_resized_as_torch_does(size):
    reading = Reading(short_side=min(size), long_side=10**6, antialias=False)
    picture = photo(0, 60, 44)
    ours = resize_photo(picture, reading)
    planes = torch.from_numpy(np.asarray(picture, dtype=np.float32)).permute(2, 0, 1)[None]
    theirs = F.interpolate(planes, size=ours.shape[:2], mode="bilinear", align_corners=False)
    differences = np.abs(ours - theirs[0].permute(1, 2, 0).numpy())
    assert differences.max() < 0.501, "but for what lies half-way between two values"


@pytest.mark.parametrize("chosen", ["image", "groups"])
def test_scores_are_the_formulas(chosen):
    generator = np.random.default_rng(0)
    groups, images, classes = (
        generator.normal(size=size).astype(np.float32) for size in ((3, 4, 8), (3, 8), (9, 8))
    )
    rule = Rule(top_k=4, top_k_by=chosen)
    ours = region_scores(groups, images, classes, 14.0, rule)
    theirs = region_scores(*map(torch.from_numpy, (groups, images, classes)), 14.0, rule)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    assert ((ours > 0).sum(axis=-1) <= 4).all()


def test_pamr_is_the_formulas():
    picture = np.asarray(photo(3, 40, 30)).astype(np.float32).transpose(2, 0, 1)
    maps = np.random.default_rng(0).random((3, 30, 40), dtype=np.float32)
    wanted = pamr(torch.from_numpy(picture.copy()), torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(pamr(picture, maps), wanted, atol=1e-5)
